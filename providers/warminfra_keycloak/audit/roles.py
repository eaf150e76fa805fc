"""Which roles a leased user has in effect, by its token, and which its template gives it.

A role has others inside it, a group has roles and its parents', and every realm has roles of its
own making: all of them are in a token. A role of a client is `client/role`. What is called
otherwise in every lease, the app's client and the default role, goes by the template's placeholder.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from warminfra.core.models import JsonObject
from warminfra.core.template import Template
from warminfra_keycloak.audit import jose
from warminfra_keycloak.audit.target import realm_of
from warminfra_keycloak.references import CLIENT, DEFAULT_ROLE, groups

_MANAGEMENT = "realm-management"
_OF_REALM_ADMIN = """
    create-client impersonation manage-authorization manage-clients manage-events
    manage-identity-providers manage-realm manage-users query-clients query-groups query-realms
    query-users view-authorization view-clients view-events view-identity-providers view-realm
    view-users
    """
_BUILT_IN: Mapping[str, frozenset[str]] = {
    "account/manage-account": frozenset({"account/manage-account-links"}),
    "account/manage-consent": frozenset({"account/view-consent"}),
    f"{_MANAGEMENT}/view-clients": frozenset({f"{_MANAGEMENT}/query-clients"}),
    f"{_MANAGEMENT}/view-users": frozenset(
        {f"{_MANAGEMENT}/query-users", f"{_MANAGEMENT}/query-groups"}
    ),
    f"{_MANAGEMENT}/realm-admin": frozenset(
        f"{_MANAGEMENT}/{role}" for role in _OF_REALM_ADMIN.split()
    ),
}
"""What the server itself puts inside its own clients' roles."""
_OF_ANY_DEFAULT = frozenset(
    {"offline_access", "uma_authorization", "account/manage-account", "account/view-profile"}
)
"""What the server puts inside the default role of a new realm."""


def in_token(token: str, lease: JsonObject) -> frozenset[str]:
    """Return the roles that an access token of the lease carries."""
    claims = jose.claims_of(token)
    default = DEFAULT_ROLE.replace("{realm}", realm_of(lease))
    found = {
        DEFAULT_ROLE if role == default else role
        for role in claims.get("realm_access", {}).get("roles", [])
    }
    for client, granted in claims.get("resource_access", {}).items():
        owner = CLIENT if client == lease["client"]["id"] else client
        found |= {f"{owner}/{role}" for role in granted["roles"]}
    return frozenset(found)


def granted(template: Template) -> dict[str, frozenset[str]]:
    """Return for each user of the template the roles that it is to have in effect."""
    base = template.base
    inside = {**_BUILT_IN, **dict(_inside(base.get("roles", {})))}
    inside[DEFAULT_ROLE] = inside.get(DEFAULT_ROLE, frozenset()) | _OF_ANY_DEFAULT
    by_path = {path: frozenset[str]().union(*map(_roles_of, line)) for path, line in groups(base)}
    of_file = {user["username"].lower(): user for user in base.get("users", [])}
    found = {}
    for user in template.users:
        own = of_file.get(user.username.lower(), {})
        roles = {DEFAULT_ROLE, *user.roles, *_roles_of(own)}
        for path in own.get("groups", []):
            roles |= by_path.get(path.strip("/"), frozenset())
        found[user.username] = _closed(roles, inside)
    return found


def _roles_of(holder: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(_named(holder.get("realmRoles", []), holder.get("clientRoles", {})))


def _named(realm: Iterable[str], clients: Mapping[str, Iterable[str]]) -> Iterator[str]:
    yield from realm
    yield from (f"{client}/{role}" for client, roles in clients.items() for role in roles)


def _inside(roles: Mapping[str, Any]) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield each role with those directly inside it."""
    declared = [(role["name"], role) for role in roles.get("realm", [])]
    for client, own in roles.get("client", {}).items():
        declared += [(f"{client}/{role['name']}", role) for role in own]
    for name, role in declared:
        parts = role.get("composites", {})
        yield name, frozenset(_named(parts.get("realm", []), parts.get("client", {})))


def _closed(roles: Iterable[str], inside: Mapping[str, frozenset[str]]) -> frozenset[str]:
    found: set[str] = set()
    waiting = set(roles)
    while waiting:
        role = waiting.pop()
        found.add(role)
        waiting |= inside.get(role, frozenset()) - found
    return frozenset(found)
