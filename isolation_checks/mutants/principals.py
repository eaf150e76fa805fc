"""Mutants that put somebody of a lease into master: M03, M04, M05."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from keycloak.urls_patterns import (
    URL_ADMIN_CLIENT,
    URL_ADMIN_CLIENT_ROLES,
    URL_ADMIN_CLIENT_SERVICE_ACCOUNT_USER,
    URL_ADMIN_CLIENTS,
    URL_ADMIN_REALM_ROLES,
    URL_ADMIN_REALMS,
    URL_ADMIN_USER,
    URL_ADMIN_USER_CLIENT_ROLES,
    URL_ADMIN_USER_REALM_ROLES,
    URL_ADMIN_USERS,
)

from isolation_checks.mutants.base import Decorator, Planting
from isolation_checks.mutants.keycloak import MASTER, auditor
from isolation_checks.scratch import Scratch
from warminfra.core.models import TenantFacts, TenantPlan
from warminfra_keycloak.connection import AdminConnection

Leave = Callable[[AdminConnection, TenantPlan], list[str]]
"""Leaves something in master; returns the paths to delete it by."""


def in_master(leave: Leave) -> Planting:
    """Plant something in master behind each create; take all of it away at the end."""

    @contextmanager
    def planted(scratch: Scratch) -> Iterator[None]:
        left: list[str] = []

        class Leaving(Decorator):
            def create_tenant(self, plan: TenantPlan) -> TenantFacts:
                made = self.real.create_tenant(plan)
                with auditor(scratch) as admin:
                    left.extend(leave(admin, plan))
                return made

        scratch.plant.mutate = Leaving
        try:
            yield
        finally:
            scratch.plant.clear()
            with auditor(scratch) as admin:
                for path in left:
                    admin.send("DELETE", path, allow=(404,))

    return planted


def client_with(role: str) -> Leave:
    """M03 (`admin`), M04 (`create-realm`): the lease's clients are clients of master, with it."""

    def leave(admin: AdminConnection, plan: TenantPlan) -> list[str]:
        known = admin.get(URL_ADMIN_REALM_ROLES.format(**MASTER)).json()
        roles = [one for one in known if one["name"] == role]
        material = plan.material
        clients = [(material.client_id, material.client_secret)]
        if material.admin_client_id:
            clients.append((material.admin_client_id, material.admin_client_secret))
        left = []
        for client_id, secret in clients:
            body = {"clientId": client_id, "secret": secret, "serviceAccountsEnabled": True}
            admin.send("POST", URL_ADMIN_CLIENTS.format(**MASTER), json=body)
            (made,) = admin.get(
                URL_ADMIN_CLIENTS.format(**MASTER), params={"clientId": client_id}
            ).json()
            account = URL_ADMIN_CLIENT_SERVICE_ACCOUNT_USER.format(**MASTER, id=made["id"])
            user = admin.get(account).json()["id"]
            admin.send("POST", URL_ADMIN_USER_REALM_ROLES.format(**MASTER, id=user), json=roles)
            left.append(URL_ADMIN_CLIENT.format(**MASTER, id=made["id"]))
        return left

    return leave


def role_on_another(admin: AdminConnection, plan: TenantPlan) -> list[str]:
    """M05: the lease's first user is one of master too, with a role on another tenant."""
    realms = admin.get(URL_ADMIN_REALMS, params={"briefRepresentation": "true"}).json()
    others = [one["realm"] for one in realms if one["realm"] not in ("master", plan.ref.name)]
    if not others:
        return []
    user = plan.material.users[0]
    name = f"{user.username}"
    body = {
        "username": name,
        "enabled": True,
        "email": f"{plan.ref.name}@example.test",
        "firstName": "Left",
        "lastName": "Over",
        "credentials": [{"type": "password", "value": user.password, "temporary": False}],
    }
    admin.send("POST", URL_ADMIN_USERS.format(**MASTER), json=body, allow=(409,))
    (made,) = admin.get(
        URL_ADMIN_USERS.format(**MASTER), params={"username": name, "exact": "true"}
    ).json()
    path = URL_ADMIN_CLIENTS.format(**MASTER)
    (manager,) = admin.get(path, params={"clientId": f"{others[0]}-realm"}).json()
    known = admin.get(URL_ADMIN_CLIENT_ROLES.format(**MASTER, id=manager["id"])).json()
    roles = [one for one in known if one["name"] == "manage-users"]
    mapping = URL_ADMIN_USER_CLIENT_ROLES.format(
        **MASTER, id=made["id"], **{"client-id": manager["id"]}
    )
    admin.send("POST", mapping, json=roles)
    return [URL_ADMIN_USER.format(**MASTER, id=made["id"])]
