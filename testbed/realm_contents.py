"""What a realm document holds: what it declares by name, and what identifies it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from warminfra_keycloak.cleaning import BUILT_IN_CLIENTS

_IDS = frozenset({"id", "_id", "internalId", "containerId", "kid"})
_SECRETS = frozenset(
    {"secret", "value", "publicKey", "privateKey", "certificate", "clientSecret", "codeSecret"}
    | {"bindCredential", "password", "registrationAccessToken", "secretData"}
)
_DRAWN = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|\S{24,}")
"""What is long enough to have been drawn: names are not compared."""


def identity(node: Any, key: str = "") -> frozenset[str]:
    """Return every id, key and secret of the document."""
    return frozenset(_identity(node, key))


def _identity(node: Any, key: str) -> Iterator[str]:
    if isinstance(node, Mapping):
        for name, value in node.items():
            yield from _identity(value, name)
    elif isinstance(node, list):
        for value in node:
            yield from _identity(value, key)
    elif isinstance(node, str) and (key in _IDS or key in _SECRETS) and _DRAWN.fullmatch(node):
        yield node


def declared(realm: Mapping[str, Any], app: str | None) -> frozenset[str]:
    """Return a line for each thing that the realm declares; the app's client goes by one name."""
    return frozenset(_declared(realm, app))


def _declared(realm: Mapping[str, Any], app: str | None) -> Iterator[str]:
    for client in realm.get("clients", []):
        name = client.get("clientId")
        if name in BUILT_IN_CLIENTS:
            continue
        name = "of the app" if name == app else name
        yield f"client {name}"
        for mapper in client.get("protocolMappers", []):
            yield f"mapper {mapper['name']} of client {name}"
        settings = client.get("authorizationSettings") or {}
        for kind in ("policies", "resources", "scopes"):
            for item in settings.get(kind, []):
                yield f"{kind} {item['name']} of client {name}"
        for use in client.get("authenticationFlowBindingOverrides") or {}:
            yield f"flow for {use} of client {name}"
    for scope in realm.get("clientScopes") or ():
        yield f"scope {scope['name']}"
        for mapper in scope.get("protocolMappers", []):
            yield f"mapper {mapper['name']} of scope {scope['name']}"
    roles = realm.get("roles", {})
    for role in roles.get("realm", []):
        if not role["name"].startswith("default-roles-"):
            yield f"role {role['name']}"
    for client, own in roles.get("client", {}).items():
        for role in own:
            yield f"role {role['name']} of client {'of the app' if client == app else client}"
    yield from _groups(realm.get("groups", []), "")
    for flow in realm.get("authenticationFlows") or ():
        if not flow.get("builtIn"):
            yield f"flow {flow['alias']}"
    for provider in realm.get("identityProviders") or ():
        yield f"identity provider {provider['alias']}"
    for mapper in realm.get("identityProviderMappers") or ():
        yield f"mapper {mapper['name']} of identity provider {mapper['identityProviderAlias']}"
    for action in realm.get("requiredActions") or ():
        # The server's migration of older exports changes the case of one.
        yield f"required action {action['alias'].lower()}"
    for user in realm.get("users", []):
        name = user["username"].lower()
        if not name.startswith("service-account-"):
            yield f"user {name}"
    for kind in ("policies", "profiles"):
        for item in realm.get(f"client{kind.capitalize()}", {}).get(kind, []):
            yield f"client {kind} {item['name']}"
    for organization in realm.get("organizations") or ():
        yield f"organization {organization['name']}"


def _groups(groups: list[Any], above: str) -> Iterator[str]:
    for group in groups:
        path = f"{above}/{group['name']}"
        yield f"group {path}"
        yield from _groups(group.get("subGroups", []), path)
