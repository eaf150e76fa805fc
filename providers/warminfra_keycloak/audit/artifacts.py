"""One-shot artifacts: how a lease comes by each, and where each is redeemed.

Redeeming is tried in the strictest form: with the *target's* own client, as if its holder had been
handed a neighbour's artifact. What a template does not yield is refused with the server's words.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from warminfra.core.audit import Credential
from warminfra.core.errors import ProviderRefused
from warminfra.core.models import JsonObject
from warminfra.core.secret import Secret
from warminfra_keycloak.audit import jose, kinds
from warminfra_keycloak.audit.holder import (
    asks,
    cookies_of,
    header,
    login,
    redirect_of,
)
from warminfra_keycloak.audit.target import Target, client_of, public_request


@dataclass(frozen=True, slots=True)
class JwtClient:
    """A client that authenticates by signed assertions."""

    id: str
    algorithm: str
    sign: jose.Sign
    header: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Means:
    """What a tenant has beyond its lease document, and by whose hand it is there."""

    jwt_client: JwtClient | None = None
    ask_for_mail: Callable[[], str] | None = None
    """Makes the tenant send a mail; returns the link in it."""


Mint = Callable[[httpx.Client, JsonObject, Means], Credential]
Make = Callable[[httpx.Client, Credential, Target], httpx.Request]

_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_UMA_GRANT = "urn:ietf:params:oauth:grant-type:uma-ticket"
_JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ACTION = re.compile(r'<form[^>]*action="([^"]+)"')
_CONSENT = re.compile(r'name="code" value="([^"]+)"')
_HOPS = 6
ASSERTION_LIFE = 50
FOR_NOBODY = "for nobody"
"""In an assertion's context: one as well signed, whose audience is no tenant's issuer. A careless
test suite has one key everywhere, so only the audience says where an assertion belongs."""


# ---------------------------------------------------------------- how a lease comes by them


def mint_code(http: httpx.Client, lease: JsonObject, _: Means) -> Credential:
    """A code, by a login of its own."""
    return _artifact(kinds.CODE, lease, login(http, lease).code)


def mint_request_uri(http: httpx.Client, lease: JsonObject, _: Means) -> Credential:
    """What pushing an authorization request yields."""
    data = {**asks(lease), **_client(lease)}
    found = _posted(http, f"{_oidc(lease)}/ext/par/request", data)
    return _artifact(kinds.PAR, lease, found["request_uri"])


def mint_user_code(http: httpx.Client, lease: JsonObject, _: Means) -> Credential:
    """The code that a person types at the device page; nobody has typed it yet."""
    return _artifact(kinds.USER_CODE, lease, _device(http, lease)["user_code"])


def mint_device_code(http: httpx.Client, lease: JsonObject, _: Means) -> Credential:
    """A device code that a user has approved: it is good for tokens at once."""
    found = _device(http, lease)
    browser = dict(login(http, lease).cookies)
    url = found["verification_uri_complete"]
    for _hop in range(_HOPS):
        page = http.get(url, headers={"Cookie": header(browser)})
        browser |= cookies_of(page)
        if "location" not in page.headers:
            break
        url = page.headers["location"]
    form, ticket = _ACTION.search(page.text), _CONSENT.search(page.text)
    if form is None or ticket is None:
        raise ProviderRefused(f"no consent page for a device at {lease['tenant']}")
    http.post(
        str(httpx.URL(url).join(unescape(form.group(1)))),
        data={"accept": "Yes", "code": ticket.group(1)},
        headers={"Cookie": header(browser)},
    )
    return _artifact(kinds.DEVICE, lease, found["device_code"])


def mint_login_code(http: httpx.Client, lease: JsonObject, _: Means) -> Credential:
    """The session code of a login that has begun, with the cookies that belong to it."""
    page = http.get(lease["endpoints"]["authorization"], params=asks(lease))
    form = _ACTION.search(page.text)
    if form is None:
        raise ProviderRefused(f"no login form at {lease['tenant']}")
    query = {name: found[0] for name, found in _query(unescape(form.group(1))).items()}
    user = lease["users"][0]
    more = {
        **{f"cookie {name}": value for name, value in cookies_of(page).items()},
        **{name: query.get(name, "") for name in ("execution", "tab_id", "client_data")},
        "username": user["username"],
        "password": user["password"],
    }
    return _artifact(kinds.LOGIN, lease, query["session_code"], **more)


def mint_assertion(http: httpx.Client, lease: JsonObject, means: Means) -> Credential:
    """A client's signed assertion for its own issuer, as the lease's JWT client makes it."""
    if means.jwt_client is None:
        raise ProviderRefused("it has no client that signs assertions")
    text = assertion(means.jwt_client, lease["issuer"], secrets.token_hex(16))
    stranger = assertion(means.jwt_client, f"{lease['issuer']}-of-nobody", secrets.token_hex(16))
    return _artifact(kinds.ASSERTION, lease, text, **{FOR_NOBODY: stranger})


def mint_ticket(http: httpx.Client, lease: JsonObject, _: Means) -> Credential:
    """A permission ticket for a resource that the app registers."""
    token = service_token(http, lease)
    bearer = {"Authorization": f"Bearer {token}"}
    base = f"{lease['issuer']}/authz/protection"
    made = http.post(f"{base}/resource_set", json={"name": secrets.token_hex(8)}, headers=bearer)
    if made.status_code != httpx.codes.CREATED:
        raise ProviderRefused(f"no protected resource: {_words(made)}")
    asked = http.post(
        f"{base}/permission", json=[{"resource_id": made.json()["_id"]}], headers=bearer
    )
    if asked.status_code != httpx.codes.CREATED:
        raise ProviderRefused(f"no permission ticket: {_words(asked)}")
    return _artifact(kinds.TICKET, lease, asked.json()["ticket"])


def mint_backchannel(http: httpx.Client, lease: JsonObject, _: Means) -> Credential:
    """The id of a backchannel authentication (CIBA)."""
    data = {**_client(lease), "scope": "openid", "login_hint": lease["users"][0]["username"]}
    found = _posted(http, f"{_oidc(lease)}/ext/ciba/auth", data)
    return _artifact(kinds.BACKCHANNEL, lease, found["auth_req_id"])


def mint_action(http: httpx.Client, lease: JsonObject, means: Means) -> Credential:
    """An action token out of a mail; only a tenant that may send mail has one."""
    if means.ask_for_mail is None:
        raise ProviderRefused("it sends no mail")
    (key,) = _query(means.ask_for_mail())["key"]
    return _artifact(kinds.ACTION, lease, key)


MINTS: Mapping[str, Mint] = {
    kinds.CODE: mint_code,
    kinds.PAR: mint_request_uri,
    kinds.DEVICE: mint_device_code,
    kinds.USER_CODE: mint_user_code,
    kinds.ACTION: mint_action,
    kinds.LOGIN: mint_login_code,
    kinds.ASSERTION: mint_assertion,
    kinds.TICKET: mint_ticket,
    kinds.BACKCHANNEL: mint_backchannel,
}


def assertion(client: JwtClient, audience: str, jti: str) -> str:
    """Return a signed assertion of the client; lives for `ASSERTION_LIFE` seconds."""
    now = int(time.time())
    claims = {
        **{"iss": client.id, "sub": client.id, "aud": audience, "jti": jti},
        **{"iat": now, "exp": now + ASSERTION_LIFE},
    }
    return jose.signed(claims, client.algorithm, client.sign, **client.header)


def service_token(http: httpx.Client, lease: JsonObject) -> str:
    """Return the access token of the app client's service account."""
    data = {**_client(lease), "grant_type": "client_credentials"}
    token: str = _posted(http, lease["endpoints"]["token"], data)["access_token"]
    return token


