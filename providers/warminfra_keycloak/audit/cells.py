"""Where a credential can be tried on Keycloak, and how.

The endpoints of the protocol are written out; those of the admin API are taken from
`keycloak.urls_patterns`, so that a new one is covered when the library knows it. Verbs that change
something are tried with a body that would show in the tenant's digest. What a client has to show is
tried with the attacker's client, and with that of the place ("by its client"), as if an app were
handed a neighbour's token: the attacker's may be refused before the token is looked at.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping
from typing import Any

import httpx
from keycloak import urls_patterns

from warminfra.core.audit import Cell, Credential
from warminfra_keycloak.audit.artifacts import REDEEM, Make
from warminfra_keycloak.audit.holder import header
from warminfra_keycloak.audit.kinds import (
    ACCESS,
    ADMIN,
    BEARERS,
    COOKIE,
    ID,
    INITIAL,
    LOGOUT,
    OFFLINE,
    PASSWORD,
    REFRESH,
    REGISTRATION,
    SECRET,
    SERVICE,
)
from warminfra_keycloak.audit.target import Target, client_of, public_request

Whose = Callable[[Credential, Target], Mapping[str, str]]
"""Says as which client a request is made."""

LOGIN_FORM = "login form"
"""Two requests: the page, whose client is public, and the form on it."""
RESOURCE_SERVER = "an app that trusts the realm"
"""No request to the server but for its keys: an app looks at the token, as apps do."""


def cells(kind: str) -> list[Cell]:
    """Return the cells of a kind of credential, in a fixed order."""
    found = [
        Cell(kind, verb, name, answers_all=name.startswith(_ANSWERS_ALL))
        for verb, name, kinds, _ in _PROTOCOL
        if kind in kinds
    ]
    if kind == PASSWORD:
        found.append(Cell(kind, "POST", LOGIN_FORM, answers_all=True))
    if kind in (ACCESS, ID, LOGOUT, SERVICE):
        found.append(Cell(kind, "GET", RESOURCE_SERVER))
    if kind in (ACCESS, ADMIN):
        found += [Cell(kind, "GET", path, _server_wide(path)) for path in _ADMIN_PATHS]
        found += [Cell(kind, verb, path, _server_wide(path)) for verb, path, _ in _CHANGES]
    return found


def request(
    http: httpx.Client, cell: Cell, credential: Credential, target: Target
) -> httpx.Request:
    """Return the request that tries the credential in the cell."""
    for verb, name, _, make in _PROTOCOL:
        if (verb, name) == (cell.verb, cell.endpoint):
            return make(http, credential, target)
    body = next((b for v, p, b in _CHANGES if (v, p) == (cell.verb, cell.endpoint)), None)
    return http.build_request(
        cell.verb,
        f"{target.base}/{_fill(cell.endpoint, target)}",
        headers=_bearer(credential),
        json=body,
    )


# ---------------------------------------------------------------- the admin API

_NO_PLACE = ("{authorization-endpoint}",)
_ADMIN_PATHS = sorted(
    {
        path
        for name, path in vars(urls_patterns).items()
        if name.startswith("URL_ADMIN_") and not any(part in path for part in _NO_PLACE)
    }
)

_CHANGES: tuple[tuple[str, str, Any], ...] = (
    ("POST", urls_patterns.URL_ADMIN_REALMS, {"realm": "intruder", "enabled": True}),
    ("POST", urls_patterns.URL_ADMIN_USERS, {"username": "intruder", "enabled": True}),
    ("POST", urls_patterns.URL_ADMIN_CLIENTS, {"clientId": "intruder", "enabled": True}),
    ("POST", urls_patterns.URL_ADMIN_REALM_ROLES, {"name": "intruder"}),
    ("POST", urls_patterns.URL_ADMIN_GROUPS, {"name": "intruder"}),
    ("POST", urls_patterns.URL_ADMIN_CLIENT_SECRETS, None),
    ("POST", urls_patterns.URL_ADMIN_CLIENT_INITIAL_ACCESS, {"count": 1, "expiration": 60}),
    ("PUT", urls_patterns.URL_ADMIN_REALM, {"displayName": "intruder"}),
    ("PUT", urls_patterns.URL_ADMIN_CLIENT, {"description": "intruder"}),
    ("DELETE", urls_patterns.URL_ADMIN_CLIENT, None),
    ("POST", "admin/realms/{realm-name}/logout-all", None),
    ("POST", "admin/realms/{realm-name}/push-revocation", None),
    ("DELETE", urls_patterns.URL_ADMIN_REALM, None),
)


def _server_wide(path: str) -> bool:
    return "{realm-name}" not in path


def _fill(pattern: str, target: Target) -> str:
    names = {name for _, name, _, _ in string.Formatter().parse(pattern) if name}
    inside = _inside(pattern, target)
    return pattern.format(**{name: inside.get(name, "00000000") for name in names})


def _inside(pattern: str, target: Target) -> Mapping[str, str]:
    """Return the real ids of the target, as the worst attacker would know them."""
    known = {"realm-name": target.realm, "role-name": f"default-roles-{target.realm}"}
    objects = (target.lease or {}).get("audit", {})
    for place, name, kind in _PLACES:
        if re.search(place, pattern):
            known.setdefault(name, objects.get(kind, "00000000"))
    return known


_PLACES = (
    (r"/clients/\{id\}", "id", "client"),
    (r"/users/\{id\}", "id", "user"),
    (r"/groups/\{id\}", "id", "group"),
    (r"/flows/\{id\}", "id", "flow"),
    (r"-client-scopes/\{id\}", "id", "scope"),
    (r"\{flow-id\}", "flow-id", "flow"),
    (r"client-scopes/\{scope-id\}", "scope-id", "scope"),
    (r"\{client_scope_id\}", "client_scope_id", "scope"),
    (r"\{role-id\}", "role-id", "role"),
    (r"\{component-id\}", "component-id", "component"),
    (r"\{client-id\}", "client-id", "client"),
    (r"\{group-id\}", "group-id", "group"),
)
"""Where in a path which placeholder stands for an internal id of which kind of object."""


# ---------------------------------------------------------------- the protocol's endpoints


def _bearer(credential: Credential) -> dict[str, str]:
    """As an app asks: whoever does not say JSON gets the account console's page, token or not."""
    return {"Authorization": f"Bearer {credential.value.reveal()}", "Accept": "application/json"}


