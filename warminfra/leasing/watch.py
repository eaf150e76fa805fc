"""Passive checks of an instance that runs use: what they find closes the gate until a person looks.

They look and change nothing: the inventory against the ledger (what the sweep had to mend on a
server that was not restarted), and the digest of the server-wide settings against the one that this
life of the server began with. Both run under the instance's worker.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from warminfra.core.clock import Clock
from warminfra.leasing.server import Server
from warminfra.leasing.sweeper import Swept
from warminfra.ledger import Ledger

log = structlog.get_logger()

BY = "a passive check"


@dataclass(slots=True)
class Watch:
    """Remembers how each server was found when it came up."""

    ledger: Ledger
    clock: Clock
    _settings: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """Incarnation → the server's digests."""

    def begin(self, server: Server) -> None:
        """Take the server's settings for right as it comes up. Raises what the provider raises."""
        self._settings.setdefault(server.running.incarnation, server.provider.fingerprint())

    def look(self, server: Server, swept: Swept) -> None:
        """Compare once. Raises what the provider raises."""
        if swept != Swept():
            self._alarm(server, "inventory", f"ledger and server {server.id} differed: {swept}")
        now = server.provider.fingerprint()
        before = self._settings.setdefault(server.running.incarnation, now)
        changed = sorted({name for name, _ in before.items() ^ now.items()})
        if changed:
            what = f"server-wide settings of {server.id} changed: {', '.join(changed)}"
            self._alarm(server, "settings", what)
            self._settings[server.running.incarnation] = now

    def _alarm(self, server: Server, subject: str, why: str) -> None:
        if self.ledger.sharing.alarm(f"{subject} {server.id}", BY, why, self.clock.wall()):
            log.error("the gate is shut", by=BY, why=why)
