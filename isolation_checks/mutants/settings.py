"""Mutants that set something more on each new tenant, or on the server (M37, M38, M42, M43)."""

from __future__ import annotations

from typing import Any

from keycloak.urls_patterns import (
    URL_ADMIN_CLIENT,
    URL_ADMIN_REALM,
    URL_ADMIN_REALMS,
    URL_ADMIN_USERS,
)

from isolation_checks.mutants.keycloak import MASTER
from isolation_checks.scratch import Scratch
from warminfra.core.models import TenantPlan
from warminfra_keycloak.connection import AdminConnection


def names_the_server(_: Scratch, admin: AdminConnection, plan: TenantPlan) -> None:
    """M37: a setting of master follows the lease that was made last."""
    admin.send("PUT", URL_ADMIN_REALM.format(**MASTER), json={"displayName": plan.ref.name})


def forgets_the_name(admin: AdminConnection) -> None:
    """Clean up behind M37."""
    admin.send("PUT", URL_ADMIN_REALM.format(**MASTER), json={"displayName": "Keycloak"})


def takes_over_texts(_: Scratch, admin: AdminConnection, plan: TenantPlan) -> None:
    """M38: a new tenant's pages show a text that stands in another."""
    texts: set[str] = set()
    for realm in admin.get(URL_ADMIN_REALMS, params={"briefRepresentation": "true"}).json():
        if realm["realm"] not in ("master", plan.ref.name):
            users = admin.get(URL_ADMIN_USERS.format(**{"realm-name": realm["realm"]})).json()
            texts |= {user["firstName"] for user in users if user.get("firstName")}
    _set(admin, plan, {"displayName": " ".join(sorted(texts))})


def tells_the_sink(scratch: Scratch, admin: AdminConnection, plan: TenantPlan) -> None:
    """M42: every tenant's logouts are told to one address."""
    if "http" not in scratch.sinks:
        return
    address = f"http://127.0.0.1:{scratch.sinks['http']}/logout"
    path = URL_ADMIN_CLIENT.format(
        **{"realm-name": plan.ref.name, "id": plan.material.client_object}
    )
    body = admin.get(path).json()
    attributes = body.get("attributes", {})
    body["attributes"] = {**attributes, "backchannel.logout.url": address}
    admin.send("PUT", path, json=body)


def mails_to_the_sink(scratch: Scratch, admin: AdminConnection, plan: TenantPlan) -> None:
    """M43: every tenant's mail goes to one mail server."""
    if "mail" not in scratch.sinks:
        return
    server = {
        **{"host": "127.0.0.1", "port": str(scratch.sinks["mail"])},
        "from": "sso@example.test",
    }
    _set(admin, plan, {"smtpServer": server, "resetPasswordAllowed": True})


def _set(admin: AdminConnection, plan: TenantPlan, body: dict[str, Any]) -> None:
    admin.send("PUT", URL_ADMIN_REALM.format(**{"realm-name": plan.ref.name}), json=body)
