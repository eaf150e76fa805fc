"""M28: tenants are wiped and used again, and lockout counters are not part of the wiping."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from keycloak.urls_patterns import (
    URL_ADMIN_CLIENT,
    URL_ADMIN_CLIENTS,
    URL_ADMIN_REALM,
    URL_ADMIN_RESET_PASSWORD,
    URL_ADMIN_USERS,
)

from isolation_checks.mutants.hosted import Hosted
from isolation_checks.mutants.keycloak import auditor
from isolation_checks.scratch import Scratch
from warminfra.core.models import TenantFacts, TenantMaterial, TenantPlan, TenantRef
from warminfra_keycloak.connection import AdminConnection
from warminfra_keycloak.realm import facts

_LOCKOUT = {"bruteForceProtected": True, "failureFactor": 30, "waitIncrementSeconds": 600}


@contextmanager
def lockouts_kept(scratch: Scratch) -> Iterator[None]:
    """Plant a provider whose tenants live on for the next lease."""
    free: list[TenantRef] = []
    taken: dict[str, TenantRef] = {}
    last: dict[str, TenantMaterial] = {}
    """By a realm's name what it was equipped with last."""

    class Recycling(Hosted):
        hosts = taken

        def create_tenant(self, plan: TenantPlan) -> TenantFacts:
            with auditor(scratch) as admin:
                if not free:
                    made = self.real.create_tenant(plan)
                    last[plan.ref.name] = plan.material
                    taken[plan.ref.id] = plan.ref
                    path = URL_ADMIN_REALM.format(**{"realm-name": plan.ref.name})
                    admin.send("PUT", path, json=_LOCKOUT)
                    return made
                host = taken[plan.ref.id] = free.pop()
                _equip(admin, host, last[host.name], plan.material)
                last[host.name] = plan.material
                return facts(scratch.base_url, host.name, admin=plan.template.admin)

        def destroy_tenant(self, ref: TenantRef) -> None:
            super().destroy_tenant(ref)
            if ref.id in taken and taken[ref.id] not in free:
                free.append(taken[ref.id])

    scratch.plant.mutate = Recycling
    try:
        yield
    finally:
        scratch.plant.clear()
        with auditor(scratch) as admin:
            for host in {host.name for host in taken.values()}:
                path = URL_ADMIN_REALM.format(**{"realm-name": host})
                admin.send("DELETE", path, timeout=30.0, allow=(404,))


def _equip(
    admin: AdminConnection, host: TenantRef, before: TenantMaterial, material: TenantMaterial
) -> None:
    """Put the next lease's clients and passwords in the place of the last one's; end sessions."""
    realm = {"realm-name": host.name}
    clients = URL_ADMIN_CLIENTS.format(**realm)
    old = URL_ADMIN_CLIENT.format(**realm, id=before.client_object)
    body = {**admin.get(old).json(), "id": material.client_object, "clientId": material.client_id}
    body |= {"secret": material.client_secret}
    admin.send("DELETE", old)
    body.pop("protocolMappers", None)
    admin.send("POST", clients, json=body)
    if before.admin_client_id:
        for client in admin.get(clients, params={"clientId": before.admin_client_id}).json():
            body = {**client, "clientId": material.admin_client_id}
            body |= {"secret": material.admin_client_secret}
            admin.send("PUT", URL_ADMIN_CLIENT.format(**realm, id=client["id"]), json=body)
    for user in admin.get(URL_ADMIN_USERS.format(**realm)).json():
        for leased in material.users:
            if leased.username == user["username"]:
                path = URL_ADMIN_RESET_PASSWORD.format(**realm, id=user["id"])
                body = {"type": "password", "value": leased.password, "temporary": False}
                admin.send("PUT", path, json=body)
    path = URL_ADMIN_REALM.format(**realm)
    admin.send("POST", f"{path}/logout-all")
