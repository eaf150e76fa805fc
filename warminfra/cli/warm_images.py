"""Puts the warm image set together for a command: the engine, registries, holdings, a recipe's
names; and warms and frees it. What `images …`, `enroll` and `unenroll` begin with."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from warminfra.cli import session
from warminfra.core.errors import NotFound, Unreachable
from warminfra.core.models import JsonObject

if TYPE_CHECKING:
    from warminfra.config.settings import Settings
    from warminfra.engine.images import DockerImages
    from warminfra.images.holding import Store
    from warminfra.images.lock import Lock, Wanted
    from warminfra.images.pull import PrePull
    from warminfra.images.registry import Registry
    from warminfra.recipes.model import RecipeFolder


@dataclass(frozen=True)
class Recipe:
    """A recipe whose images are asked for."""

    name: str
    folder: Path
    lock_file: Path
    given: RecipeFolder | None = None
    """What its files say, if they were read already."""

    @cached_property
    def read(self) -> RecipeFolder:
        """Return what its files say. Raises `RecipeInvalid`."""
        from warminfra.recipes import read_folder

        return self.given or read_folder(self.folder, self.name)

    @property
    def wanted(self) -> list[Wanted]:
        """Return every image of every overlay, of both sides of an upgrade."""
        from warminfra.images.lock import Wanted
        from warminfra.images.reference import parse_reference

        users: dict[str, list[str]] = {}
        for version in self.read.versions:
            for use in version.images:
                where = version.version or version.tag or "folder"
                users.setdefault(use.reference, []).append(f"{where}/{use.service}")
        return [
            Wanted(parse_reference(reference), tuple(sorted(set(by))))
            for reference, by in users.items()
        ]

    @property
    def lock(self) -> Lock | None:
        """Return its lock, if it has one."""
        from warminfra.images.lock import read_lock

        return read_lock(self.lock_file)


class Warm:
    """Everything, connected at first use."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def engine(self) -> DockerImages:
        from warminfra.engine.connection import engine_host
        from warminfra.engine.images import DockerImages

        return DockerImages(engine_host(self.settings.engine.host))

    @cached_property
    def registry(self) -> Registry:
        from warminfra.images.registry import open_registry

        return open_registry(self.engine.facts(), self.settings.service.cache_dir)

    @cached_property
    def store(self) -> Store:
        from warminfra.images.holding import Store

        return Store(self.settings.service.state_dir)

    @property
    def pre_pull(self) -> PrePull:
        from warminfra.images.pull import PrePull

        return PrePull(
            self.engine,
            self.registry,
            self.store,
            self.settings.images.parallel,
            self.settings.service.disk_reserve,
        )

    def recipe(self, name: str, folder: Path | None = None) -> Recipe:
        """Return a recipe by its folder, or by the name under which it is enrolled."""
        from warminfra.images.lock import lock_file
        from warminfra.recipes import recipe_name

        if folder is None:
            with session.client() as client:
                row = next((row for row in client.recipes() if row["name"] == name), None)
            if row is None:
                raise NotFound(
                    f"no recipe {name!r} is enrolled", hint="name its folder with --path"
                )
            folder = Path(row["path"])
        folder = folder.resolve()
        name = recipe_name(folder, name or None)
        return Recipe(name, folder, lock_file(name, folder, self.settings.service.state_dir))


@contextmanager
def opened() -> Iterator[Warm]:
    """Open it with the settings in force."""
    warm = Warm(session.loaded().settings)
    try:
        yield warm
    finally:
        if "engine" in warm.__dict__:
            warm.engine.close()
        if "registry" in warm.__dict__:
            warm.registry.close()


def warm_up(
    warm: Warm, recipe: Recipe, *, update: bool = False, limit: float | None = None
) -> list[JsonObject]:
    """Lock what is not locked yet, look for drift, pull and pin; return what was pulled."""
    from dataclasses import asdict

    from warminfra.images.lock import changes, write_lock
    from warminfra.images.resolve import refuse_drift, resolve

    registry, before = warm.registry, recipe.lock
    after = resolve(recipe.name, recipe.wanted, registry, None if update else before)
    for change in changes(before, after) if before else ():
        session.say(f"warminfra: lock: {change}")
    if not update:
        refuse_drift(after, registry)
    if before is None or before.to_json() != after.to_json():
        write_lock(recipe.lock_file, after)
    deadline = warm.settings.images.deadline.total_seconds() if limit is None else limit
    with pull_bar() as bar:
        measures = warm.pre_pull.run(recipe.name, after, deadline=deadline, told=bar)
    return [asdict(measure) for measure in measures]


def warm_enrolled(name: str, folder: Path, read: RecipeFolder, *, update: bool) -> list[JsonObject]:
    """Lock and pull the images of a recipe that was enrolled just now; return what was pulled.

    A node without an engine keeps none, and says so.
    """
    with opened() as warm:
        if not _answers(warm):
            return []
        return warm_up(warm, replace(warm.recipe(name, folder), given=read), update=update)


def free_unenrolled(name: str) -> list[JsonObject]:
    """Remove what only that recipe needs; return what went."""
    from warminfra.images.retention import release

    with opened() as warm:
        if not warm.store.read().of(name) or not _answers(warm):
            return []
        gone = release(warm.engine, warm.store, name)
    return [{"name": c.entry.name, "bytes": c.freed} for c in gone]


def _answers(warm: Warm) -> bool:
    try:
        warm.engine.facts()
    except Unreachable as error:
        session.say(f"warminfra: no images are warmed: {error.message}")
        return False
    return True


@contextmanager
def pull_bar() -> Iterator[PullBar]:
    """Show a bar on a terminal; elsewhere one line at each quarter."""
    bar = PullBar()
    try:
        yield bar
    finally:
        bar.end()


class PullBar:
    """Bytes of layers, done and in all."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._drawn = False
        self._quarter = -1

    def __call__(self, done: int, total: int, name: str) -> None:
        if not total:
            return
        share = min(done / total, 1.0)
        text = f"{done >> 20} of {total >> 20} MiB"
        if self._live:
            filled = int(share * 24)
            bar = "━" * filled + "─" * (24 - filled)
            print(f"\r{bar} {text}  {name[-40:]}\x1b[K", end="", file=sys.stderr, flush=True)
            self._drawn = True
        elif int(share * 4) > self._quarter:
            self._quarter = int(share * 4)
            session.say(f"warminfra: pulling: {text}")

    def end(self) -> None:
        """Take the bar away."""
        if self._drawn:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
