"""What a template asks for by a provider's id that a server does not have.

Some of it the server fails on, at once or at a login, and says no more than "unknown error": that
is refused by name. The rest it passes over: that is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_POLICY = re.compile(r"([A-Za-z]+)\s*(?:\(|$)")
_THEMES = {
    "loginTheme": "login",
    "accountTheme": "account",
    "adminTheme": "admin",
    "emailTheme": "email",
}


class Server:
    """Which providers a server has, by what it tells of itself."""

    def __init__(self, info: Mapping[str, Any]) -> None:
        self._info = info

    def has(self, spi: str) -> frozenset[str]:
        """Return the ids of an SPI's providers."""
        return frozenset(self._info.get("providers", {}).get(spi, {}).get("providers", {}))

    @property
    def components(self) -> Mapping[str, frozenset[str]]:
        """Return type of component → ids."""
        types = self._info.get("componentTypes", {})
        return {kind: frozenset(c["id"] for c in found) for kind, found in types.items()}

    @property
    def brokers(self) -> frozenset[str]:
        return frozenset(found["id"] for found in self._info.get("identityProviders", []))

    @property
    def password_policies(self) -> frozenset[str]:
        return frozenset(found["id"] for found in self._info.get("passwordPolicies", []))

    def themes(self, kind: str) -> frozenset[str]:
        return frozenset(t["name"] for t in self._info.get("themes", {}).get(kind, []))


def fatal(base: Mapping[str, Any], server: Server) -> list[str]:
    """Return a line for each thing that the server would fail on."""
    return [
        *_components(base.get("components", {}), server.components),
        *_brokers(base, server),
        *_clients(base, server),
        *_steps(base, server, built_in=False),
        *_client_policies(base, server),
        *_password_policy(base, server),
    ]


def passed_over(base: Mapping[str, Any], server: Server) -> list[str]:
    """Return a line for each thing that the server would do without."""
    has = server.has("protocol-mapper")
    owners = [*base.get("clients", []), *(base.get("clientScopes") or [])]
    mappers = (mapper for owner in owners for mapper in owner.get("protocolMappers", []))
    return [
        *_missing("mapper", (m.get("protocolMapper", "") for m in mappers), has),
        *_missing(
            "mapper of identity providers",
            (m.get("identityProviderMapper", "") for m in base.get("identityProviderMappers", [])),
            server.has("identity-provider-mapper"),
        ),
        *_missing(
            "required action",
            (a.get("providerId", "") for a in base.get("requiredActions", []) if a.get("enabled")),
            server.has("required-action") | _RENAMED,
        ),
        *_missing("event listener", base.get("eventsListeners", []), server.has("eventsListener")),
        *(
            line
            for key, kind in _THEMES.items()
            for line in _missing(f"{kind} theme", [base.get(key) or ""], server.themes(kind))
        ),
        *_steps(base, server, built_in=True),
    ]


_RENAMED = frozenset({"terms_and_conditions"})
"""What the server's own migration of older exports renames."""


def _missing(what: str, wanted: Iterable[str], has: frozenset[str]) -> list[str]:
    gone = sorted({found for found in wanted if found} - has)
    return [f"{what} {found}: the server has none, and does without" for found in gone]


def _components(components: Mapping[str, Any], has: Mapping[str, frozenset[str]]) -> Iterator[str]:
    for kind, found in components.items():
        for component in found:
            if component.get("providerId") not in has.get(kind, frozenset()):
                where = f"realm_file: components: {kind.rpartition('.')[2]}"
                yield f"{where} {component.get('providerId')!r}{_NOT_HERE}"
            yield from _components(component.get("subComponents", {}), has)


_NOT_HERE = ": the server has no such provider; take it out, or use a server that has it"


def _brokers(base: Mapping[str, Any], server: Server) -> Iterator[str]:
    for broker in base.get("identityProviders") or ():
        if broker.get("providerId") not in server.brokers:
            where = f"realm_file: identityProviders: {broker.get('alias')}"
            yield f"{where}: {broker.get('providerId')!r}{_NOT_HERE}"


def _clients(base: Mapping[str, Any], server: Server) -> Iterator[str]:
    kinds = {"protocol": "login-protocol", "clientAuthenticatorType": "client-authenticator"}
    policies = server.has("policy")
    for client in base.get("clients", []):
        where = f"realm_file: clients: {client['clientId']}"
        for key, spi in kinds.items():
            if client.get(key) and client[key] not in server.has(spi):
                yield f"{where}: {key}: {client[key]!r}{_NOT_HERE}"
        for policy in (client.get("authorizationSettings") or {}).get("policies", []):
            if policy.get("type") not in policies:
                yield f"{where}: policy {policy.get('name')!r}: {policy.get('type')!r}{_NOT_HERE}"


def _steps(base: Mapping[str, Any], server: Server, *, built_in: bool) -> Iterator[str]:
    """Yield steps of flows: older built-in ones may have some that newer servers do without."""
    has = frozenset[str]().union(
        *map(server.has, ("authenticator", "form-action", "form-authenticator")),
        server.has("client-authenticator"),
    )
    for flow in base.get("authenticationFlows") or ():
        for step in flow.get("authenticationExecutions", []):
            name = step.get("authenticator")
            if not name or name in has or step.get("requirement") == "DISABLED":
                continue
            if built_in and flow.get("builtIn"):
                yield f"step {name} of flow {flow['alias']}: the server has none"
            elif not built_in and not flow.get("builtIn"):
                yield f"realm_file: authenticationFlows: {flow['alias']}: {name!r}{_NOT_HERE}"


def _client_policies(base: Mapping[str, Any], server: Server) -> Iterator[str]:
    lists = (
        ("clientProfiles", "profiles", "executors", "executor", "client-policy-executor"),
        ("clientPolicies", "policies", "conditions", "condition", "client-policy-condition"),
    )
    for top, items, parts, key, spi in lists:
        for item in (base.get(top) or {}).get(items, []):
            for part in item.get(parts) or ():
                if part.get(key) not in server.has(spi):
                    where = f"realm_file: {top}: {item.get('name')}"
                    yield f"{where}: {part.get(key)!r}{_NOT_HERE}"


def _password_policy(base: Mapping[str, Any], server: Server) -> Iterator[str]:
    for rule in str(base.get("passwordPolicy") or "").split(" and "):
        found = _POLICY.match(rule.strip())
        if found and found[1] not in server.password_policies:
            yield f"realm_file: passwordPolicy: {found[1]!r}{_NOT_HERE}"
