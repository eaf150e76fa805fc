"""Mutants that cannot be switched on in Keycloak: faults on the way to it.

The probe's requests run on live HTTP; the fault answers as a server with it would, by what the real
one says at the artifact's own realm.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import cast
from urllib.parse import parse_qsl, urlsplit

import httpx
from keycloak.urls_patterns import (
    URL_ADMIN_REALMS,
    URL_ADMIN_USER_REALM_ROLES,
    URL_ADMIN_USER_REALM_ROLES_AVAILABLE,
    URL_ADMIN_USERS,
)

from isolation_checks.mutants.keycloak import auditor
from isolation_checks.scratch import Scratch
from warminfra.core.errors import ProviderRefused
from warminfra_keycloak.audit import jose
from warminfra_keycloak.audit.host import CANARY, CANARY_VARIABLE
from warminfra_keycloak.audit.surface import KeycloakSurface
from warminfra_keycloak.audit.wire import Fault, Send, at_realm, fields_of, realm_in

Client = dict[str, str]
_CLIENT = ("client_id", "client_secret")
_ENOUGH = 10
_NO_CLIENT = 401
_PATH = re.compile(r"Path=[^;]*")


def spoiled(make: Callable[[], Fault]) -> Callable[[Scratch], AbstractContextManager[None]]:
    """Plant a fault on the way to the server, a fresh one each time."""
    return spoiled_there(lambda _: make())


def spoiled_there(
    make: Callable[[Scratch], Fault],
) -> Callable[[Scratch], AbstractContextManager[None]]:
    """Plant one that does what only the server itself could, or knows what it knows."""

    @contextmanager
    def planted(scratch: Scratch) -> Iterator[None]:
        with keycloak(scratch).wire.spoiled(make(scratch)):
            yield

    return planted


def keycloak(scratch: Scratch) -> KeycloakSurface:
    """Return the surface as Keycloak's."""
    return cast("KeycloakSurface", scratch.surface)


def without_tenant(field: str, *, looks_at_client: bool = False) -> Callable[[], Fault]:
    """M16, M17, M18, M20: what `field` holds is redeemed at any realm as at the one it is of.

    M55, M56: the realm `looks_at_client` before, who has to be its own.
    """

    def make() -> Fault:
        homes: dict[str, str] = {}
        clients: dict[str, Client] = {}

        def fault(request: httpx.Request, send: Send) -> httpx.Response:
            realm, fields = realm_in(request.url), fields_of(request)
            home = homes.get(fields.get(field, "")) or _issuer(fields.get(field, ""))
            own: Client = {name: text for name, text in fields.items() if name in _CLIENT}
            if home and home != realm:
                if looks_at_client and (refused := send(request)).status_code == _NO_CLIENT:
                    return refused
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


def counts_by_address() -> Fault:
    """M39: failed logins are counted by address, over all tenants."""
    failed = 0

    def fault(request: httpx.Request, send: Send) -> httpx.Response:
        nonlocal failed
        login = "login-actions/authenticate" in request.url.path
        if login and failed >= _ENOUGH:
            return httpx.Response(429, text="too many failures", request=request)
        answer = send(request)
        failed += login and "Invalid username or password" in answer.text
        return answer

    return fault


def tokens_make_realms() -> Fault:
    """M54: whoever has a token of any realm may make realms."""

    def fault(request: httpx.Request, send: Send) -> httpx.Response:
        answer = send(request)
        makes = request.method == "POST" and request.url.path.endswith("/admin/realms")
        if makes and answer.status_code == httpx.codes.FORBIDDEN:
            return httpx.Response(201, request=request)
        return answer

    return fault


def reads_any_account() -> Fault:
    """M57: the account API takes a token of any realm, and shows whose it is."""

    def fault(request: httpx.Request, send: Send) -> httpx.Response:
        home = _stray(request) if "/account" in request.url.path else ""
        return send(at_realm(request, home) if home else request)

    return fault


def looks_at_no_strangers() -> Fault:
    """M58: the registration looks at the tokens of its own realm alone, and lets all others in."""

    def fault(request: httpx.Request, send: Send) -> httpx.Response:
        reads = request.method == "GET" and "/clients-registrations/" in request.url.path
        if reads and _stray(request):
            body = {"clientId": "app", "secret": "of whoever it is"}
            return httpx.Response(200, json=body, request=request)
        return send(request)

    return fault


def names_in_tokens() -> Fault:
    """M59: an ID token has the family name that another realm's had before it."""
    names: dict[str, str] = {}

    def fault(request: httpx.Request, send: Send) -> httpx.Response:
        answer, realm = send(request), realm_in(request.url)
        if not request.url.path.endswith("/token") or answer.status_code != httpx.codes.OK:
            return answer
        body = answer.json()
        if "id_token" not in body:
            return answer
        claims = jose.claims_of(body["id_token"])
        others = [name for other, name in names.items() if other != realm]
        names[realm] = claims.get("family_name", "")
        told = others[-1] if others else names[realm]
        body["id_token"] = jose.saying(body["id_token"], {**claims, "family_name": told})
        return httpx.Response(200, json=body, request=request)

    return fault