# ---------------------------------------------------------------- where they are redeemed


def _redeem_code(http: httpx.Client, credential: Credential, target: Target) -> httpx.Request:
    data = {
        "grant_type": "authorization_code",
        "code": credential.value.reveal(),
        "redirect_uri": credential.context["redirect_uri"].reveal(),
        **client_of(credential, target),
    }
    return http.build_request("POST", f"{target.oidc}/token", data=data)


def _follow_request_uri(
    http: httpx.Client, credential: Credential, target: Target
) -> httpx.Request:
    params = {
        "client_id": client_of(credential, target)["client_id"],
        "request_uri": credential.value.reveal(),
    }
    return http.build_request("GET", f"{target.oidc}/auth", params=params)


def _redeem_device(http: httpx.Client, credential: Credential, target: Target) -> httpx.Request:
    data = {
        "grant_type": _DEVICE_GRANT,
        "device_code": credential.value.reveal(),
        **client_of(credential, target),
    }
    return http.build_request("POST", f"{target.oidc}/token", data=data)


def _type_user_code(http: httpx.Client, credential: Credential, target: Target) -> httpx.Request:
    params = {"user_code": credential.value.reveal()}
    return http.build_request("GET", f"{target.base}/realms/{target.realm}/device", params=params)


def _follow_mail(http: httpx.Client, credential: Credential, target: Target) -> httpx.Request:
    params = {"key": credential.value.reveal()}
    return http.build_request(
        "GET", f"{target.base}/realms/{target.realm}/login-actions/action-token", params=params
    )


