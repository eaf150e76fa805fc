"""One identity's way to a server's admin API.

Owns the token and the connections of one identity. Invariants: a token is renewed in the background
before it ends, by one thread at a time, so that a call pays for one only after a long idle spell;
what a failure says about the call's effect is never guessed; no secret is in an error.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from keycloak.urls_patterns import URL_TOKEN

from warminfra.core.errors import (
    ConfigInvalid,
    IdentityRefused,
    OutcomeUnknown,
    ProviderRefused,
    Unreachable,
)
from warminfra.core.secret import Secret

CONNECT_TIMEOUT = 2.0
"""Seconds to open a connection."""
READ_TIMEOUT = 5.0
"""Seconds to wait for an answer, unless the call says otherwise."""
SLOW_TIMEOUT = 30.0
"""Seconds to wait for the creation or deletion of a realm."""

_RENEW_AT = 0.5
"""Fraction of a token's life after which the next call has it renewed in the background."""
_SPENT_AT = 0.9
"""Fraction after which a call waits for a new one: clocks differ, and requests take time."""

_NOT_LET_IN = frozenset({"invalid_client", "unauthorized_client", "invalid_grant"})
"""Errors (RFC 6749, 5.2) of credentials that are not good; others are of the request, or of
something in between."""

_UNREACHABLE_HINT = "see whether the server runs: warminfra status"


@dataclass(frozen=True, slots=True)
class _Token:
    value: str
    renew_at: float
    spent_at: float


