"""Makes one tenant. The pool and a waiting request use the same function.

Intent first: the row `creating` is committed before the provider is asked. Whatever goes wrong, the
tenant is retired; one whose outcome is unknown is never adopted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from warminfra.core.clock import Clock
from warminfra.core.entropy import Entropy
from warminfra.core.errors import OutcomeUnknown, WarminfraError
from warminfra.core.ids import InstallationId, TenantId, mint_tenant_id, tenant_name
from warminfra.core.models import Recipe, TenantMaterial, TenantPlan, TenantRef
from warminfra.core.ports import Provider
from warminfra.core.template import Template
from warminfra.leasing.material import draw_material
from warminfra.leasing.server import Server
from warminfra.leasing.settings import CREATE_TIMEOUT
from warminfra.ledger import Ledger

Draw = Callable[[Template, TenantId, Entropy], TenantMaterial]


def doubt(provider: Provider) -> float:
    """Return the seconds after which a create without an answer is no longer under way."""
    return CREATE_TIMEOUT + provider.capabilities().transaction_timeout


@dataclass(frozen=True, slots=True)
class Builder:
    """Draws, writes down, creates."""

    ledger: Ledger
    clock: Clock
    entropy: Entropy
    installation: InstallationId
    draw: Draw = draw_material
    """Draws a tenant's secrets; the prover plants its faults here."""

    def make(self, server: Server, recipe: Recipe, reserved_for: str = "") -> TenantId:
        """Make a ready tenant on `server`; raises what the provider raised, after retiring it."""
        template = self.ledger.recipes.template(recipe.template_hash)
        tenant = mint_tenant_id(self.installation, self.entropy)
        material = self.draw(template, tenant, self.entropy)
        now = self.clock.wall()
        self.ledger.tenants.intend(
            tenant,
            instance=server.id,
            incarnation=server.running.incarnation,
            recipe=recipe.name,
            template_hash=recipe.template_hash,
            material=material,
            reserved_for=reserved_for,
            uncertain_until=self.clock.boot() + doubt(server.provider),
            now=now,
        )
        plan = TenantPlan(
            ref=TenantRef(tenant, tenant_name(tenant)),
            installation=self.installation,
            template=template,
            material=material,
            created_at=now,
        )
        started = time.perf_counter()
        try:
            facts = server.provider.create_tenant(plan)
        except WarminfraError as error:
            self.ledger.tenants.retire(
                tenant,
                f"could not be made: {error.message}",
                self.clock.wall(),
                certain=not isinstance(error, OutcomeUnknown),
            )
            raise
        self.ledger.tenants.made(
            tenant, facts, (time.perf_counter() - started) * 1000, self.clock.wall()
        )
        return tenant