def _go_on_with_login(http: httpx.Client, credential: Credential, target: Target) -> httpx.Request:
    context = {name: secret.reveal() for name, secret in credential.context.items()}
    query = {name: context[name] for name in ("execution", "tab_id", "client_data")}
    query |= {
        "session_code": credential.value.reveal(),
        "client_id": public_request(target)["client_id"],
    }
    cookies = {
        name.removeprefix("cookie "): value
        for name, value in context.items()
        if name.startswith("cookie ")
    }
    return http.build_request(
        "POST",
        f"{target.base}/realms/{target.realm}/login-actions/authenticate",
        params=query,
        data={name: context[name] for name in ("username", "password")},
        headers={"Cookie": header(cookies)},
    )


def _present_assertion(http: httpx.Client, credential: Credential, target: Target) -> httpx.Request:
    return http.build_request(
        "POST", f"{target.oidc}/token", data=presented(credential.value.reveal())
    )


def presented(text: str) -> dict[str, str]:
    """Return the token request by which a client authenticates with an assertion."""
    return {
        "grant_type": "client_credentials",
        "client_assertion_type": _JWT_BEARER,
        "client_assertion": text,
    }


def _redeem_ticket(http: httpx.Client, credential: Credential, target: Target) -> httpx.Request:
    data = {
        "grant_type": _UMA_GRANT,
        "ticket": credential.value.reveal(),
        **client_of(credential, target),
    }
    return http.build_request("POST", f"{target.oidc}/token", data=data)


def _poll_backchannel(http: httpx.Client, credential: Credential, target: Target) -> httpx.Request:
    data = {
        "grant_type": "urn:openid:params:grant-type:ciba",
        "auth_req_id": credential.value.reveal(),
        **client_of(credential, target),
    }
    return http.build_request("POST", f"{target.oidc}/token", data=data)


REDEEM: tuple[tuple[str, str, str, Make], ...] = (
    ("POST", "token, code", kinds.CODE, _redeem_code),
    ("GET", "authorization, request uri", kinds.PAR, _follow_request_uri),
    ("POST", "token, device code", kinds.DEVICE, _redeem_device),
    ("GET", "device", kinds.USER_CODE, _type_user_code),
    ("GET", "login-actions/action-token", kinds.ACTION, _follow_mail),
    ("POST", "login-actions/authenticate", kinds.LOGIN, _go_on_with_login),
    ("POST", "token, client assertion", kinds.ASSERTION, _present_assertion),
    ("POST", "token, permission ticket", kinds.TICKET, _redeem_ticket),
    ("POST", "token, backchannel authentication", kinds.BACKCHANNEL, _poll_backchannel),
)


# ---------------------------------------------------------------- parts


def _artifact(kind: str, lease: JsonObject, value: str, **more: str) -> Credential:
    context = {**_client(lease), "redirect_uri": redirect_of(lease), **more}
    return Credential(
        kind,
        lease["tenant"],
        Secret(value),
        {name: Secret(text) for name, text in context.items()},
        one_shot=True,
    )


def _client(lease: JsonObject) -> dict[str, str]:
    return {"client_id": lease["client"]["id"], "client_secret": lease["client"]["secret"]}


def _oidc(lease: JsonObject) -> str:
    return f"{lease['issuer']}/protocol/openid-connect"


def _device(http: httpx.Client, lease: JsonObject) -> dict[str, Any]:
    return _posted(http, f"{_oidc(lease)}/auth/device", {**_client(lease), "scope": "openid"})


def _posted(http: httpx.Client, url: str, data: Mapping[str, str]) -> dict[str, Any]:
    answer = http.post(url, data=data)
    if answer.status_code >= httpx.codes.BAD_REQUEST:
        raise ProviderRefused(_words(answer))
    found: dict[str, Any] = answer.json()
    return found


def _words(answer: httpx.Response) -> str:
    """Return the server's reason, short; it quotes no credential."""
    try:
        body = answer.json()
    except ValueError:
        return str(answer.status_code)
    said = body.get("error_description") or body.get("error") if isinstance(body, dict) else ""
    return f"{answer.status_code} {said}"


def _query(url: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(url).query)