def _own(credential: Credential, _: Target) -> dict[str, str]:
    """Return the client authentication that the attacker has: its own."""
    return {name: credential.context[name].reveal() for name in ("client_id", "client_secret")}


_RESOURCES = "authz/protection/resource_set"


def _get(path: str, verb: str = "GET") -> Make:
    def make(http: httpx.Client, credential: Credential, target: Target) -> httpx.Request:
        url = f"{target.base}/realms/{target.realm}/{path}"
        return http.build_request(verb, url, headers=_bearer(credential))

    return make


def _introspect(client: Whose) -> Make:
    return _as_client(client, "token/introspect", "token", {})


def _revoke(client: Whose) -> Make:
    return _as_client(client, "revoke", "token", {})


def _log_out(client: Whose) -> Make:
    return _as_client(client, "logout", "refresh_token", {})


def _refresh(client: Whose) -> Make:
    return _as_client(client, "token", "refresh_token", {"grant_type": "refresh_token"})


def _exchange(client: Whose) -> Make:
    more = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
    }
    return _as_client(client, "token", "subject_token", more)


def _as_client(client: Whose, path: str, field: str, more: Mapping[str, str]) -> Make:
    """A client that shows a credential in a field of a form."""

    def make(http: httpx.Client, credential: Credential, target: Target) -> httpx.Request:
        data = {**more, field: credential.value.reveal(), **client(credential, target)}
        return http.build_request("POST", f"{target.oidc}/{path}", data=data)

    return make


