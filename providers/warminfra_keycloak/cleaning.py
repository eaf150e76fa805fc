"""Takes the identity out of a realm export and leaves its meaning.

Invariant: what is left has no id, no key and no secret of the realm it came from, nothing that
names that realm, and no order that means nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from warminfra.core.template import ClientSpec
from warminfra_keycloak.realm import KEY_PROVIDER
from warminfra_keycloak.references import (
    CLIENT,
    DEFAULT_ROLE,
    Json,
    decode_policies,
    rename,
    rename_client,
)

BUILT_IN_CLIENTS = frozenset(
    {"account", "account-console", "admin-cli", "admin-permissions", "broker"}
    | {"realm-management", "security-admin-console"}
)
_ROLE_NAMES = """
    create-client delete-account impersonation manage-account manage-account-links
    manage-authorization manage-clients manage-consent manage-events manage-identity-providers
    manage-realm manage-users query-clients query-groups query-realms query-users read-token
    realm-admin view-applications view-authorization view-clients view-consent view-events
    view-groups view-identity-providers view-profile view-realm view-users
    """
_ROLES = frozenset(_ROLE_NAMES.split())
"""Roles of the built-in clients; the server's own description of one tells those of later ones."""
_VERSION = re.compile(r"(\d+)\.")
_MIGRATES_FROM = 18
_REGISTRATION = "org.keycloak.services.clientregistration.policy.ClientRegistrationPolicy"
_MASKED = "**********"

