"""The eye beside a worker's hand: looks whether what the hand destroyed is gone.

A look only reads, so it may go on while the hand makes the next tenant; it is a fourth of a
teardown. Invariant: what a look found is written before its server is reconciled anew, or never.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass, field

from warminfra.core.ids import TenantId
from warminfra.core.models import Tenant
from warminfra.leasing.bell import Bell
from warminfra.leasing.server import Server
from warminfra.leasing.teardown import Teardown


@dataclass(slots=True)
class Verifier:
    """Looks for what was destroyed on one instance, one tenant after the other."""

    teardown: Teardown
    bell: Bell = field(default_factory=Bell)
    """Rings when there is something to look for."""
    _destroyed: dict[TenantId, tuple[Server, Tenant]] = field(default_factory=dict)
    _looking: threading.Lock = field(default_factory=threading.Lock)

    def expect(self, server: Server, tenant: Tenant) -> None:
        """Have a destroyed tenant looked for soon."""
        self._destroyed[tenant.id] = (server, tenant)
        self.bell.ring()

    @property
    def expected(self) -> Collection[TenantId]:
        """The tenants that are still to be looked for: the hand leaves them alone."""
        return frozenset(self._destroyed)

    def step(self) -> str:
        """Look for the one that was destroyed first; return what came of it, "" for none."""
        with self._looking:
            for server, tenant in list(self._destroyed.values()):
                try:
                    gone = self.teardown.verify(server, tenant)
                finally:
                    del self._destroyed[tenant.id]
                return "torn down" if gone else "teardown put off"
        return ""

    def forget(self) -> None:
        """Let a look that is under way end, and drop the others: the hand begins anew."""
        with self._looking:
            self._destroyed.clear()
