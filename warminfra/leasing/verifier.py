"""The eye beside a worker's hand: looks whether what the hand destroyed is gone.

A look only reads, so it may go on while the hand makes the next tenant; it is a fourth of a
teardown. When there is nothing to look for, the eye condemns the tenants that wait for the hand:
their credentials die while it is busy, and its destroy is shorter. Invariants: what a look found is
written before its server is reconciled anew, or never; hand and eye never work on the same tenant.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from warminfra.core.ids import InstanceId, TenantId
from warminfra.core.models import Tenant
from warminfra.leasing.bell import Bell
from warminfra.leasing.server import Server
from warminfra.leasing.settings import QUARANTINE_AFTER
from warminfra.leasing.teardown import Teardown


@dataclass(slots=True)
class Verifier:
    """Looks for what was destroyed on one instance and condemns what will be, one by one."""

    instance: InstanceId
    teardown: Teardown
    server: Callable[[], Server | None]
    """Returns the reconciled server of now, None while there is none."""
    bell: Bell
    """Wakes hand and eye."""
    _destroyed: dict[TenantId, tuple[Server, Tenant]] = field(default_factory=dict)
    _condemned: set[TenantId] = field(default_factory=set)
    """Those that the eye has done with, whatever came of it, until the hand takes them."""
    _in_eye: set[TenantId] = field(default_factory=set)
    _in_hand: set[TenantId] = field(default_factory=set)
    _choosing: threading.Lock = field(default_factory=threading.Lock)
    _stepping: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> Tenant | None:
        """Return the tenant that the hand is to destroy next; the eye leaves it alone."""
        with self._choosing:
            tenant = self._due({*self._destroyed, *self._in_eye})
            self._in_hand = {tenant.id} if tenant else set()
            self._condemned -= self._in_hand
        return tenant

    def expect(self, server: Server, tenant: Tenant) -> None:
        """Have a destroyed tenant looked for soon."""
        self._destroyed[tenant.id] = (server, tenant)
        self.bell.ring()

    def step(self) -> str:
        """Do the next thing; return what came of it, "" if there is nothing to do now."""
        with self._stepping:
            return self._look() or self._condemn()

    def forget(self) -> None:
        """Let a step that is under way end, and drop the rest: the hand begins anew."""
        with self._stepping:
            self._destroyed.clear()
            self._condemned.clear()

    def _look(self) -> str:
        """Look for the one that was destroyed first."""
        for server, tenant in list(self._destroyed.values()):
            try:
                gone = self.teardown.verify(server, tenant)
            finally:
                del self._destroyed[tenant.id]
            return "torn down" if gone else "teardown put off"
        return ""

    def _condemn(self) -> str:
        """Condemn the one that is due first, if the provider can."""
        server = self.server()
        provider = server.condemner if server else None
        if provider is None:
            return ""
        with self._choosing:
            tenant = self._due({*self._destroyed, *self._condemned, *self._in_hand})
            if tenant is None:
                return ""
            self._in_eye = {tenant.id}
        try:
            done = self.teardown.condemn(provider, tenant)
        finally:
            with self._choosing:
                self._condemned |= self._in_eye
                self._in_eye = set()
            self.bell.ring()
        return "condemned" if done else "not condemned"

    def _due(self, but: Collection[TenantId]) -> Tenant | None:
        ledger, clock = self.teardown.ledger, self.teardown.clock
        return ledger.tenants.due_for_teardown(self.instance, clock.boot(), QUARANTINE_AFTER, but)
