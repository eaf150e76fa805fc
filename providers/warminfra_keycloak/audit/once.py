"""Values that a client chooses and that a server may remember: the same one in two tenants.

Each use returns the answer to a legal call with that value. A careless test suite takes the same
values in every run, so what one tenant used must not be refused in another.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import httpx

from warminfra.core.errors import ProviderRefused
from warminfra.core.models import JsonObject
from warminfra_keycloak.audit import jose
from warminfra_keycloak.audit.artifacts import Means, assertion, presented
from warminfra_keycloak.audit.furnish import admin_token
from warminfra_keycloak.audit.holder import asks, login, login_answer, redirect_of

Use = Callable[[httpx.Client, JsonObject, Means, str], httpx.Response]


def use_assertion(
    http: httpx.Client, lease: JsonObject, means: Means, value: str
) -> httpx.Response:
    """Authenticate a client by an assertion whose `jti` is the value."""
    if means.jwt_client is None:
        raise ProviderRefused("it has no client that signs assertions")
    text = assertion(means.jwt_client, lease["issuer"], value)
    return http.post(lease["endpoints"]["token"], data=presented(text))


def use_proof(http: httpx.Client, lease: JsonObject, _: Means, value: str) -> httpx.Response:
    """Redeem a code, as every app does, with a DPoP proof whose `jti` is the value."""
    url = lease["endpoints"]["token"]
    data = {
        **{"client_id": lease["client"]["id"], "client_secret": lease["client"]["secret"]},
        **{"grant_type": "authorization_code", "code": login(http, lease).code},
        "redirect_uri": redirect_of(lease),
    }
    return http.post(url, data=data, headers={"DPoP": _proof(url, value)})


def use_nonce(http: httpx.Client, lease: JsonObject, _: Means, value: str) -> httpx.Response:
    """Log in with that `nonce`, `state` and PKCE challenge."""
    challenge = value.ljust(43, "x")
    more = {"nonce": value, "code_challenge": challenge, "code_challenge_method": "plain"}
    return login_answer(http, lease, asks(lease) | {"state": value} | more)


def use_internal_id(thing: str) -> Use:
    """Make something in the realm, as its admin, under an internal id of one's own choice."""
    name = {"clients": "clientId", "users": "username"}.get(thing, "name")

    def use(http: httpx.Client, lease: JsonObject, _: Means, value: str) -> httpx.Response:
        if "admin" not in lease:
            raise ProviderRefused("it has no admin")
        body = {"id": value, name: f"fixed-{value}", "protocol": "openid-connect"}
        if thing != "client-scopes":
            del body["protocol"]
        bearer = {"Authorization": f"Bearer {admin_token(http, lease)}"}
        answer = http.post(f"{lease['admin']['url']}/{thing}", json=body, headers=bearer)
        if answer.status_code in (httpx.codes.NOT_FOUND, httpx.codes.FORBIDDEN):
            raise ProviderRefused(f"{answer.status_code}: its admin makes no {thing} of such an id")
        return answer

    return use


USES: Mapping[str, Use] = {
    "jti of a client assertion": use_assertion,
    "jti of a DPoP proof": use_proof,
    "nonce, state and challenge of a login": use_nonce,
    "internal id of a client": use_internal_id("clients"),
    "internal id of a user": use_internal_id("users"),
    "internal id of a group": use_internal_id("groups"),
    "internal id of a role": use_internal_id("roles"),
    "internal id of a client scope": use_internal_id("client-scopes"),
}


def _proof(url: str, jti: str) -> str:
    claims = {"jti": jti, "htm": "POST", "htu": url, "iat": int(time.time())}
    key = jose.suite_key()
    return jose.signed(claims, *jose.by_key(key), typ="dpop+jwt", jwk=jose.jwk(key))
