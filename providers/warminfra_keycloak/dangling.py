"""What in a cleaned realm refers to something that is not there: the server fails on it without a
word of what it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from warminfra_keycloak.features import FLOW_BINDINGS
from warminfra_keycloak.references import CLIENT, DEFAULT_ROLE, groups

_BY_THE_SERVER = frozenset({"offline_access", "uma_authorization", DEFAULT_ROLE})


def dangling(
    base: Mapping[str, Any], built_in: frozenset[str], people: frozenset[str]
) -> list[str]:
    """Return a line for each; `built_in` are the clients that the server makes itself, `people`
    the users that the recipe names besides the file's."""
    clients = {CLIENT, *built_in, *(client["clientId"] for client in base.get("clients", []))}
    return [
        *_composites(base.get("roles", {}), clients, built_in),
        *_grants("users", base.get("users", []), "username", clients),
        *_grants("groups", [line[-1] for _, line in groups(base)], "name", clients),
        *_members(base),
        *_bindings(base),
        *_policies(base, clients, people),
    ]


def _composites(
    roles: Mapping[str, Any], clients: set[str], built_in: frozenset[str]
) -> Iterator[str]:
    of_realm = {role["name"] for role in roles.get("realm", [])} | _BY_THE_SERVER
    of_client = {
        client: {role["name"] for role in own} for client, own in roles.get("client", {}).items()
    }
    everything = [
        *roles.get("realm", []),
        *(role for own in roles.get("client", {}).values() for role in own),
    ]
    for role in everything:
        parts = role.get("composites", {})
        where = f"realm_file: roles: {role['name']}"
        for name in parts.get("realm", []):
            if name not in of_realm:
                yield f"{where}: is made of {name!r}, which is no role of the file"
        for client, names in parts.get("client", {}).items():
            if client not in clients:
                yield f"{where}: is made of roles of {client!r}, which is no client of the file"
            elif client not in built_in:
                for name in set(names) - of_client.get(client, set()):
                    yield f"{where}: is made of {name!r}, which is no role of client {client!r}"


def _grants(kind: str, holders: list[Any], name: str, clients: set[str]) -> Iterator[str]:
    for holder in holders:
        for client in holder.get("clientRoles", {}).keys() - clients:
            where = f"realm_file: {kind}: {holder[name]}"
            yield f"{where}: has roles of {client!r}, which is no client of the file"


def _members(base: Mapping[str, Any]) -> Iterator[str]:
    paths = {path for path, _ in groups(base)}
    for user in base.get("users", []):
        for path in user.get("groups", []):
            if path.strip("/") not in paths:
                where = f"realm_file: users: {user['username']}"
                yield f"{where}: is in {path!r}, which is no group of the file"


def _policies(base: Mapping[str, Any], clients: set[str], people: frozenset[str]) -> Iterator[str]:
    """Yield what policies name. A partial export has policies that name users, and no users."""
    users = people | {user["username"].lower() for user in base.get("users", [])}
    paths = {path for path, _ in groups(base)}
    for client in base.get("clients", []):
        for policy in (client.get("authorizationSettings") or {}).get("policies", []):
            config = policy.get("config") or {}
            of = "the app's" if client["clientId"] == CLIENT else client["clientId"]
            where = f"realm_file: clients: {of}: policy {policy.get('name')!r}"
            for name in _listed(config, "users"):
                account = str(name).removeprefix("service-account-")
                if str(name).lower() not in users and account not in clients:
                    yield f"{where}: user {name!r} is not in the file; name it as [[sso.users]]"
            for name in _listed(config, "clients"):
                if name not in clients:
                    yield f"{where}: {name!r} is no client of the file"
            for group in _listed(config, "groups"):
                if str(group.get("path", "")).strip("/") not in paths:
                    yield f"{where}: {group.get('path')!r} is no group of the file"


def _listed(config: Mapping[str, Any], key: str) -> list[Any]:
    found = config.get(key)
    return found if isinstance(found, list) else []


def _bindings(base: Mapping[str, Any]) -> Iterator[str]:
    known = {flow.get("alias") for flow in base.get("authenticationFlows", [])}
    known |= {None, *FLOW_BINDINGS.values()}
    for use in FLOW_BINDINGS:
        flow = base.get(use)
        if flow not in known:
            yield f"realm_file: {use}: {flow!r} is no flow of the file"
