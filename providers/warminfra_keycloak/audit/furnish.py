"""What a tenant gets beyond its template, so that more of the zoo can be tried.

Two hands: the lease's *own admin*, who may make clients (a test suite with fixed ids is the usual
case), and, for mail alone, the auditor, in the place of a template that has mail.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from email import message_from_bytes
from typing import Any

import httpx
from keycloak.urls_patterns import (
    URL_ADMIN_REALM,
    URL_ADMIN_SEND_UPDATE_ACCOUNT,
    URL_ADMIN_USERS,
)

from warminfra.core.entropy import Entropy
from warminfra.core.errors import ProviderRefused
from warminfra.core.models import JsonObject
from warminfra_keycloak.audit import jose
from warminfra_keycloak.audit.artifacts import JwtClient
from warminfra_keycloak.connection import AdminConnection

APP, SIGNER = "shared-app", "shared-signer"
"""The fixed client ids of a careless test suite, the same in every tenant."""
_REDIRECT = "https://shared.example.test/callback"
_KEY_ID = "shared"
_LINK = re.compile(r"http://\S+")
MailBox = Callable[[], bytes]
"""Waits for the next mail and returns it."""


def fixed_clients(
    http: httpx.Client, lease: JsonObject, entropy: Entropy
) -> tuple[JsonObject, JwtClient]:
    """Make, as the lease's admin, the clients of a careless test suite; return them."""
    bearer = {"Authorization": f"Bearer {admin_token(http, lease)}"}
    url = f"{lease['admin']['url']}/clients"
    secret = entropy.token(32)
    bodies: list[dict[str, Any]] = [
        {
            "clientId": APP,
            "secret": secret,
            "redirectUris": [_REDIRECT],
            "directAccessGrantsEnabled": True,
            "serviceAccountsEnabled": True,
            "authorizationServicesEnabled": True,
            "attributes": {
                "oauth2.device.authorization.grant.enabled": "true",
                "oidc.ciba.grant.enabled": "true",
                "standard.token.exchange.enabled": "true",
            },
        },
        {
            "clientId": SIGNER,
            "clientAuthenticatorType": "client-jwt",
            "serviceAccountsEnabled": True,
            "attributes": {"use.jwks.string": "true", "jwks.string": _jwks()},
        },
    ]
    for body in bodies:
        made = http.post(url, json={"enabled": True, "publicClient": False, **body}, headers=bearer)
        if made.status_code not in (httpx.codes.CREATED, httpx.codes.CONFLICT):
            raise ProviderRefused(f"the admin of {lease['tenant']} makes no client")
        if made.status_code == httpx.codes.CONFLICT:
            raise ProviderRefused(f"{lease['tenant']} is furnished already")
    algorithm, sign = jose.by_key(jose.suite_key())
    furnished = {
        **lease,
        "client": {"id": APP, "secret": secret},
        "redirect_uri": _REDIRECT,
    }
    return furnished, JwtClient(SIGNER, algorithm, sign, {"kid": _KEY_ID})


def admin_token(http: httpx.Client, lease: JsonObject) -> str:
    """Return an access token of the lease's own admin client."""
    admin = lease["admin"]
    answer = http.post(
        lease["endpoints"]["token"],
        data={
            "grant_type": "client_credentials",
            "client_id": admin["client_id"],
            "client_secret": admin["client_secret"],
        },
    )
    if answer.status_code != httpx.codes.OK:
        raise ProviderRefused(f"no token for the admin of {lease['tenant']}")
    token: str = answer.json()["access_token"]
    return token


def mail(
    auditor: AdminConnection, realm: str, user: str, port: int, box: MailBox
) -> Callable[[], str]:
    """Let the tenant send mail to a sink on loopback; return how to ask for one."""
    path = URL_ADMIN_REALM.format(**{"realm-name": realm})
    server = {"host": "127.0.0.1", "port": str(port), "from": "sso@example.test"}
    auditor.send("PUT", path, json={"smtpServer": server, "resetPasswordAllowed": True})
    users = auditor.get(
        URL_ADMIN_USERS.format(**{"realm-name": realm}), params={"username": user, "exact": "true"}
    ).json()
    ask = URL_ADMIN_SEND_UPDATE_ACCOUNT.format(**{"realm-name": realm, "id": users[0]["id"]})

    def link() -> str:
        auditor.send("PUT", ask, json=["UPDATE_PASSWORD"])
        for part in message_from_bytes(box()).walk():
            if part.get_content_type() == "text/plain":
                body = part.get_payload(decode=True)
                found = _LINK.search(body.decode() if isinstance(body, bytes) else "")
                if found:
                    return found.group()
        raise ProviderRefused(f"no link in a mail of {realm}")

    return link


def _jwks() -> str:
    return json.dumps({"keys": [{**jose.jwk(jose.suite_key()), "kid": _KEY_ID, "use": "sig"}]})