_OURS = ("id", "realm", "enabled", "notBefore")
"""Not `keycloakVersion`: by it the server migrates what an older one has exported."""
_REALM_KEYS = ("publicKey", "privateKey", "certificate", "codeSecret")
_IDS = frozenset({"id", "_id", "containerId", "parentId", "flowId", "internalId"})
_OBSERVED = frozenset(
    {"access", "createdTimestamp", "subGroupCount", "origin", "self", "federationLink"}
)
_FREE = frozenset({"config", "configuration", "attributes", "smtpServer", "browserSecurityHeaders"})
"""Maps with names of somebody's choice: `id` in them is no internal id."""
_SECRET = re.compile(
    r"(?i)(secret(\.rotated)?|password|(private|secret|api)[._]?key|bindcredential|accesstoken|secretdata)$"
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
_ORDERED = frozenset(
    {"authenticationExecutions", "requiredActions", "supportedLocales", "clientPolicies"}
    | {"clientProfiles", "attributes", "config", "webAuthnPolicySignatureAlgorithms"}
    | {"webAuthnPolicyPasswordlessSignatureAlgorithms"}
)
"""Below these the order of a list says something: which comes first, or is preferred."""
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
        if realm.get("realm") == "master":
            self._realms_of_master()
        self._drop(realm, _OURS, "name, id and state of the exported realm")
        self._drop(realm, _REALM_KEYS, "keys of the realm")
        self._drop(realm, ("federatedUsers",), "what is kept here of users who are elsewhere")
        self._drop(realm.get("attributes", {}), ("frontendUrl",), "the realm's own frontend URL")
        marks = [key for key in realm.get("attributes", {}) if key.startswith("warminfra.")]
        self._drop(realm.get("attributes", {}), marks, "marks of the tenant that was exported")
        self._version()
        self._components()
        self._flows()
        decode_policies(realm)
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

    def _realms_of_master(self) -> None:
        """Take out of an export of master what stands there for the server's realms."""
        realm = self._realm
        others = {c["clientId"] for c in realm.get("clients", []) if _of_a_realm(c["clientId"])}
        others |= {name for name in realm.get("roles", {}).get("client", {}) if _of_a_realm(name)}
        realm["clients"] = [c for c in realm.get("clients", []) if c["clientId"] not in others]
        _forget_clients(realm, others)
        self._count("clients of master that stand for realms", len(others))

    def _version(self) -> None:
        """Keep a version from which the server's migration of exports works."""
        found = _VERSION.match(str(self._realm.get("keycloakVersion", "")))
        if found is None or int(found[1]) < _MIGRATES_FROM:
            self._drop(self._realm, ("keycloakVersion",), "the version that exported")

    def _components(self) -> None:
        components = self._realm.get("components", {})
        self._drop(components, (KEY_PROVIDER,), "signing and encryption keys")
        self._drop(
            components, (_REGISTRATION,), "client registration policies (the server's serve)"
        )

    def _flows(self) -> None:
        flows = self._realm.get("authenticationFlows")
        own = {flow.get("id"): flow.get("alias") for flow in flows or ()}
        if flows is not None and all(flow.get("builtIn") for flow in flows):
            what = "built-in login flows (the server's serve)"
            self._drop(self._realm, ("authenticationFlows", "authenticatorConfig"), what)
            own = {}
        for client in self._realm.get("clients", []):
            bound = client.pop("authenticationFlowBindingOverrides", None) or {}
            kept = {use: own[flow] for use, flow in bound.items() if flow in own}
            if kept:
                client["authenticationFlowBindingOverrides"] = kept
            self._count("bindings of clients to built-in flows", len(bound) - len(kept))

    def _clients(self) -> None:
        realm = self._realm
        clients = realm.get("clients", [])
        own = [c for c in clients if c["clientId"] not in BUILT_IN_CLIENTS]
        self._count("built-in clients", len(clients) - len(own))
        fine = [c for c in clients if c.get("authorizationSettings") and c not in own]
        self._count("fine-grained permissions of admins, which name internal ids", len(fine))
        if "clients" in realm:
            realm["clients"] = own
        self._built_in_roles(realm.get("roles", {}).get("client", {}))
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
        for owner in (
            realm.get("roles", {}).get("client", {}),
            realm.get("clientScopeMappings", {}),
        ):
            if old in owner:
                owner[CLIENT] = owner.pop(old)
        rename_client(realm, old)
        app["clientId"] = CLIENT
        self._count(f"client {old} is taken for the app's, under an id of each lease", 1)

    def _built_in_roles(self, of_clients: Json) -> None:
        """Take out the roles that the server gives its own clients; others were added by people."""
        for client in BUILT_IN_CLIENTS & of_clients.keys():
            roles = of_clients.pop(client)
            added = [r for r in roles if not _by_the_server(r)]
            if added:
                of_clients[client] = added
            self._count("roles of built-in clients", len(roles) - len(added))

    def _app_client(self, own: Sequence[Json]) -> Json | None:
        """Return the client of the file that is the app's: by id, by recipe, or the only one."""
        fit = [
            c
            for c in own
            if c.get("protocol", "openid-connect") == "openid-connect" and not c.get("bearerOnly")
        ]
        for wanted in (self._spec.realm_client, self._spec.id_pattern, self._recipe):
            for client in fit:
                if client["clientId"] == wanted:
                    return client
        if len(fit) > 1:
            names = ", ".join(sorted(client["clientId"] for client in fit))
            self._count(
                f"no client is taken for the app's: name one by sso.client.realm_client ({names})",
                1,
            )
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
            if key == "localizationTexts":
                continue  # words for people: `id` is a language there, `password` a label
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
                # What is below a free map is free: a policy's roles are named by `id`.
                self._secrets_and_ids(value, free=free or key in _FREE)

    # ------------------------------------------------------------ counting

    def _drop(self, node: Json, keys: Sequence[str] | frozenset[str], what: str) -> None:
        self._count(what, sum(node.pop(key, None) not in (None, [], {}, "") for key in keys))

    def _count(self, what: str, number: int) -> None:
        if number:
            self._out[what] += number


def _by_the_server(role: Json) -> bool:
    return role["name"] in _ROLES or role.get("description") == f"${{role_{role['name']}}}"


def _of_a_realm(client: str) -> bool:
    return client.endswith("-realm")


def _forget_clients(node: Any, gone: Iterable[str]) -> None:
    """Take out every role of these clients that somebody has."""
    if isinstance(node, list):
        for item in node:
            _forget_clients(item, gone)
    if not isinstance(node, dict):
        return
    for key in ("clientRoles", "client", "clientScopeMappings"):
        owners = node.get(key)
        if isinstance(owners, dict):
            for client in gone:
                owners.pop(client, None)
    for value in node.values():
        _forget_clients(value, gone)


def _ordered(node: Any, key: str = "", *, kept: bool = False) -> Any:
    kept = kept or key in _ORDERED
    if isinstance(node, dict):
        return {name: _ordered(node[name], name, kept=kept) for name in sorted(node)}
    if not isinstance(node, list):
        return node
    items = [_ordered(item, kept=kept) for item in node]
    return items if kept else sorted(items, key=_rank)


def _rank(item: Any) -> tuple[str, str]:
    if isinstance(item, dict):
        named = next((str(item[name]) for name in _NAMES if name in item), "")
        return named, str(sorted(item.items(), key=lambda pair: pair[0]))
    return str(item), ""
