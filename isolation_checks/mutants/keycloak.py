"""Mutants of what is inside a tenant, by the auditor's identity (M10, M11, M50, M51, M63, M64)."""

from __future__ import annotations

import base64
import secrets
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager

from keycloak.urls_patterns import (
    URL_ADMIN_CLIENT,
    URL_ADMIN_CLIENT_ROLES,
    URL_ADMIN_CLIENT_SCOPE,
    URL_ADMIN_CLIENT_SCOPES,
    URL_ADMIN_CLIENTS,
    URL_ADMIN_COMPONENTS,
    URL_ADMIN_REALMS,
    URL_ADMIN_USER,
    URL_ADMIN_USER_CLIENT_ROLES,
    URL_ADMIN_USERS,
)

from isolation_checks.mutants.base import Decorator
from isolation_checks.scratch import Scratch
from warminfra.core.models import TenantFacts, TenantPlan
from warminfra_keycloak.audit.looks import AUDITOR
from warminfra_keycloak.connection import AdminConnection
from warminfra_keycloak.keys import make_key

SCOPE = "phone"
"""A client scope that every realm has by default, and no login of ours asks for (M63)."""
MASTER = {"realm-name": "master"}


@contextmanager
def auditor(scratch: Scratch) -> Iterator[AdminConnection]:
    """Connect as the scratch server's auditor."""
    access = scratch.access
    connection = AdminConnection(
        access.base_url,
        access.identity[f"{AUDITOR}_id"].reveal(),
        access.identity[f"{AUDITOR}_secret"],
        ca_file=access.ca_file,
    )
    with closing(connection):
        yield connection


Spoil = Callable[[Scratch, AdminConnection, TenantPlan], None]


def with_each_tenant(
    spoil: Spoil, clean: Callable[[AdminConnection], None] = lambda _: None
) -> Callable[[Scratch], AbstractContextManager[None]]:
    """Plant something that is set with every tenant, and cleaned in the end."""

    @contextmanager
    def planted(scratch: Scratch) -> Iterator[None]:
        with auditor(scratch) as admin:

            class Spoiler(Decorator):
                def create_tenant(self, plan: TenantPlan) -> TenantFacts:
                    facts = self.real.create_tenant(plan)
                    spoil(scratch, admin, plan)
                    return facts

            scratch.plant.mutate = Spoiler
            try:
                yield
            finally:
                scratch.plant.clear()
                clean(admin)

    return planted


def after_create(
    spoil: Callable[[AdminConnection, TenantPlan], None],
) -> Callable[[Scratch], AbstractContextManager[None]]:
    """Plant something that is done to every tenant once it is made."""
    return with_each_tenant(lambda _, admin, plan: spoil(admin, plan))


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


def same_symmetric_keys() -> Callable[[AdminConnection, TenantPlan], None]:
    """M11: HMAC and AES keys alike in every tenant, each under an id of its own."""
    sizes = {"hmac-generated": ("HS512", 64), "aes-generated": ("AES", 16)}
    keys = {
        provider: base64.urlsafe_b64encode(secrets.token_bytes(size)).decode().rstrip("=")
        for provider, (_, size) in sizes.items()
    }

    def spoil(admin: AdminConnection, plan: TenantPlan) -> None:
        for provider, (algorithm, size) in sizes.items():
            config = {
                "secret": [keys[provider]],
                "secretSize": [str(size)],
                "kid": [str(uuid.uuid4())],
                "priority": ["500"],
            }
            if algorithm != "AES":
                config["algorithm"] = [algorithm]
            component = {
                "name": f"shared-{provider}",
                "providerId": provider,
                "providerType": "org.keycloak.keys.KeyProvider",
                "parentId": plan.ref.id,
                "config": config,
            }
            path = URL_ADMIN_COMPONENTS.format(**{"realm-name": plan.ref.name})
            admin.send("POST", path, json=component)

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


def beside_another(
    spoil: Callable[[AdminConnection, TenantPlan], None],
) -> Callable[[AdminConnection, TenantPlan], None]:
    """M51, M63, M64: a tenant is spoiled that is made while another lives, as if ids collided."""

    def spoiled(admin: AdminConnection, plan: TenantPlan) -> None:
        realms = admin.get(URL_ADMIN_REALMS, params={"briefRepresentation": "true"}).json()
        if any(realm["realm"] not in ("master", plan.ref.name) for realm in realms):
            spoil(admin, plan)

    return spoiled


def lacks_a_user(admin: AdminConnection, plan: TenantPlan) -> None:
    """M51: the tenant loses a user."""
    realm = {"realm-name": plan.ref.name}
    name = plan.material.users[-1].username
    for user in admin.get(URL_ADMIN_USERS.format(**realm), params={"username": name}).json():
        admin.send("DELETE", URL_ADMIN_USER.format(**realm, id=user["id"]))


def delete_scope(admin: AdminConnection, realm: Mapping[str, str], name: str) -> None:
    """Delete the realm's client scope of that name, if there is one."""
    for scope in admin.get(URL_ADMIN_CLIENT_SCOPES.format(**realm)).json():
        if scope["name"] == name:
            path = URL_ADMIN_CLIENT_SCOPE.format(**realm, **{"scope-id": scope["id"]})
            admin.send("DELETE", path)


def lacks_a_scope(admin: AdminConnection, plan: TenantPlan) -> None:
    """M63: the tenant loses a client scope."""
    delete_scope(admin, {"realm-name": plan.ref.name}, SCOPE)


def lacks_origins(admin: AdminConnection, plan: TenantPlan) -> None:
    """M64: the app's client has no web origins, which no login of ours needs."""
    realm = {"realm-name": plan.ref.name}
    path = URL_ADMIN_CLIENT.format(**realm, id=plan.material.client_object)
    admin.send("PUT", path, json={**admin.get(path).json(), "webOrigins": []})
