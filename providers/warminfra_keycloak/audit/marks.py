"""Writes a text into every field that a holder can write, to be looked for elsewhere."""

from __future__ import annotations

from typing import Any

import httpx

from warminfra.core.errors import ProviderRefused
from warminfra.core.models import JsonObject
from warminfra_keycloak.audit.artifacts import service_token
from warminfra_keycloak.audit.furnish import admin_token
from warminfra_keycloak.audit.holder import asks, fill_in, login, tokens


def write(http: httpx.Client, lease: JsonObject, mark: str) -> list[str]:
    """Write `mark` wherever the lease lets its holder; return the names of the fields.

    `mark` is letters, digits and, for placeholders, `${.}`.
    """
    written = [*_as_user(http, lease, mark), *_as_stranger(http, lease, mark)]
    written += _as_app(http, lease, mark)
    if "admin" in lease:
        written += _as_admin(http, lease, mark)
    return written


def _as_user(http: httpx.Client, lease: JsonObject, mark: str) -> list[str]:
    """Write the profile of the first user, and a session that carries the mark."""
    user = lease["users"][0]
    seen = http.get(
        lease["endpoints"]["authorization"],
        params=asks(lease) | {"state": mark, "nonce": mark, "login_hint": mark},
        headers={"User-Agent": mark, "X-Forwarded-For": mark},
    )
    fill_in(http, seen, user["username"], user["password"])
    found = tokens(http, lease, login(http, lease).code)
    named = {"username": user["username"], "email": user["email"]}
    bearer = {"Authorization": f"Bearer {found['access_token']}", "User-Agent": mark}
    written = ["state, nonce, hint and agent of a login"]
    for field, body in (
        ("locale of a user", {"attributes": {"locale": [mark]}}),
        ("attribute of a user", {"attributes": {"mark": [mark]}}),
        ("name of a user", {"firstName": mark, "lastName": mark}),
    ):
        url = f"{lease['issuer']}/account/"
        kept = {"firstName": user["first_name"], "lastName": user["last_name"]}
        sent = http.post(url, json={**kept, **named, **body}, headers=bearer)
        if sent.status_code < httpx.codes.BAD_REQUEST:
            written.append(field)
    http.get(lease["endpoints"]["userinfo"], headers=bearer)
    return written


def _as_stranger(http: httpx.Client, lease: JsonObject, mark: str) -> list[str]:
    """Fail a login under that name: it stands in the realm's events, if it keeps any."""
    page = http.get(lease["endpoints"]["authorization"], params=asks(lease))
    fill_in(http, page, mark, mark)
    http.get(lease["endpoints"]["authorization"], params={"client_id": mark, "scope": mark})
    return ["user name of a failed login", "client id of a failed request"]


def _as_app(http: httpx.Client, lease: JsonObject, mark: str) -> list[str]:
    try:
        bearer = {"Authorization": f"Bearer {service_token(http, lease)}"}
    except ProviderRefused:
        return []  # a client without an account of its own protects nothing
    body = {"name": mark, "displayName": mark, "type": mark, "scopes": [mark]}
    made = http.post(f"{lease['issuer']}/authz/protection/resource_set", json=body, headers=bearer)
    return ["protected resource"] if made.status_code == httpx.codes.CREATED else []


def _as_admin(http: httpx.Client, lease: JsonObject, mark: str) -> list[str]:
    base, realm_of = lease["admin"]["url"], lease["tenant"]
    bearer = {"Authorization": f"Bearer {admin_token(http, lease)}"}
    plain = "".join(character for character in mark if character.isalnum())
    things: dict[str, tuple[str, dict[str, Any]]] = {
        "client": (
            f"{base}/clients",
            {
                "clientId": f"client-{plain}",
                "name": mark,
                "description": mark,
                "baseUrl": f"https://example.test/{mark}",
                "attributes": {
                    **{"consent.screen.text": mark, "login_theme": mark, "mark": mark},
                    **{
                        "logoUri": f"https://example.test/{mark}",
                        "acr.loa.map": f'{{"{plain}":1}}',
                    },
                },
            },
        ),
        "user": (
            f"{base}/users",
            {
                **{"username": f"user-{plain}", "firstName": mark, "lastName": mark},
                **{"email": f"{plain}@example.test", "attributes": {"mark": [mark]}},
            },
        ),
        "group": (f"{base}/groups", {"name": mark, "attributes": {"mark": [mark]}}),
        "role": (f"{base}/roles", {"name": plain, "description": mark}),
        "client scope": (
            f"{base}/client-scopes",
            {
                **{"name": plain, "description": mark, "protocol": "openid-connect"},
                "attributes": {"consent.screen.text": mark},
            },
        ),
        "text of the realm": (f"{base}/localization/en/loginAccountTitle", {"value": mark}),
        "realm": (f"{base}", {"realm": realm_of, "displayName": mark}),
    }
    written = []
    for name, (url, body) in things.items():
        verb = "PUT" if name in ("realm", "text of the realm") else "POST"
        if http.request(verb, url, json=body, headers=bearer).status_code < httpx.codes.BAD_REQUEST:
            written.append(name)
    return written
