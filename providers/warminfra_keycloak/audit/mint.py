"""Everything lasting that a lease can be made to yield, and its code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

import httpx

from warminfra.core.audit import Credential
from warminfra.core.errors import ProviderRefused, Unreachable
from warminfra.core.models import JsonObject
from warminfra.core.secret import Secret
from warminfra_keycloak.audit import furnish, kinds
from warminfra_keycloak.audit.artifacts import service_token
from warminfra_keycloak.audit.holder import asks, code_in, header, login, redirect_of, tokens


def mint(http: httpx.Client, lease: JsonObject) -> Sequence[Credential]:
    """Log in twice (once for an offline token) and return all that came of it."""
    client = _client(lease)
    browser = login(http, lease)
    found = tokens(http, lease, browser.code)
    offline = login(http, lease, "openid offline_access")
    lasting = tokens(http, lease, offline.code)
    tenant = lease["tenant"]
    cookies = {name: Secret(value) for name, value in browser.cookies.items()}
    credentials = [
        Credential(kinds.ACCESS, tenant, Secret(found["access_token"]), client),
        Credential(kinds.REFRESH, tenant, Secret(found["refresh_token"]), client),
        Credential(kinds.ID, tenant, Secret(found["id_token"]), client),
        Credential(kinds.OFFLINE, tenant, Secret(lasting["refresh_token"]), client),
        Credential(kinds.SECRET, tenant, Secret(lease["client"]["secret"]), client),
        Credential(kinds.COOKIE, tenant, cookies["KEYCLOAK_IDENTITY"], cookies),
        code(http, lease, cookies),
    ]
    credentials += [
        Credential(
            kinds.PASSWORD,
            tenant,
            Secret(user["password"]),
            {**client, "username": Secret(user["username"])},
        )
        for user in lease["users"][:1]
    ]
    with suppress(ProviderRefused):
        token = Secret(service_token(http, lease))
        credentials.append(Credential(kinds.SERVICE, tenant, token, client))
    if "admin" in lease:
        credentials += _of_admin(http, lease, client)
    return credentials


def code(http: httpx.Client, lease: JsonObject, cookies: Mapping[str, Secret]) -> Credential:
    """Return a code that the session of those cookies is given without a question."""
    answer = http.get(
        lease["endpoints"]["authorization"],
        params=asks(lease, prompt="none"),
        headers={"Cookie": header({name: value.reveal() for name, value in cookies.items()})},
    )
    found = code_in(answer)
    if not found:
        raise Unreachable(f"no code by cookie at {lease['tenant']}: {answer.status_code}")
    context = {**cookies, **_client(lease)}
    return Credential(kinds.CODE, lease["tenant"], Secret(found), context, one_shot=True)


def _of_admin(
    http: httpx.Client, lease: JsonObject, client: Mapping[str, Secret]
) -> list[Credential]:
    """Return the admin's token, and the registration tokens that it makes."""
    tenant, admin = lease["tenant"], lease["admin"]
    own = {name: Secret(admin[name]) for name in ("client_id", "client_secret")}
    token = furnish.admin_token(http, lease)
    bearer = {"Authorization": f"Bearer {token}"}
    initial = http.post(
        f"{admin['url']}/clients-initial-access",
        json={"count": 100, "expiration": 3600},
        headers=bearer,
    )
    clients = http.get(
        f"{admin['url']}/clients", params={"clientId": lease["client"]["id"]}, headers=bearer
    )
    registration = http.post(
        f"{admin['url']}/clients/{clients.json()[0]['id']}/registration-access-token",
        headers=bearer,
    )
    return [
        Credential(kinds.ADMIN, tenant, Secret(token), own),
        Credential(kinds.INITIAL, tenant, Secret(initial.json()["token"]), client),
        Credential(
            kinds.REGISTRATION,
            tenant,
            Secret(registration.json()["registrationAccessToken"]),
            client,
        ),
    ]


def _client(lease: JsonObject) -> dict[str, Secret]:
    return {
        "client_id": Secret(lease["client"]["id"]),
        "client_secret": Secret(lease["client"]["secret"]),
        "redirect_uri": Secret(redirect_of(lease)),
    }
