"""What in a recipe's client or realm file cannot be made into a tenant. All of it at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from warminfra.core.entropy import SECRET_LENGTH
from warminfra.core.template import ClientSpec

_NAMED_LISTS = {
    "clients": "clientId",
    "users": "username",
    "groups": "name",
    "clientScopes": "name",
}
"""Lists of a realm export and the key that each of their objects must have."""
_BEFORE_2 = ("applications", "oauthClients", "userFederationProviders", "userFederationMappers")
"""What exports of Keycloak 1 have; a present one reads them no more."""
_OBJECTS = ("attributes", "components", "roles", "smtpServer", "clientScopeMappings", "defaultRole")
_LISTS = ("scopeMappings", "authenticationFlows", "identityProviders", "eventsListeners")
_OURS = ("id", "clientId", "secret", "redirectUris", "enabled", "registrationAccessToken")
_UNMET = re.compile(r"\b(upperCase|specialChars|regexPattern)\s*\(")
_LENGTH = re.compile(r"\b(length|maxLength)\s*\(\s*(\d+)\s*\)")


def problems_of(client: ClientSpec, realm: Mapping[str, Any]) -> list[str]:
    """Return a line for each fault: where it is, what is wrong, what is expected."""
    return [*_client(client), *_shapes(realm), *_policy(realm.get("passwordPolicy"))]


def _client(client: ClientSpec) -> Iterator[str]:
    for name in _OURS:
        if name in client.settings:
            yield f"sso.client.settings.{name}: not set here; each lease has its own"
    if not isinstance(client.settings.get("attributes", {}), Mapping):
        yield "sso.client.settings.attributes: not a table"


def _shapes(realm: Mapping[str, Any]) -> Iterator[str]:
    for key, name in _NAMED_LISTS.items():
        yield from _named(f"realm_file: {key}", realm.get(key, []), name)
    for key in _OBJECTS:
        if not isinstance(realm.get(key, {}), Mapping):
            yield f"realm_file: {key}: expected an object"
    for key in _LISTS:
        if not isinstance(realm.get(key, []), list):
            yield f"realm_file: {key}: expected a list"
    for key in _BEFORE_2:
        if realm.get(key):
            yield f"realm_file: {key}: no present Keycloak reads it; export from a newer one"
    roles = realm.get("roles", {})
    if isinstance(roles, Mapping):
        yield from _named("realm_file: roles.realm", roles.get("realm", []), "name")
        of_clients = roles.get("client", {})
        if not isinstance(of_clients, Mapping):
            yield "realm_file: roles.client: expected an object"
            return
        for client, own in of_clients.items():
            yield from _named(f"realm_file: roles.client.{client}", own, "name")


def _named(where: str, items: Any, name: str) -> Iterator[str]:
    if not isinstance(items, list):
        yield f"{where}: expected a list"
        return
    for index, item in enumerate(items):
        if not isinstance(item, Mapping) or not isinstance(item.get(name), str) or not item[name]:
            yield f"{where}[{index}]: expected an object with {name!r}"


def _policy(policy: Any) -> Iterator[str]:
    """Yield what leased passwords, of lower-case letters and digits, cannot meet."""
    if policy is None:
        return
    where = "realm_file: passwordPolicy"
    if not isinstance(policy, str):
        yield f"{where}: expected a text"
        return
    for rule in _UNMET.findall(policy):
        yield f"{where}: {rule} is not met by leased passwords; take it out"
    for rule, number in _LENGTH.findall(policy):
        if (rule == "length") == (int(number) > SECRET_LENGTH) and int(number) != SECRET_LENGTH:
            yield f"{where}: {rule}({number}): leased passwords have {SECRET_LENGTH} characters"
