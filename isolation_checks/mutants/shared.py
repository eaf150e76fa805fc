"""Mutants in which two leases get one tenant: M01, M02, M08."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from keycloak.urls_patterns import URL_ADMIN_CLIENTS

from isolation_checks.mutants.base import Planting
from isolation_checks.mutants.hosted import Hosted
from isolation_checks.mutants.keycloak import auditor
from isolation_checks.scratch import Scratch
from warminfra.core.entropy import Entropy
from warminfra.core.ids import TenantId, tenant_name
from warminfra.core.models import TenantFacts, TenantMaterial, TenantPlan, TenantRef
from warminfra.core.states import TenantState
from warminfra.core.template import Template
from warminfra.leasing.material import draw_material
from warminfra_keycloak.realm import facts

Material = Callable[[TenantMaterial, TenantMaterial], TenantMaterial]
"""Makes the guest's material of what was drawn for it and of its host's."""
Equip = Callable[[Scratch, TenantPlan, TenantRef], None]
"""Puts into the host's tenant what the guest needs."""


def guests(material: Material, equip: Equip) -> Planting:
    """Plant it: a lease that is made while another lives becomes a guest in the other's tenant."""

    @contextmanager
    def planted(scratch: Scratch) -> Iterator[None]:
        rooms: dict[str, TenantRef] = {}

        def draw(template: Template, tenant: TenantId, entropy: Entropy) -> TenantMaterial:
            own = draw_material(template, tenant, entropy)
            for living in scratch.parts.ledger.tenants.in_states((TenantState.LEASED,)):
                if living.id not in rooms and living.material is not None:
                    rooms[tenant] = TenantRef(living.id, tenant_name(living.id))
                    return material(own, living.material)
            return own

        class Sharing(Hosted):
            hosts = rooms

            def create_tenant(self, plan: TenantPlan) -> TenantFacts:
                host = rooms.get(plan.ref.id)
                if host is None:
                    return self.real.create_tenant(plan)
                equip(scratch, plan, host)
                return facts(scratch.base_url, host.name, admin=plan.template.admin)

        scratch.plant.draw, scratch.plant.mutate = draw, Sharing
        try:
            yield
        finally:
            scratch.plant.clear()

    return planted


def hosts_material(own: TenantMaterial, host: TenantMaterial) -> TenantMaterial:
    """M01: the guest has all that the host has."""
    return host


def own_client(own: TenantMaterial, host: TenantMaterial) -> TenantMaterial:
    """M02: the guest has a client of its own, and the host's users."""
    return replace(own, users=host.users)


def own_material(own: TenantMaterial, host: TenantMaterial) -> TenantMaterial:
    """M08: the guest was told secrets of its own, which nobody has put anywhere."""
    return own


def nothing_new(scratch: Scratch, plan: TenantPlan, host: TenantRef) -> None:
    """M01, M08: "it exists already" is taken for done."""


def a_second_client(scratch: Scratch, plan: TenantPlan, host: TenantRef) -> None:
    """M02: the guest's client is made beside the host's."""
    material = plan.material
    body = {
        "id": material.client_object,
        "clientId": material.client_id,
        "secret": material.client_secret,
        "publicClient": False,
        "directAccessGrantsEnabled": True,
        "redirectUris": [],
    }
    with auditor(scratch) as admin:
        path = URL_ADMIN_CLIENTS.format(**{"realm-name": host.name})
        admin.send("POST", path, json=body)
