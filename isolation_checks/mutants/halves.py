"""Halves of a teardown on Keycloak: what each leaves, or takes with it.

M21 to M23, M26, M27, M29, M31, M34, M35, M40, M47.
"""

from __future__ import annotations

import secrets
import time

from keycloak.urls_patterns import (
    URL_ADMIN_CLIENT,
    URL_ADMIN_CLIENT_SCOPES,
    URL_ADMIN_CLIENT_SECRETS,
    URL_ADMIN_CLIENTS,
    URL_ADMIN_REALM,
    URL_ADMIN_REALM_ROLES,
    URL_ADMIN_REALM_ROLES_ROLE_BY_NAME,
    URL_ADMIN_RESET_PASSWORD,
    URL_ADMIN_USER,
    URL_ADMIN_USERS,
)

from isolation_checks.mutants.keycloak import MASTER, auditor, delete_scope
from isolation_checks.scratch import Scratch
from warminfra.core.models import TenantRef
from warminfra.core.ports import Provider
from warminfra_keycloak.connection import AdminConnection


def logs_others_out(scratch: Scratch, ref: TenantRef, real: Provider) -> None:
    """M34: the teardown of one tenant ends the sessions of all."""
    real.destroy_tenant(ref)
    with auditor(scratch) as admin:
        for found in real.list_tenants():
            path = URL_ADMIN_REALM.format(**{"realm-name": found.ref.name})
            admin.send("POST", f"{path}/logout-all", allow=(404,))


def events_kept(scratch: Scratch, ref: TenantRef, real: Provider) -> None:
    """M29: the realm is deleted as it is; Keycloak keeps its events."""
    with auditor(scratch) as admin:
        admin.send("DELETE", URL_ADMIN_REALM.format(**{"realm-name": ref.name}), allow=(404,))


def client_left_in_master(scratch: Scratch, ref: TenantRef, real: Provider) -> None:
    """M21: the realm goes, the client by which it was managed stays.

    Under a name of its own: Keycloak lets nobody delete a client of master that ends in `-realm`.
    """
    real.destroy_tenant(ref)
    with auditor(scratch) as admin:
        body = {"clientId": _management(ref), "bearerOnly": True}
        admin.send("POST", URL_ADMIN_CLIENTS.format(**MASTER), json=body, allow=(409,))


def take_client_away(scratch: Scratch, ref: TenantRef, real: Provider) -> None:
    """Clean up behind `client_left_in_master`."""
    with auditor(scratch) as admin:
        path = URL_ADMIN_CLIENTS.format(**MASTER)
        for client in admin.get(path, params={"clientId": _management(ref)}).json():
            admin.send("DELETE", URL_ADMIN_CLIENT.format(**MASTER, id=client["id"]))


def _management(ref: TenantRef) -> str:
    return f"{ref.name}-realm-left"


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


def sessions_kept(scratch: Scratch, ref: TenantRef, real: Provider) -> None:
    """M26: passwords and client secrets are new, but who is logged in stays so."""
    with auditor(scratch) as admin:
        _new_passwords(admin, ref)
        realm = {"realm-name": ref.name}
        for client in admin.get(URL_ADMIN_CLIENTS.format(**realm)).json():
            if client.get("secret"):
                admin.send("POST", URL_ADMIN_CLIENT_SECRETS.format(**realm, id=client["id"]))


def offline_sessions_kept(scratch: Scratch, ref: TenantRef, real: Provider) -> None:
    """M27: passwords are new and everybody is logged out; offline sessions outlive that."""
    with auditor(scratch) as admin:
        _new_passwords(admin, ref)
        realm = {"realm-name": ref.name}
        for user in admin.get(URL_ADMIN_USERS.format(**realm)).json():
            admin.send("POST", f"{URL_ADMIN_USER.format(**realm, id=user['id'])}/logout")


def orphan_rows(scratch: Scratch, ref: TenantRef, real: Provider) -> None:
    """M31: the tenant goes, a row with its id stays where no list of things shows it."""
    real.destroy_tenant(ref)
    body = {"name": f"of-{ref.id}", "protocol": "openid-connect"}
    with auditor(scratch) as admin:
        admin.send("POST", URL_ADMIN_CLIENT_SCOPES.format(**MASTER), json=body, allow=(409,))


def take_rows_away(scratch: Scratch, ref: TenantRef, real: Provider) -> None:
    """Clean up behind `orphan_rows`."""
    with auditor(scratch) as admin:
        delete_scope(admin, MASTER, f"of-{ref.id}")


def by_prefix(scratch: Scratch, ref: TenantRef, real: Provider) -> None:
    """M35: everything whose name begins as the tenant's does is taken down."""
    beginning = ref.name.rpartition("-")[0]
    for found in real.list_tenants():
        if found.ref.name.startswith(beginning):
            real.destroy_tenant(found.ref)


def one_leftover(scratch: Scratch, ref: TenantRef, real: Provider) -> None:
    """M40: each teardown leaves one small thing."""
    real.destroy_tenant(ref)
    with auditor(scratch) as admin:
        body = {"name": f"was-{ref.id}"}
        admin.send("POST", URL_ADMIN_REALM_ROLES.format(**MASTER), json=body, allow=(409,))


def take_leftover_away(scratch: Scratch, ref: TenantRef, real: Provider) -> None:
    """Clean up behind `one_leftover`."""
    with auditor(scratch) as admin:
        path = URL_ADMIN_REALM_ROLES_ROLE_BY_NAME.format(**MASTER, **{"role-name": f"was-{ref.id}"})
        admin.send("DELETE", path, allow=(404,))


def in_the_wrong_realm(scratch: Scratch, ref: TenantRef, real: Provider) -> None:
    """M47: the step that voids the tenant's tokens is done in the others."""
    with auditor(scratch) as admin:
        for found in real.list_tenants():
            if found.ref.id != ref.id:
                path = URL_ADMIN_REALM.format(**{"realm-name": found.ref.name})
                admin.send("PUT", path, json={"notBefore": int(time.time()) + 1}, allow=(404,))
    real.destroy_tenant(ref)


def _new_passwords(admin: AdminConnection, ref: TenantRef) -> None:
    realm = {"realm-name": ref.name}
    for user in admin.get(URL_ADMIN_USERS.format(**realm)).json():
        if not user["username"].startswith("service-account-"):
            body = {"type": "password", "value": secrets.token_hex(16), "temporary": False}
            path = URL_ADMIN_RESET_PASSWORD.format(**realm, id=user["id"])
            admin.send("PUT", path, json=body)
