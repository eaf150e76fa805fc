"""What the auditor's identity sees of a scratch server, and sets up for a check to see.

Invariant: nothing here is tried with a credential of a holder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from keycloak.urls_patterns import (
    URL_ADMIN_CLIENT_SCOPES,
    URL_ADMIN_CLIENTS,
    URL_ADMIN_COMPONENTS,
    URL_ADMIN_FLOWS,
    URL_ADMIN_GROUPS,
    URL_ADMIN_KEYS,
    URL_ADMIN_REALM,
    URL_ADMIN_REALM_ROLES,
    URL_ADMIN_REALM_ROLES_COMPOSITE_REALM_ROLE,
    URL_ADMIN_REALMS,
    URL_ADMIN_USERS,
)

from warminfra.core.models import JsonObject, ServerAccess
from warminfra_keycloak.audit import contents
from warminfra_keycloak.audit.host import facts_of, placeholders
from warminfra_keycloak.audit.target import realm_of
from warminfra_keycloak.connection import SLOW_TIMEOUT, AdminConnection

AUDITOR = "auditor"
_MASTER = {"realm-name": "master"}


class Looks:
    """The looking half of `AuditSurface`."""

    def __init__(self, access: ServerAccess) -> None:
        self._access = access
        self._facts: Mapping[str, str] = {}
        self._admin = AdminConnection(
            access.base_url,
            access.identity[f"{AUDITOR}_id"].reveal(),
            access.identity[f"{AUDITOR}_secret"],
            ca_file=access.ca_file,
        )

    def keys(self, lease: JsonObject) -> frozenset[str]:
        """Return key ids and public keys of every key of the realm."""
        found = self._get(URL_ADMIN_KEYS, realm_of(lease))["keys"]
        return frozenset(
            text for key in found for text in (key["kid"], key.get("publicKey")) if text
        )

    def digest(self, lease: JsonObject) -> str:
        """Return the digest of what the realm's export tells, its users, secrets and sessions."""
        state = contents.text(contents.state(self._admin, realm_of(lease)))
        return hashlib.sha256(state.encode()).hexdigest()

    def inside(self, lease: JsonObject) -> str:
        """Return what `digest` is of, and what each user has; some requests for each user."""
        return contents.text(contents.inside(self._admin, realm_of(lease)))

    def everything(self, lease: JsonObject) -> str:
        """Return all that can be read inside the realm, events included."""
        return contents.text(contents.everything(self._admin, realm_of(lease)))

    def shape(self, lease: JsonObject) -> Mapping[str, str]:
        """Return the realm's export by part, and what its users have, alike in every lease."""
        found = contents.inside(self._admin, realm_of(lease))
        for part in (contents.SECRETS, contents.SESSIONS):
            del found[part]  # the export has the clients without secrets
        return contents.alike(found, _names_of(lease))

    def server_state(self) -> Mapping[str, str]:
        """Return the settings of the server and of master, by part."""
        return contents.server(self._admin)

    def keep_events(self, lease: JsonObject) -> None:
        """Let the realm keep events of users and admins, as a template may."""
        path = URL_ADMIN_REALM.format(**{"realm-name": realm_of(lease)})
        self._admin.send("PUT", path, json={"eventsEnabled": True, "adminEventsEnabled": True})

    def host_facts(self) -> Mapping[str, str]:
        """Return canaries, and what the server tells its own admin of the host."""
        if not self._facts:
            self._facts = facts_of(self._access, contents.server_info(self._admin))
        return self._facts

    def placeholders(self) -> Sequence[str]:
        """Return placeholders for the environment, properties and the vault."""
        return placeholders(self._access)

    def rename(self, lease: JsonObject, name: str) -> None:
        """Give the realm another name, as its `realm-admin` may; its internal id stays."""
        path = URL_ADMIN_REALM.format(**{"realm-name": realm_of(lease)})
        self._admin.send("PUT", path, json={"realm": name}, timeout=SLOW_TIMEOUT)

    def inventory(self) -> Mapping[str, frozenset[str]]:
        """Return realms, and in master clients, users, roles, parts of `admin`, components."""
        realms = self._admin.get(
            URL_ADMIN_REALMS, params={"briefRepresentation": "true"}, timeout=SLOW_TIMEOUT
        ).json()
        parts = URL_ADMIN_REALM_ROLES_COMPOSITE_REALM_ROLE.format(
            **_MASTER, **{"role-name": "admin"}
        )
        listed = {
            "realm": [f"{realm['realm']} {realm['id']}" for realm in realms],
            "client of master": _names(self._get(URL_ADMIN_CLIENTS, "master"), "clientId"),
            "user of master": _names(self._get(URL_ADMIN_USERS, "master"), "username"),
            "role of master": _names(self._get(URL_ADMIN_REALM_ROLES, "master"), "name"),
            "component of master": _names(self._get(URL_ADMIN_COMPONENTS, "master"), "name"),
            "part of master's admin": _names(
                self._admin.get(parts, timeout=SLOW_TIMEOUT).json(), "name"
            ),
        }
        return {kind: frozenset(names) for kind, names in listed.items()}

    def known(self, lease: JsonObject) -> JsonObject:
        """Return the lease with the internal ids that the worst attacker would know."""
        clients = self._get(URL_ADMIN_CLIENTS, realm_of(lease))
        (client,) = [one["id"] for one in clients if one["clientId"] == lease["client"]["id"]]
        others = {kind: self._get(path, realm_of(lease)) for kind, path in _KNOWN.items()}
        firsts = {kind: found[0]["id"] for kind, found in others.items() if found}
        return {**lease, "audit": {**firsts, "client": client}}

    def _get(self, pattern: str, realm: str) -> Any:
        path = pattern.format(**{"realm-name": realm})
        return self._admin.get(path, timeout=SLOW_TIMEOUT).json()


_KNOWN = {
    "user": URL_ADMIN_USERS,
    "role": URL_ADMIN_REALM_ROLES,
    "group": URL_ADMIN_GROUPS,
    "scope": URL_ADMIN_CLIENT_SCOPES,
    "flow": URL_ADMIN_FLOWS,
    "component": URL_ADMIN_COMPONENTS,
}
"""Kinds of objects of which an attacker knows one by its internal id."""


def _names_of(lease: JsonObject) -> Mapping[str, str]:
    """Return what a lease alone is called by → what stands for it."""
    admin = lease.get("admin", {}).get("client_id")
    names = {lease["client"]["id"]: "CLIENT", lease["tenant"]: "TENANT", lease["id"]: "LEASE"}
    return names | {lease["domain"]: "DOMAIN"} | ({admin: "ADMIN"} if admin else {})


def _names(found: Any, key: str) -> list[str]:
    return [f"{one.get(key) or one.get('providerId')} {one['id']}" for one in found]
