"""A warm image set of a test's own on the test engine."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testbed.engine import Engine
from warminfra.core.engine import LocalContainer
from warminfra.engine.images import DockerImages
from warminfra.images.credentials import Credentials
from warminfra.images.holding import Store
from warminfra.images.keeping import Keeper
from warminfra.images.lock import Lock, Wanted
from warminfra.images.pins import Pins
from warminfra.images.progress import Measure
from warminfra.images.pull import PrePull
from warminfra.images.registry import Registry as Client
from warminfra.images.resolve import resolve
from warminfra.images.retention import release


@dataclass
class WarmSet:
    """Engine, registries and holdings."""

    engine: DockerImages
    registry: Client
    store: Store
    state: Path

    def lock(self, wanted: list[Wanted], recipe: str = "app") -> Lock:
        return resolve(recipe, wanted, self.registry, None)

    def pull(
        self, lock: Lock, *, recipe: str = "app", deadline: float = 60.0, reserve: int = 0
    ) -> list[Measure]:
        puller = PrePull(self.engine, self.registry, self.store, reserve=reserve)
        return puller.run(recipe, lock, deadline=deadline)

    def warm(self, wanted: list[Wanted], recipe: str = "app") -> Lock:
        """Lock and pull."""
        lock = self.lock(wanted, recipe)
        self.pull(lock, recipe=recipe)
        return lock

    def keeper(self) -> Keeper:
        return Keeper(self.engine, self.registry, self.store)

    def here(self) -> dict[str, str]:
        """Return `repository@digest` → image id."""
        return {name: image.id for image in self.engine.images() for name in image.digests}

    def pins(self) -> list[LocalContainer]:
        """Return this set's own pins, running or not."""
        return Pins(self.engine, self.store.owner()).of(self.engine.containers())


@contextmanager
def warm_set(engine: Engine, folder: Path, *, patience: float = 5.0) -> Iterator[WarmSet]:
    """Open one; at the end everything that it held goes."""
    images = DockerImages(engine.host)
    client = Client(images.facts(), Credentials(), folder / "manifests", patience=patience)
    made = WarmSet(images, client, Store(folder), folder)
    try:
        yield made
    finally:
        recipes = {recipe for entry in made.store.read().needed() for recipe in entry.recipes}
        for recipe in recipes:
            release(images, made.store, recipe)
        client.close()
        images.close()


def prune(engine: Engine) -> str:
    """What an operator's nightly job does."""
    done = subprocess.run(
        ["docker", "--host", engine.host, "system", "prune", "--all", "--force"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
