"""`warminfra.lock`: what each image name of a recipe meant when it was looked up.

A text of its recipe's repository: the same names at the same registries give the same bytes, on
whatever machine. The digest is the one that a deployment resolves the name to (of the list of
platforms, where there is one); the platforms below it tell on which nodes it can run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warminfra.core.errors import RecipeInvalid
from warminfra.core.files import write_private
from warminfra.images.reference import Reference, parse_reference

LOCK_NAME = "warminfra.lock"
SCHEMA = "warminfra.lock/v1"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One image name of a recipe, and who wants it: `version/service`, in order."""

    name: Reference
    by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Locked:
    """One entry: `name` (without a digest unless the recipe wrote one) means `digest`."""

    name: Reference
    digest: str
    platforms: Mapping[str, str]
    by: tuple[str, ...] = ()

    @property
    def bound(self) -> Reference:
        """Return the name, bound to the locked digest."""
        return self.name.at(self.digest)


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two locks; an empty digest: not in that one."""

    name: Reference
    before: str
    after: str

    def __str__(self) -> str:
        if not self.before:
            return f"+ {self.name} {self.after}"
        if not self.after:
            return f"- {self.name} {self.before}"
        return f"~ {self.name} {self.before} → {self.after}"


@dataclass(frozen=True, slots=True)
class Lock:
    """A recipe's locked images, in the order of their names."""

    recipe: str
    images: tuple[Locked, ...] = ()

    def get(self, name: Reference) -> Locked | None:
        """Return the entry of a name."""
        return next((entry for entry in self.images if entry.name == name), None)

    def to_json(self) -> str:
        """Return the file's text."""
        rows = [
            {
                "name": str(entry.name),
                "digest": entry.digest,
                "floating": entry.name.floating,
                "wanted_by": list(entry.by),
                "platforms": dict(sorted(entry.platforms.items())),
            }
            for entry in self.images
        ]
        document = {"schema": SCHEMA, "recipe": self.recipe, "images": rows}
        return json.dumps(document, indent=2) + "\n"


def make_lock(recipe: str, entries: Iterable[Locked]) -> Lock:
    """Return the lock of `entries`, in order."""
    return Lock(recipe, tuple(sorted(entries, key=lambda entry: str(entry.name))))


def changes(before: Lock | None, after: Lock) -> Sequence[Change]:
    """Return what writing `after` in place of `before` changes, in the order of names."""
    old = {entry.name: entry.digest for entry in before.images} if before else {}
    new = {entry.name: entry.digest for entry in after.images}
    return [
        Change(name, old.get(name, ""), new.get(name, ""))
        for name in sorted({*old, *new}, key=str)
        if old.get(name) != new.get(name)
    ]


def read_lock(file: Path) -> Lock | None:
    """Return the lock in `file`, None if there is none. Raises `RecipeInvalid`."""
    try:
        document = json.loads(file.read_text())
        if document["schema"] != SCHEMA:
            raise ValueError(document["schema"])
        return Lock(document["recipe"], tuple(_entry(row) for row in document["images"]))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecipeInvalid(
            [f"{file}: no {SCHEMA}: {error!r}"], hint="make it anew: `warminfra images lock`"
        ) from None


def write_lock(file: Path, lock: Lock) -> None:
    """Write the lock, whole or not at all; readable for all, as the recipe itself."""
    write_private(file, lock.to_json())
    file.chmod(0o644)


def lock_file(recipe: str, folder: Path, state_dir: Path) -> Path:
    """Return where a recipe's lock is: in its folder, or with our state if that is read-only."""
    import os

    inside = folder / LOCK_NAME
    if inside.exists() or os.access(folder, os.W_OK):
        return inside
    return state_dir / "locks" / f"{recipe}.lock"


def overlay(entries: Mapping[str, Locked]) -> str:
    """Return a compose overlay, service → locked image: a deploy with it asks no registry."""
    services = {service: {"image": str(entry.bound)} for service, entry in entries.items()}
    document: dict[str, Any] = {"version": "3.8", "services": services}
    return json.dumps(document, indent=2) + "\n"  # YAML reads JSON


def _entry(row: Mapping[str, Any]) -> Locked:
    return Locked(
        parse_reference(row["name"]),
        str(row["digest"]),
        dict(row["platforms"]),
        tuple(row["wanted_by"]),
    )