class AdminConnection:
    """Authenticated calls as one service account or user of `realm`. Safe to share between threads.

    Every method raises `Unreachable` (nothing was sent), `OutcomeUnknown` (timeout, cut connection,
    5xx) or `ProviderRefused` (4xx, but for the statuses that the caller allows), which is
    `IdentityRefused` if it is the identity that the server does not let in.
    """

    def __init__(
        self,
        base_url: str,
        client_id: str,
        secret: Secret,
        *,
        realm: str = "master",
        username: str = "",
        ca_file: Path | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`secret` is the client's, or with `username` that user's password.

        `ca_file` is the CA of the server's certificate; the system's store is used without one.
        `transport` stands for the network in tests.
        """
        self._base = base_url.rstrip("/") + "/"
        self._client_id = client_id
        self._secret = secret
        self._username = username
        self._token_path = URL_TOKEN.format(**{"realm-name": realm})
        # Proxies of the environment are for the way out, and this is mostly this very machine.
        self._http = httpx.Client(
            base_url=self._base,
            timeout=httpx.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT),
            limits=httpx.Limits(max_connections=32, max_keepalive_connections=16),
            trust_env=not (ca_file or is_loopback(base_url)),
            verify=trusting(ca_file, base_url),
            follow_redirects=False,
            transport=transport,
        )
        self._token: _Token | None = None
        self._renewing = threading.Lock()

    @property
    def base_url(self) -> str:
        """The server's URL, without a slash at its end."""
        return self._base.rstrip("/")

    def get(
        self,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        timeout: float = READ_TIMEOUT,
        allow: tuple[int, ...] = (),
    ) -> httpx.Response:
        """GET `path`. Repeated once if a connection from the pool was cut: reading is safe."""
        try:
            return self.send("GET", path, params=params, timeout=timeout, allow=allow)
        except OutcomeUnknown as error:
            if not isinstance(error.__cause__, httpx.RemoteProtocolError | httpx.ReadError):
                raise
            return self.send("GET", path, params=params, timeout=timeout, allow=allow)

    def send(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, str] | None = None,
        timeout: float = READ_TIMEOUT,
        allow: tuple[int, ...] = (),
    ) -> httpx.Response:
        """Make one call; `allow` names the 4xx and 5xx statuses that the caller judges itself."""
        token = self.token()
        response = self._exchange(method, path, token, json, params, timeout)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            # Revoked, or the server has new keys: nothing was done, so one more try is safe.
            self._renew(stale=token)
            response = self._exchange(method, path, self.token(), json, params, timeout)
        _judge(response, f"{method} {path}", allow)
        return response

    def token(self) -> str:
        """Return an access token that still has a tenth of its life, fetching one if need be."""
        token, now = self._token, time.monotonic()
        if token is None or now >= token.spent_at:
            self._renew(stale=token.value if token else None)
            token = self._token
            if token is None:
                raise OutcomeUnknown(f"{self._base} gave no token to {self._client_id}")
        elif now >= token.renew_at and self._renewing.acquire(blocking=False):
            threading.Thread(target=self._renew_behind, name="warminfra-token", daemon=True).start()
        return token.value

    def close(self) -> None:
        """Close the connections. A call after that fails."""
        self._http.close()

    # ------------------------------------------------------------ tokens

    def _renew(self, stale: str | None) -> None:
        """Fetch a token unless another thread has replaced `stale` meanwhile."""
        with self._renewing:
            if self._token is None or self._token.value == stale:
                self._token = self._fetch()

    def _renew_behind(self) -> None:
        """Fetch a token while the old one still serves. Runs with the lock held."""
        try:
            self._token = self._fetch()
        except (Unreachable, ProviderRefused, RuntimeError):
            # The old token serves until it is spent; then a caller fetches one and has the error.
            # RuntimeError is httpx's way to say that the connection was closed meanwhile.
            pass
        finally:
            self._renewing.release()

    def _fetch(self) -> _Token:
        asked = time.monotonic()
        form = {"client_id": self._client_id}
        if self._username:
            form |= {"grant_type": "password", "username": self._username}
            form["password"] = self._secret.reveal()
        else:
            form |= {"grant_type": "client_credentials", "client_secret": self._secret.reveal()}
        response = self._try(
            self._http.build_request("POST", self._token_path, data=form), "token request"
        )
        if response.status_code in (400, 401):
            refused = IdentityRefused if _error(response) in _NOT_LET_IN else ProviderRefused
            raise refused(
                f"{self.base_url} does not let {self._username or self._client_id!r} in"
                f" ({response.status_code}{_reason(response)})",
                hint="its credentials are wrong, or were made for another server",
            )
        if response.is_redirect:
            raise ConfigInvalid(
                f"{self.base_url} sends to {response.headers.get('location', 'nowhere')}",
                hint="set keycloak.url to where the server itself answers",
            )
        _judge(response, f"token request of {self._client_id}", ())
        try:
            body = response.json()
            token, life = str(body["access_token"]), float(body["expires_in"])
        except (ValueError, KeyError, TypeError):
            raise ConfigInvalid(
                f"{self.base_url} does not answer like a Keycloak", hint="see keycloak.url"
            ) from None
        return _Token(token, asked + life * _RENEW_AT, asked + life * _SPENT_AT)

    # ------------------------------------------------------------ the wire

    def _exchange(
        self,
        method: str,
        path: str,
        token: str,
        json: Any,
        params: Mapping[str, str] | None,
        timeout: float,
    ) -> httpx.Response:
        request = self._http.build_request(
            method,
            path,
            json=json,
            params=params,
            headers={"Authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(timeout, connect=CONNECT_TIMEOUT),
        )
        return self._try(request, f"{method} {path}")

    def _try(self, request: httpx.Request, what: str) -> httpx.Response:
        try:
            return self._http.send(request)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise Unreachable(
                f"{self.base_url} does not answer ({type(error).__name__})", hint=_UNREACHABLE_HINT
            ) from error
        except httpx.TransportError as error:
            raise OutcomeUnknown(
                f"{what}: no answer from {self.base_url} ({type(error).__name__})",
                hint=_UNREACHABLE_HINT,
            ) from error


def trusting(ca_file: Path | None, base_url: str = "") -> ssl.SSLContext | bool:
    """Return httpx's `verify`: that CA alone, or the system's store.

    For a server known to be without TLS it trusts nobody: to read the store takes 40 ms.
    """
    if ca_file is not None:
        return ssl.create_default_context(cafile=ca_file)
    without = httpx.URL(base_url).scheme == "http"
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if without else True


def is_loopback(base_url: str) -> bool:
    """Say whether the URL's host is this machine by a loopback address."""
    host = httpx.URL(base_url).host
    return host in ("localhost", "::1") or host.startswith("127.")


def _judge(response: httpx.Response, what: str, allow: tuple[int, ...]) -> None:
    status = response.status_code
    if status < 300 or status in allow:
        return
    told = f"{what}: {status}{_reason(response)}"
    if status >= 500:
        raise OutcomeUnknown(told)
    raise ProviderRefused(told)


def _error(response: httpx.Response) -> str:
    """Return the error's code (RFC 6749, 5.2), "" if the answer has none."""
    return str(_body(response).get("error", ""))


def _body(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _reason(response: httpx.Response) -> str:
    """Return Keycloak's own words, one line, short. They quote names, never credentials."""
    body = _body(response)
    words = body.get("errorMessage") or body.get("error_description") or body.get("error")
    return f" {' '.join(str(words).split())[:200]}" if words else ""
