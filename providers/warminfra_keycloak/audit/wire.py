"""The way from the prover to the scratch server: real HTTP, with a place to listen and to spoil.

Every request of an attacker or of its victim goes through here. A *listener* sees each exchange
(canaries are looked for so); a *fault*, planted by a mutant alone, answers as a server with that
fault would, by what the real server says to other requests.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from urllib.parse import parse_qsl

import httpx

from warminfra_keycloak.connection import trusting

TIMEOUT = 20.0
"""Seconds for each request."""
_REALM = re.compile(r"/realms/([^/]+)")
Send = Callable[[httpx.Request], httpx.Response]
Fault = Callable[[httpx.Request, Send], httpx.Response]
"""Gets the request and the way to the real server; returns what the broken one answers."""
Listener = Callable[[httpx.Request, httpx.Response], None]


class Wire(httpx.BaseTransport):
    """A transport in front of the real one."""

    def __init__(self, ca_file: Path | None = None) -> None:
        self._real = httpx.HTTPTransport(verify=trusting(ca_file))
        self._fault: Fault | None = None
        self._listeners: list[Listener] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._fault(request, self._send) if self._fault else self._send(request)
        for listen in self._listeners:
            listen(request, answer)
        return answer

    @contextmanager
    def spoiled(self, fault: Fault) -> Iterator[None]:
        """Let every answer pass through `fault` for a block."""
        self._fault = fault
        try:
            yield
        finally:
            self._fault = None

    @contextmanager
    def heard(self, listen: Listener) -> Iterator[None]:
        """Show every exchange to `listen` for a block."""
        self._listeners.append(listen)
        try:
            yield
        finally:
            self._listeners.remove(listen)

    def close(self) -> None:
        self._real.close()

    def _send(self, request: httpx.Request) -> httpx.Response:
        answer = self._real.handle_request(request)
        answer.read()
        return answer


def forgetful(transport: httpx.BaseTransport) -> httpx.Client:
    """Return a client that keeps no cookie: a login is a new one, over HTTPS as over HTTP."""
    return httpx.Client(
        transport=transport,
        timeout=TIMEOUT,
        follow_redirects=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
    )


def realm_in(url: httpx.URL) -> str:
    """Return the realm that a URL of the server is of, "" for none."""
    found = _REALM.search(url.path)
    return found.group(1) if found else ""


def at_realm(request: httpx.Request, realm: str, **form: str) -> httpx.Request:
    """Return the request as it would be sent to another realm, with other fields in its form."""
    url = str(request.url).replace(f"/realms/{realm_in(request.url)}", f"/realms/{realm}", 1)
    headers = [
        (name, value)
        for name, value in request.headers.multi_items()
        if name.lower() not in ("content-length", "transfer-encoding")
    ]
    if not form:
        return httpx.Request(request.method, url, headers=headers, content=request.content)
    return httpx.Request(request.method, url, headers=headers, data=fields_of(request) | form)


def fields_of(request: httpx.Request) -> dict[str, str]:
    """Return the fields of its query and of its form."""
    found = dict(request.url.params.items())
    if "form-urlencoded" in request.headers.get("content-type", ""):
        found |= dict(parse_qsl(request.content.decode()))
    return found
