"""Every way by which a holder might make the server call an address of its own choice."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from warminfra.core.entropy import SystemEntropy
from warminfra.core.errors import ProviderRefused
from warminfra.core.models import JsonObject
from warminfra_keycloak.audit import jose
from warminfra_keycloak.audit.artifacts import presented
from warminfra_keycloak.audit.furnish import admin_token
from warminfra_keycloak.audit.holder import asks, form_of, login, redirect_of, tokens

Way = Callable[[httpx.Client, JsonObject, str], None]


def request_object(http: httpx.Client, lease: JsonObject, sink: str) -> None:
    """An authorization request by reference."""
    http.get(
        lease["endpoints"]["authorization"], params=asks(lease) | {"request_uri": f"{sink}/object"}
    )


def registration(http: httpx.Client, lease: JsonObject, sink: str) -> None:
    """A client's registration by anybody, with addresses of its own."""
    body = {
        "redirect_uris": [redirect_of(lease)],
        "jwks_uri": f"{sink}/jwks",
        "sector_identifier_uri": f"{sink}/sector",
        "subject_type": "pairwise",
        "backchannel_logout_uri": f"{sink}/logout",
    }
    http.post(f"{lease['issuer']}/clients-registrations/openid-connect", json=body)


def sign_out(http: httpx.Client, lease: JsonObject, _: str) -> None:
    """The end of a session of the lease's own app, which may have been given an address."""
    found = tokens(http, lease, login(http, lease).code)
    _log_out(http, lease, lease["client"], found["refresh_token"])


def session_host(http: httpx.Client, lease: JsonObject, sink: str) -> None:
    """The host that a refresh names as the session's own."""
    found = tokens(http, lease, login(http, lease).code)
    data = {
        "grant_type": "refresh_token",
        "refresh_token": found["refresh_token"],
        "client_session_state": "1",
        "client_session_host": sink.partition("://")[2],
        **_credentials(lease["client"]),
    }
    fresh = http.post(lease["endpoints"]["token"], data=data).json()
    _log_out(http, lease, lease["client"], fresh.get("refresh_token", ""))


def forgotten_password(http: httpx.Client, lease: JsonObject, _: str) -> None:
    """A mail, which only a tenant with a mail server can send."""
    page = http.get(
        f"{lease['issuer']}/login-actions/reset-credentials",
        params={"client_id": lease["client"]["id"]},
    )
    action = form_of(page)
    if action:
        http.post(
            action,
            data={"username": lease["users"][0]["username"]},
            headers={"Cookie": "; ".join(f"{k}={v}" for k, v in page.cookies.items())},
        )


def back_channel(http: httpx.Client, lease: JsonObject, sink: str) -> None:
    """A client of the admin's that wants to be told of every logout."""
    client = _made(http, lease, {"backchannel.logout.url": f"{sink}/logout"})
    user = lease["users"][0]
    data = {
        **{"grant_type": "password", "scope": "openid", **_credentials(client)},
        **{"username": user["username"], "password": user["password"]},
    }
    found = http.post(lease["endpoints"]["token"], data=data).json()
    _log_out(http, lease, client, found["refresh_token"])


def keys_by_address(http: httpx.Client, lease: JsonObject, sink: str) -> None:
    """A client of the admin's whose keys lie elsewhere."""
    attributes = {"use.jwks.url": "true", "jwks.url": f"{sink}/jwks"}
    client = _made(http, lease, attributes, clientAuthenticatorType="client-jwt")
    now = int(time.time())
    claims = {
        **{"iss": client["id"], "sub": client["id"], "aud": lease["issuer"]},
        **{"jti": SystemEntropy().token(16), "iat": now, "exp": now + 50},
    }
    text = jose.signed(claims, *jose.by_key(jose.suite_key()), kid="k")
    http.post(lease["endpoints"]["token"], data=presented(text))


