"""Mutants that need Keycloak's own API, by the auditor's identity (M10, M21–M23, M34, M50, M51)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager

from keycloak.urls_patterns import (
    URL_ADMIN_CLIENT,
    URL_ADMIN_CLIENT_ROLES,
    URL_ADMIN_CLIENTS,
    URL_ADMIN_COMPONENTS,
    URL_ADMIN_REALM,
    URL_ADMIN_REALMS,
    URL_ADMIN_USER,
    URL_ADMIN_USER_CLIENT_ROLES,
    URL_ADMIN_USERS,
)

from isolation_checks.mutants.base import Decorator
from isolation_checks.scratch import Scratch
from warminfra.core.models import TenantFacts, TenantPlan, TenantRef
from warminfra.core.ports import Provider
from warminfra_keycloak.audit.surface import AUDITOR
from warminfra_keycloak.connection import AdminConnection
from warminfra_keycloak.keys import make_key

MASTER = {"realm-name": "master"}


@contextmanager
def auditor(scratch: Scratch) -> Iterator[AdminConnection]:
    """Connect as the scratch server's auditor."""
    access = scratch.access
    connection = AdminConnection(
        access.base_url,
        access.identity[f"{AUDITOR}_id"].reveal(),
        access.identity[f"{AUDITOR}_secret"],
    )
    with closing(connection):
        yield connection


def after_create(
    spoil: Callable[[AdminConnection, TenantPlan], None],
) -> Callable[[Scratch], AbstractContextManager[None]]:
    """Plant something that is done to every tenant once it is made."""

    @contextmanager
    def planted(scratch: Scratch) -> Iterator[None]:
        with auditor(scratch) as admin:

            class Spoiler(Decorator):
                def create_tenant(self, plan: TenantPlan) -> TenantFacts:
                    facts = self.real.create_tenant(plan)
                    spoil(admin, plan)
                    return facts

            scratch.plant.mutate = Spoiler
            try:
                yield
            finally:
                scratch.plant.clear()

    return planted


def same_key() -> Callable[[AdminConnection, TenantPlan], None]:
    """M10: one signing key in every tenant, as an export with keys gives it."""
    key = make_key()

    def spoil(admin: AdminConnection, plan: TenantPlan) -> None:
        realm = {"realm-name": plan.ref.name}
        config = {
            "privateKey": [key.private_pem],
            "certificate": [key.certificate_pem],
            "algorithm": ["RS256"],
            "active": ["true"],
            "enabled": ["true"],
            "priority": ["500"],
        }
        component = {
            "name": "shared",
            "providerId": "rsa",
            "providerType": "org.keycloak.keys.KeyProvider",
            "parentId": plan.ref.id,
            "config": config,
        }
        admin.send("POST", URL_ADMIN_COMPONENTS.format(**realm), json=component)

    return spoil


def users_administer(admin: AdminConnection, plan: TenantPlan) -> None:
    """M50: a leased user administers its realm, though nobody declared it."""
    realm = {"realm-name": plan.ref.name}
    (manager,) = admin.get(
        URL_ADMIN_CLIENTS.format(**realm), params={"clientId": "realm-management"}
    ).json()
    roles = admin.get(URL_ADMIN_CLIENT_ROLES.format(**realm, id=manager["id"])).json()
    granted = [role for role in roles if role["name"] == "realm-admin"]
    for user in admin.get(URL_ADMIN_USERS.format(**realm)).json():
        path = URL_ADMIN_USER_CLIENT_ROLES.format(
            **realm, id=user["id"], **{"client-id": manager["id"]}
        )
        admin.send("POST", path, json=granted)


def lacks_a_user_beside_another(admin: AdminConnection, plan: TenantPlan) -> None:
    """M51: a tenant that is made while another lives loses a user, as if ids had collided."""
    realms = admin.get(URL_ADMIN_REALMS, params={"briefRepresentation": "true"}).json()
    if any(realm["realm"] not in ("master", plan.ref.name) for realm in realms):
        realm = {"realm-name": plan.ref.name}
        name = plan.material.users[-1].username
        for user in admin.get(URL_ADMIN_USERS.format(**realm), params={"username": name}).json():
            admin.send("DELETE", URL_ADMIN_USER.format(**realm, id=user["id"]))


# ---------------------------------------------------------------- half a teardown


def logs_others_out(scratch: Scratch, ref: TenantRef, real: Provider) -> None:
    """M34: the teardown of one tenant ends the sessions of all."""
    real.destroy_tenant(ref)
    with auditor(scratch) as admin:
        for found in real.list_tenants():
            path = URL_ADMIN_REALM.format(**{"realm-name": found.ref.name})
            admin.send("POST", f"{path}/logout-all", allow=(404,))


def client_left_in_master(scratch: Scratch, ref: TenantRef, real: Provider) -> None:
    """M21: the realm goes, the client by which it was managed stays."""
    real.destroy_tenant(ref)
    with auditor(scratch) as admin:
        body = {"clientId": f"{ref.name}-realm", "bearerOnly": True}
        admin.send("POST", URL_ADMIN_CLIENTS.format(**MASTER), json=body, allow=(409,))


def take_client_away(scratch: Scratch, ref: TenantRef, real: Provider) -> None:
    """Clean up behind `client_left_in_master`."""
    with auditor(scratch) as admin:
        path = URL_ADMIN_CLIENTS.format(**MASTER)
        for client in admin.get(path, params={"clientId": f"{ref.name}-realm"}).json():
            admin.send("DELETE", URL_ADMIN_CLIENT.format(**MASTER, id=client["id"]))


def disabled(scratch: Scratch, ref: TenantRef, real: Provider) -> None:
    """M22: the realm is disabled, not deleted."""
    with auditor(scratch) as admin:
        path = URL_ADMIN_REALM.format(**{"realm-name": ref.name})
        admin.send("PUT", path, json={"enabled": False})


def only_users(scratch: Scratch, ref: TenantRef, real: Provider) -> None:
    """M23: the users are deleted; client and realm live on."""
    realm = {"realm-name": ref.name}
    with auditor(scratch) as admin:
        for user in admin.get(URL_ADMIN_USERS.format(**realm)).json():
            if not user["username"].startswith("service-account-"):
                admin.send("DELETE", URL_ADMIN_USER.format(**realm, id=user["id"]))
