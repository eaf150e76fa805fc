"""Takes the identity out of a realm export and leaves its meaning.

Invariant: what is left has no id, no key and no secret of the realm it came from, nothing that
names that realm, and no order that means nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from warminfra.core.template import ClientSpec
from warminfra_keycloak.realm import (
    CLIENT,
    CLIENT_ACCOUNT,
    DEFAULT_ROLE,
    KEY_PROVIDER,
    Json,
    rename,
)

BUILT_IN_CLIENTS = frozenset(
    {"account", "account-console", "admin-cli", "broker", "realm-management"}
    | {"security-admin-console"}
)
_REGISTRATION = "org.keycloak.services.clientregistration.policy.ClientRegistrationPolicy"
_MASKED = "**********"

_OURS = ("id", "realm", "enabled", "keycloakVersion", "notBefore")
_REALM_KEYS = ("publicKey", "privateKey", "certificate", "codeSecret")
_IDS = frozenset({"id", "_id", "containerId", "parentId", "flowId", "internalId"})
_OBSERVED = frozenset(
    {"access", "createdTimestamp", "subGroupCount", "origin", "self", "federationLink"}
)
_FREE = frozenset({"config", "attributes", "smtpServer", "browserSecurityHeaders"})
"""Maps with names of somebody's choice: `id` in them is no internal id."""
_SECRET = re.compile(
    r"(?i)(secret|password|private[._]?key|bindcredential|accesstoken|secretdata|storetoken)$"
)
_SECRET_TIME = "client.secret.creation.time"  # noqa: S105
_USER_DROPS = (
    "credentials",
    "disableableCredentialTypes",
    "federatedIdentities",
    "notBefore",
    "totp",
    "clientConsents",
)
_CLIENT_PLACES = ("rootUrl", "baseUrl", "adminUrl", "redirectUris", "webOrigins")
_PLACE_ATTRIBUTES = (
    "post.logout.redirect.uris",
    "backchannel.logout.url",
    "frontchannel.logout.url",
    "logoUri",
    "policyUri",
    "tosUri",
)
_ORDERED = frozenset({"authenticationExecutions", "requiredActions", "supportedLocales"})
_NAMES = ("clientId", "username", "name", "alias", "providerId", "client", "clientScope")