def object_by_address(http: httpx.Client, lease: JsonObject, sink: str) -> None:
    """A client of the admin's whose requests lie elsewhere."""
    client = _made(http, lease, {"request.uris": f"{sink}/*"})
    query = {
        **{"client_id": client["id"], "request_uri": f"{sink}/object"},
        **{"response_type": "code", "scope": "openid", "redirect_uri": redirect_of(lease)},
    }
    http.get(lease["endpoints"]["authorization"], params=query)


def sector(http: httpx.Client, lease: JsonObject, sink: str) -> None:
    """Pairwise subjects, whose redirect addresses are listed elsewhere."""
    client = _made(http, lease, {})
    body = {
        **{"name": "pairwise", "protocol": "openid-connect"},
        "protocolMapper": "oidc-sha256-pairwise-sub-mapper",
        "config": {"sectorIdentifierUri": f"{sink}/sector", "pairwiseSubAlgorithmSalt": ""},
    }
    _admin(http, lease, "POST", f"clients/{client['object']}/protocol-mappers/models", body)


def management(http: httpx.Client, lease: JsonObject, sink: str) -> None:
    """A client of the admin's that is told of revocations."""
    client = _made(http, lease, {}, adminUrl=f"{sink}/admin")
    _admin(http, lease, "POST", f"clients/{client['object']}/push-revocation", None)
    _admin(http, lease, "GET", f"clients/{client['object']}/test-nodes-available", None)


def mail_test(http: httpx.Client, lease: JsonObject, sink: str) -> None:
    """The admin tries a mail server."""
    host, _, port = sink.partition("://")[2].partition(":")
    body = {"host": host, "port": port, "from": "sso@example.test"}
    _admin(http, lease, "POST", "testSMTPConnection", body)


def provider_import(http: httpx.Client, lease: JsonObject, sink: str) -> None:
    """The admin reads another identity provider's description."""
    body = {"providerId": "oidc", "fromUrl": f"{sink}/description"}
    _admin(http, lease, "POST", "identity-provider/import-config", body)


ANYBODY: Mapping[str, Way] = {
    "request by reference": request_object,
    "registration by anybody": registration,
    "logout of the lease's own app": sign_out,
    "host of a session": session_host,
    "mail for a forgotten password": forgotten_password,
}
ADMINS: Mapping[str, Way] = {
    "back-channel logout": back_channel,
    "client's keys by address": keys_by_address,
    "client's requests by address": object_by_address,
    "sector identifier": sector,
    "client's management address": management,
    "test of a mail server": mail_test,
    "import of an identity provider": provider_import,
}


def ways(lease: JsonObject) -> Mapping[str, Way]:
    """Return the ways that the lease's class has."""
    return {**ANYBODY, **(ADMINS if "admin" in lease else {})}


def _made(
    http: httpx.Client, lease: JsonObject, attributes: Mapping[str, str], **more: Any
) -> dict[str, str]:
    draw = SystemEntropy()
    client = {"id": f"out-{draw.token(8)}", "secret": draw.token(32)}
    body = {
        **{"clientId": client["id"], "secret": client["secret"], "publicClient": False},
        **{"enabled": True, "directAccessGrantsEnabled": True, "serviceAccountsEnabled": True},
        **{"redirectUris": [redirect_of(lease)], "attributes": dict(attributes), **more},
    }
    made = _admin(http, lease, "POST", "clients", body)
    if made.status_code != httpx.codes.CREATED:
        raise ProviderRefused(f"its client cannot be made ({made.status_code})")
    return {**client, "object": made.headers.get("location", "").rpartition("/")[2]}


def _admin(
    http: httpx.Client, lease: JsonObject, verb: str, path: str, body: Any
) -> httpx.Response:
    bearer = {"Authorization": f"Bearer {admin_token(http, lease)}"}
    return http.request(verb, f"{lease['admin']['url']}/{path}", json=body, headers=bearer)


def _log_out(
    http: httpx.Client, lease: JsonObject, client: Mapping[str, str], refresh: str
) -> None:
    data = {"refresh_token": refresh, **_credentials(client)}
    http.post(lease["endpoints"]["end_session"], data=data)


def _credentials(client: Mapping[str, str]) -> dict[str, str]:
    return {"client_id": client["id"], "client_secret": client["secret"]}
