"""What the auditor sees: all that is inside a tenant, or all that belongs to the server itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from keycloak.urls_patterns import (
    URL_ADMIN_CLIENT_SCOPES,
    URL_ADMIN_CLIENT_SESSION_STATS,
    URL_ADMIN_CLIENTS,
    URL_ADMIN_COMPONENTS,
    URL_ADMIN_GROUPS,
    URL_ADMIN_REALM,
    URL_ADMIN_REALM_ROLES,
    URL_ADMIN_SERVER_INFO,
    URL_ADMIN_USERS,
)

from warminfra_keycloak.connection import SLOW_TIMEOUT, AdminConnection

_INSIDE = {
    "realm": URL_ADMIN_REALM,
    "users": URL_ADMIN_USERS,
    "clients": URL_ADMIN_CLIENTS,
    "roles": URL_ADMIN_REALM_ROLES,
    "components": URL_ADMIN_COMPONENTS,
    "sessions": URL_ADMIN_CLIENT_SESSION_STATS,
}
_MORE = {
    "events": "admin/realms/{realm-name}/events",
    "groups": URL_ADMIN_GROUPS,
    "client scopes": URL_ADMIN_CLIENT_SCOPES,
    "flows": "admin/realms/{realm-name}/authentication/flows",
    "required actions": "admin/realms/{realm-name}/authentication/required-actions",
    "event settings": "admin/realms/{realm-name}/events/config",
    "default groups": "admin/realms/{realm-name}/default-groups",
    "identity providers": "admin/realms/{realm-name}/identity-provider/instances",
    "client policies": "admin/realms/{realm-name}/client-policies/policies",
}
_CHANGING = frozenset({"memoryInfo", "cpuInfo", "uptime", "uptimeMillis", "serverTime"})
MASTER = "master"
_TENANTS_CLIENT = "-realm"


def state(admin: AdminConnection, realm: str) -> str:
    """Return realm, users, clients, roles, key providers and sessions, as one text in order."""
    return _text({name: _get(admin, path, realm) for name, path in _INSIDE.items()})


def everything(admin: AdminConnection, realm: str) -> str:
    """Return all that can be read inside a realm, events included."""
    return _text({name: _get(admin, path, realm) for name, path in (_INSIDE | _MORE).items()})


def server(admin: AdminConnection) -> dict[str, str]:
    """Return the server's own settings and master's by part, without what is of single tenants.

    Left out: sessions and events of master (every request of ours makes some), clients and roles
    by which single realms are managed, what changes with time.
    """
    own = {
        f"master's {name}": _get(admin, path, MASTER)
        for name, path in (_INSIDE | _MORE).items()
        if name not in ("sessions", "events")
    }
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
    return {
        name: json.dumps(settled(things), sort_keys=True) for name, things in (own | info).items()
    }


def server_info(admin: AdminConnection) -> Mapping[str, Any]:
    """Return what the server tells its own admin of itself and of its host."""
    found: dict[str, Any] = admin.get(URL_ADMIN_SERVER_INFO, timeout=SLOW_TIMEOUT).json()
    return found


def _get(admin: AdminConnection, pattern: str, realm: str) -> Any:
    return admin.get(pattern.format(**{"realm-name": realm}), timeout=SLOW_TIMEOUT).json()


def _lasting(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _lasting(value) for key, value in node.items() if key not in _CHANGING}
    if isinstance(node, list):
        return [_lasting(value) for value in node]
    return node


def _text(found: Mapping[str, Any]) -> str:
    return json.dumps(settled(found), sort_keys=True)


def settled(found: Any) -> Any:
    """Return what was found with every list in one order: they are sets, and come in any."""
    if isinstance(found, dict):
        return {name: settled(value) for name, value in found.items()}
    if isinstance(found, list):
        return sorted(map(settled, found), key=lambda one: json.dumps(one, sort_keys=True))
    return found
