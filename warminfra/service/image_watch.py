"""Looks now and then at the images that recipes need, and mends what a prune has taken.

Nothing is loaded or asked on a node where nothing is held; the mirror is watched only where one was
started.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from warminfra.config.settings import Settings
from warminfra.core.errors import WarminfraError
from warminfra.images.holding import Store
from warminfra.images.keeping import Keeper
from warminfra.images.mirror import Mirror
from warminfra.images.registry import open_registry
from warminfra.instances.processes import process_ref

if TYPE_CHECKING:
    from warminfra.engine.images import DockerImages

log = structlog.get_logger()


@dataclass(slots=True)
class ImageWatch:
    """One thread's work, one look at a time."""

    settings: Settings
    _engine: DockerImages | None = field(default=None)

    def step(self) -> bool:
        """Look once; say whether something was mended. Raises what the engine raises."""
        mended = self._watch_mirror()
        store = Store(self.settings.service.state_dir)
        if not store.read().held:
            return mended
        engine = self._engine = self._engine or self._connect()
        registry = open_registry(engine.facts(), self.settings.service.cache_dir)
        try:
            repair = Keeper(engine, registry, store).step()
        finally:
            registry.close()
        if repair:
            log.warning("images were not as they should be", repair=repair)
        return mended or bool(repair)

    def _watch_mirror(self) -> bool:
        mirror = self.settings.mirror
        if not mirror.upstream:
            return False
        folder = self.settings.service.cache_dir / "mirror"
        watched = Mirror(folder, mirror.upstream, mirror.port, mirror.program, _start_time)
        try:
            started = watched.watch()
        except WarminfraError as error:
            log.error("the mirror does not start", error=error.message)
            return False
        if started:
            log.warning("the mirror had died and was started again", url=watched.url)
        return started

    def _connect(self) -> DockerImages:
        from warminfra.engine.connection import engine_host
        from warminfra.engine.images import DockerImages

        return DockerImages(engine_host(self.settings.engine.host))


def _start_time(pid: int) -> int | None:
    found = process_ref(pid)
    return found.start if found else None
