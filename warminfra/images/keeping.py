"""Repairs what happened to the held images: pruned, untagged, a pin gone.

Called by the service now and then, and by `images pull`; what cannot be repaired now is told and
tried again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from warminfra.core.errors import NotFound, RegistryRefused, Unreachable
from warminfra.core.ports import Engine
from warminfra.images.credentials import for_engine
from warminfra.images.holding import Held, Holdings, Store
from warminfra.images.pins import Pins, is_pin
from warminfra.images.reference import parse_reference
from warminfra.images.registry import Registry
from warminfra.images.warmth import lost

USE_GRAIN = 60.0
"""Seconds: the last use is not written down more often."""


@dataclass(frozen=True, slots=True)
class Repair:
    """What one look found. `failed` has a line for each thing that is still wrong."""

    pulled: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    pinned: int = 0
    unpinned: int = 0
    failed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self != Repair()


@dataclass(frozen=True, slots=True)
class Keeper:
    """Keeps what the holdings say."""

    engine: Engine
    registry: Registry
    store: Store

    def step(self) -> Repair:
        """Look once and mend; nothing, while a pre-pull is under way.

        What a killed pre-pull has left is missing like all else, and is pulled. Raises
        `Unreachable` if the engine does not answer.
        """
        with self.store.pulling(wait=False) as ours:
            return self._mend() if ours else Repair()

    def _mend(self) -> Repair:
        holdings = self.store.read()
        pulled, named, failed = self._bring_back(holdings)
        pinned, unpinned = Pins(self.engine, self.store.owner()).settle(holdings)
        self._note_use()
        return Repair(tuple(pulled), tuple(named), pinned, unpinned, tuple(failed))

    def _bring_back(self, holdings: Holdings) -> tuple[list[str], list[str], list[str]]:
        pulled: list[str] = []
        named: list[str] = []
        failed: list[str] = []
        local = {name: image for image in self.engine.images() for name in image.digests}
        ids = {image.id for image in local.values()}
        for entry in holdings.needed():
            what = lost(entry, local)
            if not what:
                continue
            try:
                if what == "gone":
                    name = parse_reference(entry.name)
                    login = for_engine(self.registry.credentials.of(name.domain))
                    self.engine.pull(name.repository, name.digest, login, lambda event: None)
                    pulled.append(entry.name)
                named += self._tag(entry)
            except (Unreachable, RegistryRefused, NotFound) as error:
                failed.append(error.message)
                if entry.image in ids:  # under another name: a deploy by tag stays warm
                    named += self._tag(entry)
        return pulled, named, failed

    def _tag(self, entry: Held) -> list[str]:
        for tag in entry.tags:
            self.engine.tag(entry.image, tag)
        return list(entry.tags)

    def _note_use(self) -> None:
        """Remember which images containers other than pins have now."""
        used = {found.image for found in self.engine.containers() if not is_pin(found)}
        now = time.time()
        with self.store.change() as changing:
            for entry in changing.now.held.values():
                if entry.image in used and now - entry.last_used > USE_GRAIN:
                    changing.now = changing.now.with_entry(replace(entry, last_used=now))