def _logout_hint(http: httpx.Client, credential: Credential, target: Target) -> httpx.Request:
    params = {"id_token_hint": credential.value.reveal()}
    return http.build_request("GET", f"{target.oidc}/logout", params=params)


def _client_grant(grant: str) -> Make:
    def make(http: httpx.Client, credential: Credential, target: Target) -> httpx.Request:
        data = {
            "grant_type": grant,
            "client_id": credential.context["client_id"].reveal(),
            "client_secret": credential.value.reveal(),
            "refresh_token": "none",
            "code": "none",
        }
        return http.build_request("POST", f"{target.oidc}/token", data=data)

    return make


def _par(http: httpx.Client, credential: Credential, target: Target) -> httpx.Request:
    data = {
        "client_secret": credential.value.reveal(),
        "client_id": credential.context["client_id"].reveal(),
        "redirect_uri": credential.context["redirect_uri"].reveal(),
        "response_type": "code",
        "scope": "openid",
    }
    return http.build_request("POST", f"{target.oidc}/ext/par/request", data=data)


def _password_grant(client: Whose) -> Make:
    def make(http: httpx.Client, credential: Credential, target: Target) -> httpx.Request:
        data = {
            "grant_type": "password",
            "username": credential.context["username"].reveal(),
            "password": credential.value.reveal(),
            **client(credential, target),
        }
        return http.build_request("POST", f"{target.oidc}/token", data=data)

    return make


def _single_sign_on(http: httpx.Client, credential: Credential, target: Target) -> httpx.Request:
    """The cookies of one realm at another's authorization endpoint, whose client is public."""
    cookies = {name: secret.reveal() for name, secret in credential.context.items()}
    params = public_request(target) | {"prompt": "none"}
    return http.build_request(
        "GET", f"{target.oidc}/auth", params=params, headers={"Cookie": header(cookies)}
    )


def _protect(http: httpx.Client, credential: Credential, target: Target) -> httpx.Request:
    url = f"{target.base}/realms/{target.realm}/authz/protection/resource_set"
    body = {"name": "intruder"}
    return http.build_request("POST", url, json=body, headers=_bearer(credential))


def _permission(http: httpx.Client, credential: Credential, target: Target) -> httpx.Request:
    """What an app asks with its user's token: may this user, at the audience's resources?"""
    audience = target.lease["client"]["id"] if target.lease else "account"
    data = {"grant_type": "urn:ietf:params:oauth:grant-type:uma-ticket", "audience": audience}
    return http.build_request(
        "POST", f"{target.oidc}/token", data=data, headers=_bearer(credential)
    )


def _account_update(http: httpx.Client, credential: Credential, target: Target) -> httpx.Request:
    url = f"{target.base}/realms/{target.realm}/account/"
    body = {"firstName": "intruder", "lastName": "intruder", "email": "intruder@example.test"}
    return http.build_request("POST", url, json=body, headers=_bearer(credential))


def _registered(path: str) -> Make:
    """A client's registration, under the id that its client has at the target."""

    def make(http: httpx.Client, credential: Credential, target: Target) -> httpx.Request:
        client = target.lease["client"]["id"] if target.lease else "account"
        url = f"{target.base}/realms/{target.realm}/clients-registrations/{path}/{client}"
        return http.build_request("GET", url, headers=_bearer(credential))

    return make


def _register(path: str, body: Mapping[str, Any]) -> Make:
    def make(http: httpx.Client, credential: Credential, target: Target) -> httpx.Request:
        url = f"{target.base}/realms/{target.realm}/clients-registrations/{path}"
        return http.build_request("POST", url, json=dict(body), headers=_bearer(credential))

    return make


def _backchannel_logout(
    http: httpx.Client, credential: Credential, target: Target
) -> httpx.Request:
    data = {"logout_token": credential.value.reveal()}
    return http.build_request("POST", f"{target.oidc}/logout/backchannel-logout", data=data)