class Cleaner:
    """One pass over one realm export; counts what it takes out."""

    def __init__(self, recipe: str, client: ClientSpec, realm: Json) -> None:
        self._recipe = recipe
        self._spec = client
        self._realm = realm
        self._out: Counter[str] = Counter()

    def lines(self) -> list[str]:
        """Return a line for each kind of thing that was taken out."""
        return [f"{what}: {n}" if n > 1 else what for what, n in sorted(self._out.items())]

    def clean(self) -> Json:
        """Return the cleaned realm. To be called once; it works on the document given."""
        realm = self._realm
        if not realm:
            return {}
        default_role = (
            realm.get("defaultRole", {}).get("name") or f"default-roles-{realm.get('realm')}"
        )
        self._drop(realm, _OURS, "name, id, state and version of the exported realm")
        self._drop(realm, _REALM_KEYS, "keys of the realm")
        self._drop(realm.get("attributes", {}), ("frontendUrl",), "the realm's own frontend URL")
        marks = [key for key in realm.get("attributes", {}) if key.startswith("warminfra.")]
        self._drop(realm.get("attributes", {}), marks, "marks of the tenant that was exported")
        self._components()
        self._flows()
        self._clients()
        self._users()
        self._secrets_and_ids(realm, free=False)
        rename(realm, {default_role: DEFAULT_ROLE})
        for role in realm.get("roles", {}).get("realm", []):
            if role["name"] == DEFAULT_ROLE:
                # The server adds its own; a composite with a client that it is still to make fails.
                role.get("composites", {}).pop("client", None)
        ordered = {key: _ordered(realm[key], key) for key in sorted(realm)}
        return {key: value for key, value in ordered.items() if value is not None}

    # ------------------------------------------------------------ parts

    def _components(self) -> None:
        components = self._realm.get("components", {})
        self._drop(components, (KEY_PROVIDER,), "signing and encryption keys")
        self._drop(
            components, (_REGISTRATION,), "client registration policies (the server's serve)"
        )

    def _flows(self) -> None:
        flows = self._realm.get("authenticationFlows")
        if flows is not None and all(flow.get("builtIn") for flow in flows):
            what = "built-in login flows (the server's serve)"
            self._drop(self._realm, ("authenticationFlows", "authenticatorConfig"), what)

    def _clients(self) -> None:
        realm = self._realm
        clients = realm.get("clients", [])
        own = [c for c in clients if c["clientId"] not in BUILT_IN_CLIENTS]
        self._count("built-in clients", len(clients) - len(own))
        if "clients" in realm:
            realm["clients"] = own
        for client in own:
            if client.pop("authenticationFlowBindingOverrides", None):
                self._count("bindings of clients to flows by id", 1)
        of_clients = realm.get("roles", {}).get("client", {})
        self._drop(of_clients, BUILT_IN_CLIENTS, "roles of built-in clients")
        for mappings in (
            realm.get("scopeMappings", []),
            *realm.get("clientScopeMappings", {}).values(),
        ):
            mappings[:] = [m for m in mappings if m.get("client") not in BUILT_IN_CLIENTS]
        app = self._app_client(own)
        if app is None:
            return
        old = app["clientId"]
        self._drop(app, _CLIENT_PLACES, "addresses of the app's client (the recipe's serve)")
        self._drop(
            app.get("attributes", {}),
            _PLACE_ATTRIBUTES,
            "addresses of the app's client (the recipe's serve)",
        )
        for owner in (of_clients, realm.get("clientScopeMappings", {})):
            if old in owner:
                owner[CLIENT] = owner.pop(old)
        _rename_client(realm, old)
        app["clientId"] = CLIENT
        self._count(f"client {old} is taken for the app's, under an id of each lease", 1)

    def _app_client(self, own: Sequence[Json]) -> Json | None:
        """Return the client of the file that is the app's: by id, by recipe, or the only one."""
        fit = [
            c
            for c in own
            if c.get("protocol", "openid-connect") == "openid-connect" and not c.get("bearerOnly")
        ]
        for wanted in (self._spec.id_pattern, self._recipe):
            for client in fit:
                if client["clientId"] == wanted:
                    return client
        if len(fit) > 1:
            self._count("no client is taken for the app's: name one by sso.client.id", 1)
        return fit[0] if len(fit) == 1 else None

    def _users(self) -> None:
        users = self._realm.get("users", [])
        built_in = {f"service-account-{client}" for client in BUILT_IN_CLIENTS}
        users[:] = [user for user in users if user["username"] not in built_in]
        for user in users:
            self._drop(user, _USER_DROPS, "credentials and links of users")

    def _secrets_and_ids(self, node: Any, *, free: bool) -> None:
        """Take out ids and secrets everywhere below; `free` maps keep their `id`."""
        if isinstance(node, list):
            for item in node:
                self._secrets_and_ids(item, free=free)
        if not isinstance(node, dict):
            return
        for key in list(node):
            value = node[key]
            if key in _IDS and not free:
                del node[key]
                self._count("internal ids", 1)
            elif value in (_MASKED, [_MASKED]) or (
                _SECRET.search(key) and isinstance(value, str | list) and value
            ):
                del node[key]
                self._count("secrets", 1)
            elif key == _SECRET_TIME or (key in _OBSERVED and not free):
                del node[key]
            else:
                self._secrets_and_ids(value, free=key in _FREE)

    # ------------------------------------------------------------ counting

    def _drop(self, node: Json, keys: Sequence[str] | frozenset[str], what: str) -> None:
        self._count(what, sum(node.pop(key, None) not in (None, [], {}, "") for key in keys))

    def _count(self, what: str, number: int) -> None:
        if number:
            self._out[what] += number


def _rename_client(node: Any, old: str) -> None:
    """Put the placeholder where the document names the client, and nowhere else."""
    if isinstance(node, list):
        for item in node:
            _rename_client(item, old)
    if not isinstance(node, dict):
        return
    for key in (
        "client",
        "serviceAccountClientId",
        "included.client.audience",
        "usermodel.clientRoleMapping.clientId",
    ):
        if node.get(key) == old:
            node[key] = CLIENT
    if node.get("username") == f"service-account-{old}":
        node["username"] = CLIENT_ACCOUNT
    for key in ("clientRoles", "client"):
        owners = node.get(key)
        if isinstance(owners, dict) and old in owners:
            owners[CLIENT] = owners.pop(old)
    for value in node.values():
        _rename_client(value, old)


def _ordered(node: Any, key: str = "") -> Any:
    if isinstance(node, dict):
        return {name: _ordered(node[name], name) for name in sorted(node)}
    if not isinstance(node, list):
        return node
    items = [_ordered(item) for item in node]
    return items if key in _ORDERED else sorted(items, key=_rank)


def _rank(item: Any) -> tuple[str, str]:
    if isinstance(item, dict):
        named = next((str(item[name]) for name in _NAMES if name in item), "")
        return named, str(sorted(item.items(), key=lambda pair: pair[0]))
    return str(item), ""
