"""Takes one retired tenant down, and believes it only after a look.

A tenant is `gone` when a view-only identity finds nothing of it, and when its create can no longer
be under way at the server. What fails is tried again with growing, jittered delay.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from warminfra.core.clock import Clock
from warminfra.core.entropy import Entropy
from warminfra.core.errors import WarminfraError
from warminfra.core.ids import tenant_name
from warminfra.core.models import Tenant, TenantRef
from warminfra.core.ports import Condemns
from warminfra.leasing.backoff import backoff
from warminfra.leasing.server import Server
from warminfra.leasing.settings import LeasingSettings
from warminfra.ledger import Ledger

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Teardown:
    """Condemns, destroys, looks, records."""

    ledger: Ledger
    clock: Clock
    entropy: Entropy
    settings: LeasingSettings

    def condemn(self, provider: Condemns, tenant: Tenant) -> bool:
        """Let a tenant's credentials die before its turn comes to be destroyed; True if they did.

        What fails here counts as no attempt: the destroy begins anew, and tells.
        """
        try:
            provider.condemn(_ref(tenant))
        except WarminfraError as error:
            log.warning("tenant not condemned", tenant=tenant.id, error=error.message)
            return False
        return True

    def destroy(self, server: Server, tenant: Tenant) -> bool:
        """Try once; True if it is to be looked for. Provider errors are recorded, not raised."""
        try:
            server.provider.destroy_tenant(_ref(tenant))
        except WarminfraError as error:
            self.put_off(tenant, error.message)
            return False
        return True

    def verify(self, server: Server, tenant: Tenant) -> bool:
        """Look for a destroyed tenant; True if it is gone. Provider errors are recorded."""
        try:
            remains = server.provider.verify_gone(_ref(tenant))
        except WarminfraError as error:
            self.put_off(tenant, error.message)
            return False
        if remains:
            self.put_off(tenant, "still there: " + "; ".join(remains))
            return False
        if tenant.uncertain_until > self.clock.boot():
            self.ledger.tenants.failed(
                tenant.id,
                tenant.uncertain_until,
                "its create may still be under way at the server",
                count=False,
            )
            return False
        return self.ledger.tenants.gone(tenant.id, self.clock.wall())

    def put_off(self, tenant: Tenant, why: str) -> None:
        """Note a failure, and when to try again."""
        delay = backoff(tenant.attempts, self.settings.retry_limit, self.settings.retry_base)
        jitter = 0.5 + self.entropy.fraction()
        self.ledger.tenants.failed(tenant.id, self.clock.boot() + delay * jitter, why, count=True)


def _ref(tenant: Tenant) -> TenantRef:
    return TenantRef(tenant.id, tenant_name(tenant.id))