_ANSWERS_ALL = (
    *("introspection", "revocation", "logout by", "authorization", "device", "login-actions"),
)
"""Where even what never was valid gets a page, a redirect, or a friendly no."""
_ENROLLING = (ACCESS, ADMIN, SERVICE, INITIAL, REGISTRATION)
_PROTOCOL: tuple[tuple[str, str, tuple[str, ...], Make], ...] = (
    ("GET", "userinfo", BEARERS, _get("protocol/openid-connect/userinfo")),
    ("GET", "account", BEARERS, _get("account/?userProfileMetadata=true")),
    ("GET", "account sessions", (ACCESS, ADMIN), _get("account/sessions")),
    ("POST", "introspection", BEARERS, _introspect(_own)),
    ("POST", "introspection by its client", BEARERS, _introspect(client_of)),
    ("POST", "revocation", (REFRESH, OFFLINE), _revoke(_own)),
    ("POST", "revocation by its client", (REFRESH, OFFLINE), _revoke(client_of)),
    ("POST", "logout by refresh token", (REFRESH, OFFLINE), _log_out(_own)),
    ("POST", "logout by refresh token, by its client", (REFRESH, OFFLINE), _log_out(client_of)),
    ("POST", "token, refresh", (REFRESH, OFFLINE), _refresh(_own)),
    ("POST", "token, refresh by its client", (REFRESH, OFFLINE), _refresh(client_of)),
    ("POST", "token, exchange", (ACCESS, ADMIN, SERVICE), _exchange(_own)),
    ("POST", "token, exchange by its client", (ACCESS, ADMIN, SERVICE), _exchange(client_of)),
    ("POST", "token, permission", (ACCESS, ADMIN, SERVICE), _permission),
    ("POST", "account", (ACCESS, ADMIN, SERVICE), _account_update),
    ("GET", "account applications", (ACCESS, ADMIN), _get("account/applications")),
    ("GET", "account credentials", (ACCESS, ADMIN), _get("account/credentials")),
    ("GET", "account resources", (ACCESS, ADMIN), _get("account/resources")),
    ("GET", "account devices", (ACCESS, ADMIN), _get("account/sessions/devices")),
    ("DELETE", "account sessions", (ACCESS, ADMIN), _get("account/sessions", "DELETE")),
    ("GET", "authz/protection/resource_set", (ACCESS, SERVICE), _get(_RESOURCES)),
    ("POST", "authz/protection/resource_set", (ACCESS, SERVICE), _protect),
    ("GET", "authz/protection/permission", (ACCESS, SERVICE), _get("authz/protection/permission")),
    ("GET", "client registration", _ENROLLING, _registered("default")),
    ("GET", "client registration, openid-connect", _ENROLLING, _registered("openid-connect")),
    ("GET", "client's adapter file", _ENROLLING, _registered("install")),
    ("POST", "client registration", _ENROLLING, _register("default", {"clientId": "intruder"})),
    (
        *("POST", "client registration, openid-connect", _ENROLLING),
        _register("openid-connect", {"redirect_uris": ["https://intruder.example.test/"]}),
    ),
    ("POST", "backchannel logout", (LOGOUT, ID), _backchannel_logout),
    ("GET", "logout by hint", (ID,), _logout_hint),
    ("POST", "token, client credentials", (SECRET,), _client_grant("client_credentials")),
    ("POST", "token, client's refresh", (SECRET,), _client_grant("refresh_token")),
    ("POST", "pushed authorization request", (SECRET,), _par),
    ("POST", "token, password", (PASSWORD,), _password_grant(_own)),
    ("POST", "token, password by its client", (PASSWORD,), _password_grant(client_of)),
    ("GET", "authorization by cookie", (COOKIE,), _single_sign_on),
    *((verb, name, (kind,), make) for verb, name, kind, make in REDEEM),
)
"""Cells of the protocol: verb, name, the kinds that it takes, how the request is made."""
