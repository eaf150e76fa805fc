"""What the auditor sees: all that is inside a tenant, or all that belongs to the server itself."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from keycloak.urls_patterns import (
    URL_ADMIN_CLIENT_SCOPES,
    URL_ADMIN_CLIENT_SESSION_STATS,
    URL_ADMIN_CLIENTS,
    URL_ADMIN_COMPONENTS,
    URL_ADMIN_GROUPS,
    URL_ADMIN_REALM,
    URL_ADMIN_REALM_EXPORT,
    URL_ADMIN_REALM_ROLES,
    URL_ADMIN_SERVER_INFO,
    URL_ADMIN_USER_ALL_ROLES,
    URL_ADMIN_USER_CONSENTS,
    URL_ADMIN_USER_CREDENTIALS,
    URL_ADMIN_USER_FEDERATED_IDENTITIES,
    URL_ADMIN_USER_GROUPS,
    URL_ADMIN_USERS,
)

from warminfra_keycloak.audit.canonical import scrub
from warminfra_keycloak.connection import SLOW_TIMEOUT, AdminConnection

USERS, SECRETS, SESSIONS = "people", "clients with secrets", "sessions"
_NOT_EXPORTED = {
    USERS: URL_ADMIN_USERS,
    SECRETS: URL_ADMIN_CLIENTS,
    SESSIONS: URL_ADMIN_CLIENT_SESSION_STATS,
}
"""What a realm's export leaves out, or masks; of users it has service accounts alone."""
_OF_USER = {
    "roles": URL_ADMIN_USER_ALL_ROLES,
    "groups": URL_ADMIN_USER_GROUPS,
    "consents": URL_ADMIN_USER_CONSENTS,
    "credentials": URL_ADMIN_USER_CREDENTIALS,
    "identities elsewhere": URL_ADMIN_USER_FEDERATED_IDENTITIES,
}
_EVENTS = "admin/realms/{realm-name}/events"
_OF_MASTER = {
    "realm": URL_ADMIN_REALM,
    "users": URL_ADMIN_USERS,
    "clients": URL_ADMIN_CLIENTS,
    "roles": URL_ADMIN_REALM_ROLES,
    "components": URL_ADMIN_COMPONENTS,
    "groups": URL_ADMIN_GROUPS,
    "client scopes": URL_ADMIN_CLIENT_SCOPES,
    "flows": "admin/realms/{realm-name}/authentication/flows",
    "required actions": "admin/realms/{realm-name}/authentication/required-actions",
    "event settings": "admin/realms/{realm-name}/events/config",
    "default groups": "admin/realms/{realm-name}/default-groups",
    "identity providers": "admin/realms/{realm-name}/identity-provider/instances",
    "client policies": "admin/realms/{realm-name}/client-policies/policies",
}
"""By part, and not as one export: that tells of the clients of every tenant."""
_CHANGING = frozenset({"memoryInfo", "cpuInfo", "uptime", "uptimeMillis", "serverTime"})
_OWN = frozenset(
    {
        *("createdTimestamp", "createdDate", "lastUpdatedDate", "client.secret.creation.time"),
        *("certificate", "saml.signing.certificate", "saml.signing.private.key"),
        *("saml.encryption.certificate", "saml.encryption.private.key"),
    }
)
"""Fields that differ in every tenant."""
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)")
MASTER = "master"
_TENANTS_CLIENT = "-realm"


def state(admin: AdminConnection, realm: str) -> dict[str, Any]:
    """Return by part what the realm's export tells, its users, clients' secrets and sessions.

    The export is one request: the realm's settings, clients, service accounts, roles, groups,
    client scopes, flows, required actions, identity providers, key providers, policies and texts.
    """
    parts = {name: _get(admin, path, realm) for name, path in _NOT_EXPORTED.items()}
    return _export(admin, realm) | parts


def inside(admin: AdminConnection, realm: str) -> dict[str, Any]:
    """Return `state`, and what each user has: roles, groups, consents, means of logging in."""
    found = state(admin, realm)
    found["of users"] = {
        user["username"]: {
            name: admin.get(path.format(**{"realm-name": realm, "id": user["id"]})).json()
            for name, path in _OF_USER.items()
        }
        for user in found[USERS]
    }
    return found


def everything(admin: AdminConnection, realm: str) -> dict[str, Any]:
    """Return all that can be read inside a realm, events included."""
    return inside(admin, realm) | {"events": _get(admin, _EVENTS, realm)}


def server(admin: AdminConnection) -> dict[str, str]:
    """Return the server's own settings and master's by part, without what is of single tenants.

    Left out: sessions and events of master (every request of ours makes some), clients and roles
    by which single realms are managed, what changes with time.
    """
    own = {f"master's {name}": _get(admin, path, MASTER) for name, path in _OF_MASTER.items()}
    own["master's clients"] = [
        client
        for client in own["master's clients"]
        if client["clientId"] == f"{MASTER}{_TENANTS_CLIENT}"
        or not client["clientId"].endswith(_TENANTS_CLIENT)
    ]
    info = {
        f"server's {name}": _lasting(told)
        for name, told in server_info(admin).items()
        if name not in _CHANGING
    }
    return {name: text(things) for name, things in (own | info).items()}


def server_info(admin: AdminConnection) -> Mapping[str, Any]:
    """Return what the server tells its own admin of itself and of its host."""
    found: dict[str, Any] = admin.get(URL_ADMIN_SERVER_INFO, timeout=SLOW_TIMEOUT).json()
    return found


def _export(admin: AdminConnection, realm: str) -> dict[str, Any]:
    """Return the realm's export, with clients, groups and roles; secrets are masked in it."""
    path = URL_ADMIN_REALM_EXPORT.format(**{"realm-name": realm})
    ask = {"exportClients": "true", "exportGroupsAndRoles": "true"}
    found: dict[str, Any] = admin.send("POST", path, params=ask, timeout=SLOW_TIMEOUT).json()
    return found


def _get(admin: AdminConnection, pattern: str, realm: str) -> Any:
    return admin.get(pattern.format(**{"realm-name": realm}), timeout=SLOW_TIMEOUT).json()


def _lasting(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _lasting(value) for key, value in node.items() if key not in _CHANGING}
    if isinstance(node, list):
        return [_lasting(value) for value in node]
    return node


def text(found: Any) -> str:
    """Return what was found as one text, the same for what is the same."""
    return json.dumps(settled(found), sort_keys=True)


def alike(found: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    """Return by part what is the same in every tenant of one template.

    Names of the tenant's own become what stands for them, ids and times what they are. A mapping
    becomes a list with its keys one by one: two that are told alike still are two.
    """

    def told(node: Any) -> Any:
        if isinstance(node, dict):
            return [{told(key): told(value)} for key, value in node.items() if key not in _OWN]
        if isinstance(node, list):
            return [told(value) for value in node]
        if not isinstance(node, str):
            return node
        for own, stands_for in names.items():
            node = re.sub(rf"\b{re.escape(own)}\b", stands_for, node)
        return _TIME.sub("TIME", scrub(node))

    return {part: text(told(things)) for part, things in found.items()}


def settled(found: Any) -> Any:
    """Return what was found with every list in one order: they are sets, and come in any.

    So are those that stand as JSON in a text, as in the settings of a policy.
    """
    if isinstance(found, str) and found.startswith("["):
        with suppress(ValueError):
            return settled(json.loads(found))
    if isinstance(found, dict):
        return {name: settled(value) for name, value in found.items()}
    if isinstance(found, list):
        return sorted(map(settled, found), key=lambda one: json.dumps(one, sort_keys=True))
    return found
