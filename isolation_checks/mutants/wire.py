"""Mutants that cannot be switched on in Keycloak: faults on the way to it (M16 to M20).

The probe's requests run on live HTTP; the fault answers as a server with it would, by what the real
one says at the artifact's own realm.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import cast
from urllib.parse import parse_qsl, urlsplit

import httpx

from isolation_checks.scratch import Scratch
from warminfra_keycloak.audit import jose
from warminfra_keycloak.audit.surface import KeycloakSurface
from warminfra_keycloak.audit.wire import Fault, Send, at_realm, fields_of, realm_in

Client = dict[str, str]
_CLIENT = ("client_id", "client_secret")


def spoiled(make: Callable[[], Fault]) -> Callable[[Scratch], AbstractContextManager[None]]:
    """Plant a fault on the way to the server, a fresh one each time."""

    @contextmanager
    def planted(scratch: Scratch) -> Iterator[None]:
        with keycloak(scratch).wire.spoiled(make()):
            yield

    return planted


def keycloak(scratch: Scratch) -> KeycloakSurface:
    """Return the surface as Keycloak's."""
    return cast("KeycloakSurface", scratch.surface)


def without_tenant(field: str) -> Callable[[], Fault]:
    """M16, M17, M18, M20: what `field` holds is redeemed at any realm as at the one it is of."""

    def make() -> Fault:
        homes: dict[str, str] = {}
        clients: dict[str, Client] = {}

        def fault(request: httpx.Request, send: Send) -> httpx.Response:
            realm, fields = realm_in(request.url), fields_of(request)
            home = homes.get(fields.get(field, "")) or _issuer(fields.get(field, ""))
            own: Client = {name: text for name, text in fields.items() if name in _CLIENT}
            if home and home != realm:
                answer = send(at_realm(request, home, **_of(clients, home, own)))
            else:
                if "client_secret" in own:
                    clients[realm] = own
                answer = send(request)
            for value in _values(answer, field):
                homes.setdefault(value, home or realm)
            return answer

        return fault

    return make


def remembers_for_all() -> Fault:
    """M19: the `jti` of a proof is remembered for all tenants."""
    seen: set[str] = set()

    def fault(request: httpx.Request, send: Send) -> httpx.Response:
        proof = request.headers.get("dpop")
        if proof:
            jti = str(jose.claims_of(proof)["jti"])
            if jti in seen:
                body = {"error": "invalid_request", "error_description": "already used"}
                return httpx.Response(400, json=body, request=request)
            seen.add(jti)
        return send(request)

    return fault


def _of(clients: dict[str, Client], realm: str, own: Client) -> Client:
    """Return the client of the realm, in as many fields as the request has."""
    return {name: clients.get(realm, own).get(name, own[name]) for name in own}


def _issuer(token: str) -> str:
    """Return the realm that a signed token names as its issuer, "" if it is none."""
    if token.count(".") != 2 or not token.startswith("eyJ"):
        return ""
    return realm_in(httpx.URL(str(jose.claims_of(token).get("iss", ""))))


def _values(answer: httpx.Response, field: str) -> Iterator[str]:
    """Yield what an answer hands out under that name, in a redirect or in JSON."""
    yield from (
        value
        for name, value in parse_qsl(urlsplit(answer.headers.get("location", "")).query)
        if name == field
    )
    if "json" in answer.headers.get("content-type", ""):
        body = json.loads(answer.content or b"null")
        if isinstance(body, dict) and isinstance(body.get(field), str):
            yield body[field]
