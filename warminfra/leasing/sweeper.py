"""Makes ledger and server agree: no row that lies, no object without a row.

The server is listed first, the ledger read second. Both run under the instance's worker, the only
one that makes and destroys there, so nothing moves in between. The same pass reconciles a server
that was restarted (it may have lost or resurrected tenants) and sweeps one that runs.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from warminfra.core.clock import Clock
from warminfra.core.errors import Internal
from warminfra.core.models import FoundTenant, Tenant
from warminfra.core.states import LeaseState, TenantState
from warminfra.leasing.server import Server
from warminfra.leasing.settings import LeasingSettings
from warminfra.ledger import Ledger

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Swept:
    """What a pass found and did."""

    lost_ready: int = 0
    lost_leased: int = 0
    resurrected: int = 0
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class Sweeper:
    """One pass over one instance."""

    ledger: Ledger
    clock: Clock
    settings: LeasingSettings

    def reconcile(self, server: Server) -> Swept:
        """After a start, or an adoption: settle what was under way, then sweep."""
        self.ledger.tenants.settle(server.id, server.running.incarnation)
        self.ledger.tenants.retire_where(
            "its making was interrupted",
            self.clock.wall(),
            states=(TenantState.CREATING,),
            instance=server.id,
        )
        self._end_unreachable(server)
        return self.sweep(server)

    def sweep(self, server: Server) -> Swept:
        """Compare once and mend; raises what the provider raises."""
        found = {tenant.ref.id: tenant for tenant in server.provider.list_tenants()}
        lost_ready = lost_leased = 0
        for tenant in self._held(server):
            if tenant.id in found:
                continue
            ended = self._end(tenant, "lost by its server")
            if tenant.state is TenantState.READY:
                lost_ready += ended
            else:
                lost_leased += ended
        resurrected = unknown = 0
        for found_tenant in found.values():
            row = self.ledger.tenants.get(found_tenant.ref.id)
            if row is None:
                self._enter(server, found_tenant)
                unknown += 1
            elif row.state is TenantState.GONE:
                self._destroy_again(server, found_tenant)
                resurrected += 1
        swept = Swept(lost_ready, lost_leased, resurrected, unknown)
        if swept != Swept():
            log.warning("ledger and server differed", instance=server.id, swept=swept)
        return swept

    def _held(self, server: Server) -> list[Tenant]:
        return self.ledger.tenants.in_states((TenantState.READY, TenantState.LEASED), server.id)

    def _end(self, tenant: Tenant, why: str) -> bool:
        """Retire a ready tenant, revoke the lease of a leased one."""
        now = self.clock.wall()
        if tenant.state is TenantState.READY:
            return self.ledger.tenants.retire(tenant.id, why, now)
        return self.ledger.leases.end(tenant.id, LeaseState.REVOKED, f"its tenant was {why}", now)

    def _end_unreachable(self, server: Server) -> None:
        """End what was made while the server was called otherwise: nobody finds its issuer now."""
        url = server.running.access.url
        for tenant in self._held(server):
            if tenant.facts is not None and not tenant.facts.issuer.startswith(f"{url}/"):
                self._end(tenant, f"made before its server was called {url}")

    def _enter(self, server: Server, found: FoundTenant) -> None:
        self.ledger.tenants.found(
            found.ref.id,
            server.id,
            self.clock.boot() + self.settings.grace,
            self.clock.wall(),
        )

    def _destroy_again(self, server: Server, found: FoundTenant) -> None:
        server.provider.destroy_tenant(found.ref)
        remains = server.provider.verify_gone(found.ref)
        if remains:
            raise Internal(f"tenant {found.ref.id} is back and cannot be removed: {remains[0]}")