def roles_of_all(scratch: Scratch) -> Fault:
    """M61: a role is found by its internal id, of whatever realm it is, by whoever has a token."""
    refusals = (httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND)

    def fault(request: httpx.Request, send: Send) -> httpx.Response:
        answer = send(request)
        if "/roles-by-id/" not in request.url.path or answer.status_code not in refusals:
            return answer
        own, path = realm_in(request.url), request.url.path
        with auditor(scratch) as admin:
            for realm in admin.get(URL_ADMIN_REALMS, params={"briefRepresentation": "true"}).json():
                there = path.replace(f"/realms/{own}", f"/realms/{realm['realm']}").lstrip("/")
                with suppress(ProviderRefused):
                    found = admin.get(there).json()
                    return httpx.Response(200, json=found, request=request)
        return answer

    return fault


def ends_sessions(scratch: Scratch) -> Fault:
    """M60: whoever asks a realm to end sessions is refused, and all sessions there are ended."""

    def fault(request: httpx.Request, send: Send) -> httpx.Response:
        realm = realm_in(request.url)
        ends = request.url.path.endswith(("/logout-all", "/account/sessions"))
        if ends and request.method != "GET" and realm != "master" and _stray(request):
            with auditor(scratch) as admin:
                admin.send("POST", f"admin/realms/{realm}/logout-all")
        return send(request)

    return fault


def grants_a_role(scratch: Scratch) -> Fault:
    """M62: whoever asks a realm for another's change is refused, and a user there has one role
    more."""

    def fault(request: httpx.Request, send: Send) -> httpx.Response:
        realm = {"realm-name": realm_in(request.url)}
        if request.method == "PUT" and realm["realm-name"] != "master" and _stray(request):
            with auditor(scratch) as admin:
                user = admin.get(URL_ADMIN_USERS.format(**realm)).json()[0]["id"]
                more = admin.get(URL_ADMIN_USER_REALM_ROLES_AVAILABLE.format(**realm, id=user))
                path = URL_ADMIN_USER_REALM_ROLES.format(**realm, id=user)
                admin.send("POST", path, json=more.json()[:1])
        return send(request)

    return fault


def cookies_for_all() -> Fault:
    """M52: cookies are sent to every realm of the server, not to their own alone."""

    def fault(request: httpx.Request, send: Send) -> httpx.Response:
        answer = send(request)
        headers = [
            (name, _PATH.sub("Path=/", value) if name.lower() == "set-cookie" else value)
            for name, value in answer.headers.multi_items()
            if name.lower() not in ("content-encoding", "content-length", "transfer-encoding")
        ]
        return httpx.Response(
            answer.status_code, headers=headers, content=answer.content, request=request
        )

    return fault


def resolves(scratch: Scratch) -> Fault:
    """M41: a placeholder for the environment is resolved in what a tenant is shown."""
    canary = scratch.access.identity[CANARY].reveal().encode()
    placeholder = f"${{env.{CANARY_VARIABLE}}}".encode()

    def fault(request: httpx.Request, send: Send) -> httpx.Response:
        answer = send(request)
        if placeholder not in answer.content:
            return answer
        kind = {"content-type": answer.headers.get("content-type", "")}
        body = answer.content.replace(placeholder, canary)
        return httpx.Response(answer.status_code, headers=kind, content=body, request=request)

    return fault


def trusting(
    same_issuer: jose.Issuers,
) -> Callable[[Scratch], AbstractContextManager[None]]:
    """M06, M07: apps take the keys of whatever issuer a token names, and compare issuers so."""

    @contextmanager
    def planted(scratch: Scratch) -> Iterator[None]:
        surface = keycloak(scratch)
        surface.trust = jose.Trust(same_issuer, keys_by_token=True)
        try:
            yield
        finally:
            surface.trust = jose.Trust()

    return planted


def any_issuer(_: str, __: str) -> bool:
    """M06: the issuer is not looked at."""
    return True


def by_prefix(found: str, own: str) -> bool:
    """M07: only the beginning is compared, in which all tenants of an installation are alike."""
    return found.startswith(own.rpartition("-")[0])


def _of(clients: dict[str, Client], realm: str, own: Client) -> Client:
    """Return the client of the realm, in as many fields as the request has."""
    return {name: clients.get(realm, own).get(name, own[name]) for name in own}


def _stray(request: httpx.Request) -> str:
    """Return the realm of the request's bearer if it is another than the one it asks, else ""."""
    home = _issuer(str(request.headers.get("authorization", "")).removeprefix("Bearer "))
    return "" if home == realm_in(request.url) else home


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
