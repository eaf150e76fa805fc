"""What we hold, for whom, and what of it is ours to remove: one file, kept whole, under one lock.

An entry is written *before* the pull that it is about: after a crash it tells what may have been
begun. `ours` is true only of what was not in the store before us; nothing else is ever removed.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from warminfra.core.entropy import SystemEntropy
from warminfra.core.errors import ConfigInvalid
from warminfra.core.files import file_lock, private_dir, write_private

SCHEMA = "warminfra.images/v1"


@dataclass(frozen=True, slots=True)
class Held:
    """One `repository@digest` that somebody needs, or needed."""

    name: str
    tags: tuple[str, ...]
    """`repository:tag` that must mean it; a tag is in one entry only."""
    image: str
    """Id of the image on this engine."""
    recipes: tuple[str, ...]
    """Who needs it; nobody: it is there until the budget or the disk asks for its room."""
    ours: bool
    bytes: int = 0
    """Compressed, as pulled."""
    last_used: float = 0.0
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """Everything that we hold."""

    held: Mapping[str, Held] = field(default_factory=dict)

    def of(self, recipe: str) -> list[Held]:
        """Return what a recipe needs."""
        return [entry for entry in self.held.values() if recipe in entry.recipes]

    def needed(self) -> list[Held]:
        """Return what any recipe needs."""
        return [entry for entry in self.held.values() if entry.recipes]

    def with_entry(self, entry: Held) -> Holdings:
        """Return the holdings with `entry` in place of what had its name, and its tags."""
        others = {
            name: replace(other, tags=tuple(tag for tag in other.tags if tag not in entry.tags))
            for name, other in self.held.items()
        }
        return Holdings({**others, entry.name: entry})

    def without(self, name: str) -> Holdings:
        """Return the holdings without an entry."""
        return Holdings({key: entry for key, entry in self.held.items() if key != name})

    def released(self, recipe: str) -> Holdings:
        """Return the holdings as they are once `recipe` needs nothing any more."""
        return Holdings(
            {
                name: replace(entry, recipes=tuple(r for r in entry.recipes if r != recipe))
                for name, entry in self.held.items()
            }
        )


class Store:
    """The file. Several processes may use it: the service's keeper, and commands."""

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir / "images"
        self._file = self._folder / "holdings.json"

    def read(self) -> Holdings:
        """Return what is held now. Raises `ConfigInvalid` if the file is damaged."""
        try:
            document = json.loads(self._file.read_text())
            rows = [_held(row) for row in document["held"]]
        except FileNotFoundError:
            return Holdings()
        except (ValueError, KeyError, TypeError):
            raise ConfigInvalid(
                f"{self._file} is damaged",
                hint="move it away and enrol the recipes again; images pulled before then stay",
            ) from None
        return Holdings({row.name: row for row in rows})

    def owner(self) -> str:
        """Return the word by which our pins are known, drawn at the first call."""
        file = private_dir(self._folder) / "owner"
        with file_lock(self._folder / "lock"):
            if not file.exists():
                write_private(file, SystemEntropy().token(16))
            return file.read_text()

    @contextmanager
    def pulling(self, *, wait: bool) -> Iterator[bool]:
        """Hold the right to pull, of which there is one; say False if somebody has it, or `wait`.

        It falls free when its holder dies: then the service goes on with what was intended.
        """
        handle = os.open(private_dir(self._folder) / "pulling", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(handle)

    @contextmanager
    def change(self) -> Iterator[Changing]:
        """Hold the file against others; what is in `now` at the end is written, whole."""
        private_dir(self._folder)
        with file_lock(self._folder / "lock"):
            changing = Changing(self.read())
            before = changing.now
            yield changing
            if changing.now != before:
                rows = [asdict(entry) for entry in changing.now.held.values()]
                document = {"schema": SCHEMA, "held": sorted(rows, key=lambda row: row["name"])}
                write_private(self._file, json.dumps(document, indent=1))


def _held(row: Mapping[str, Any]) -> Held:
    return Held(**{**row, "tags": tuple(row["tags"]), "recipes": tuple(row["recipes"])})


@dataclass(slots=True)
class Changing:
    """The holdings while they are being changed."""

    now: Holdings
