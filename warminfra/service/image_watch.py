"""Looks now and then at the images that recipes need, and mends what a prune has taken.

Nothing is loaded or asked on a node where nothing is held; the mirror is watched only where one was
started.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from warminfra.config.settings import Settings
from warminfra.core.errors import WarminfraError
from warminfra.images.holding import Store
from warminfra.images.keeping import Keeper
from warminfra.images.mirror import EngineConfiguration, Mirror
from warminfra.images.registry import open_registry
from warminfra.images.retention import plan, release_all, remove
from warminfra.instances.processes import process_ref

if TYPE_CHECKING:
    from warminfra.engine.images import DockerImages

log = structlog.get_logger()

CLEAN_EVERY = 600.0
"""Seconds between two looks at the budget, which ask the engine for every image's history."""


@dataclass(slots=True)
class ImageWatch:
    """One thread's work, one look at a time."""

    settings: Settings
    _engine: DockerImages | None = field(default=None)
    _next_clean: float = 0.0

    def step(self) -> bool:
        """Look once; say whether something was mended. Raises what the engine raises."""
        mended = self._watch_mirror()
        store = Store(self.settings.service.state_dir)
        if not store.read().held:
            return mended
        engine = self._connected()
        registry = open_registry(engine.facts(), self.settings.service.cache_dir)
        try:
            repair = Keeper(engine, registry, store).step()
        finally:
            registry.close()
        if repair:
            log.warning("images were not as they should be", repair=repair)
        return self._clean(engine, store) or mended or bool(repair)

    def purge(self) -> int:
        """Remove pins and images that are ours, and the mirror; return how many images went."""
        store = Store(self.settings.service.state_dir)
        count = len(release_all(self._connected(), store)) if store.read().held else 0
        mirror = self._mirror()
        if mirror.pid() is not None:
            engine = self.settings.engine
            EngineConfiguration(
                engine.config_file, engine.pid_file, lambda: self._connected().facts().mirrors
            ).uninstall(mirror.url)
            mirror.stop()
        return count

    def _clean(self, engine: DockerImages, store: Store) -> bool:
        """Keep ours within the budget, if there is one."""
        budget = self.settings.images.budget
        if not budget or time.monotonic() < self._next_clean:
            return False
        self._next_clean = time.monotonic() + CLEAN_EVERY
        gone = remove(engine, store, plan(engine, store, budget).candidates)
        for candidate in gone:
            log.info("image removed", image=candidate.entry.name, freed=candidate.freed)
        return bool(gone)

    def _watch_mirror(self) -> bool:
        if not self.settings.mirror.upstream:
            return False
        watched = self._mirror()
        try:
            started = watched.watch()
        except WarminfraError as error:
            log.error("the mirror does not start", error=error.message)
            return False
        if started:
            log.warning("the mirror had died and was started again", url=watched.url)
        return started

    def _mirror(self) -> Mirror:
        mirror = self.settings.mirror
        folder = self.settings.service.cache_dir / "mirror"
        return Mirror(folder, mirror.upstream, mirror.port, mirror.program, _start_time)

    def _connected(self) -> DockerImages:
        from warminfra.engine.connection import engine_host
        from warminfra.engine.images import DockerImages

        if self._engine is None:
            self._engine = DockerImages(engine_host(self.settings.engine.host))
        return self._engine


def _start_time(pid: int) -> int | None:
    found = process_ref(pid)
    return found.start if found else None
