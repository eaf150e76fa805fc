"""What a failed call to Keycloak is said to have done, and what a token costs."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from warminfra.core.errors import (
    ConfigInvalid,
    IdentityRefused,
    OutcomeUnknown,
    ProviderRefused,
    Unreachable,
)
from warminfra.core.secret import Secret
from warminfra_keycloak.connection import AdminConnection, trusting

SECRET = "qqqqwwwweeeerrrr"
Handler = Callable[[httpx.Request], httpx.Response]


class Server:
    """Gives numbered tokens; answers all else by the handler."""

    def __init__(self, handler: Handler, life: int = 60) -> None:
        self.handler = handler
        self.life = life
        self.tokens = 0
        self.token_asked = threading.Event()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/token"):
            self.tokens += 1
            self.token_asked.set()
            return httpx.Response(
                200, json={"access_token": f"token-{self.tokens}", "expires_in": self.life}
            )
        return self.handler(request)


def connect(server: Handler) -> AdminConnection:
    return AdminConnection(
        "http://127.0.0.1:1", "maker", Secret(SECRET), transport=httpx.MockTransport(server)
    )


def answer(status: int, **body: str) -> Handler:
    return lambda request: httpx.Response(status, json=body)


def fail(error: type[httpx.TransportError]) -> Handler:
    def handler(request: httpx.Request) -> httpx.Response:
        raise error("as told", request=request)

    return handler


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ConnectTimeout])
def test_a_refused_connection_did_nothing(error: type[httpx.TransportError]) -> None:
    """Where nobody listens nothing was sent: that is unreachable, not unknown."""
    with pytest.raises(Unreachable) as caught:
        connect(Server(fail(error))).send("POST", "admin/realms")
    assert not isinstance(caught.value, OutcomeUnknown)


@pytest.mark.parametrize(
    "error", [httpx.ReadTimeout, httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError]
)
def test_a_cut_call_may_have_been_done(error: type[httpx.TransportError]) -> None:
    """After a timeout or a cut connection nobody claims to know the outcome."""
    with pytest.raises(OutcomeUnknown):
        connect(Server(fail(error))).send("POST", "admin/realms")


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_server_error_may_have_been_done(status: int) -> None:
    """Keycloak answers 500 to calls that worked."""
    with pytest.raises(OutcomeUnknown):
        connect(Server(answer(status))).send("DELETE", "admin/realms/x")


def test_a_refusal_quotes_the_server_in_one_line() -> None:
    """A 4xx is a sure no, told in the server's own words."""
    with pytest.raises(ProviderRefused, match=r"409 Conflict detected\. See logs"):
        connect(Server(answer(409, errorMessage="Conflict detected.\n See logs"))).send("POST", "x")


def test_an_allowed_status_is_handed_over() -> None:
    """A caller that expects 404 gets the answer."""
    assert connect(Server(answer(404))).get("x", allow=(404,)).status_code == 404


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"status_code": 301, "headers": {"location": "https://sso/"}}, "sends to https://sso/"),
        ({"status_code": 200, "text": "<html>"}, "does not answer like a Keycloak"),
        ({"status_code": 200, "json": {"ok": True}}, "does not answer like a Keycloak"),
        ({"status_code": 200, "json": ["ok"]}, "does not answer like a Keycloak"),
    ],
    ids=["a redirect", "a page", "other JSON", "a list"],
)
def test_what_is_no_keycloak_is_told_with_the_setting(told: dict[str, Any], reason: str) -> None:
    """A person has to mend the address: one line, no traceback."""
    with pytest.raises(ConfigInvalid, match=reason) as caught:
        connect(lambda request: httpx.Response(**told)).send("GET", "admin/realms")
    assert "keycloak.url" in caught.value.hint


def test_a_redirect_has_done_nothing() -> None:
    """It is a refusal, never a success."""
    with pytest.raises(ProviderRefused):
        connect(Server(answer(302))).send("DELETE", "admin/realms/a")


def test_a_revoked_token_is_replaced_once() -> None:
    """After a 401 there is one new token and one more try, not more."""
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["Authorization"])
        return httpx.Response(401)

    with pytest.raises(ProviderRefused):
        connect(Server(handler)).send("GET", "x")
    assert seen == ["Bearer token-1", "Bearer token-2"]


def test_a_cut_read_is_repeated_once() -> None:
    """A pooled connection that the server closed costs a read nothing."""
    calls: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        calls.append(request.method)
        if len(calls) == 1:
            raise httpx.RemoteProtocolError("closed", request=request)
        return httpx.Response(200, json=[])

    assert connect(Server(handler)).get("x").status_code == 200
    assert calls == ["GET", "GET"]


def test_a_token_is_fetched_once_by_many_threads() -> None:
    """Sixteen calls at once on a new connection ask for one token."""
    server = Server(answer(200))
    connection = connect(server)
    threads = [threading.Thread(target=connection.get, args=("x",)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.tokens == 1


def test_an_ageing_token_is_renewed_behind_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half-way through its life a token still serves, and another is fetched in the background."""
    now = 1000.0
    monkeypatch.setattr("warminfra_keycloak.connection.time.monotonic", lambda: now)
    server = Server(answer(200))
    connection = connect(server)
    assert connection.token() == "token-1"
    server.token_asked.clear()
    now += 31
    assert connection.token() == "token-1"
    assert server.token_asked.wait(5)
    connection._renewing.acquire()
    assert connection.token() == "token-2"
    connection._renewing.release()


def test_a_spent_token_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a long idle spell the next call waits for a new token."""
    now = 1000.0
    monkeypatch.setattr("warminfra_keycloak.connection.time.monotonic", lambda: now)
    connection = connect(Server(answer(200)))
    assert connection.token() == "token-1"
    now += 55
    assert connection.token() == "token-2"


@pytest.mark.parametrize("status", [400, 401, 500])
def test_no_secret_is_in_an_error(status: int) -> None:
    """Whatever fails, the identity's secret is in no message."""

    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, json={"error": "invalid_client"})

    with pytest.raises((ProviderRefused, OutcomeUnknown)) as caught:
        connect(handler).token()
    assert SECRET not in f"{caught.value} {caught.value!r}"


@pytest.mark.parametrize(
    ("status", "error", "for_good"),
    [
        (401, "invalid_client", True),
        (400, "invalid_client", True),
        (401, "unauthorized_client", True),
        (401, "invalid_grant", True),
        (400, "invalid_request", False),
        (401, "", False),
    ],
)
def test_an_identity_that_is_not_let_in_is_told_from_other_refusals(
    status: int, error: str, *, for_good: bool
) -> None:
    """Only the server's own word on the credentials says that they are of no use any more."""
    with pytest.raises(ProviderRefused) as caught:
        connect(answer(status, error=error)).token()
    assert isinstance(caught.value, IdentityRefused) == for_good


@pytest.mark.parametrize("url", ["https://sso.test", "HTTPS://sso.test", ""])
def test_a_server_with_tls_is_judged_by_the_systems_store(url: str) -> None:
    """However its scheme is written, or if nothing is known of it."""
    assert trusting(None, url) is True


def test_a_server_without_tls_has_nothing_read_for_it() -> None:
    """What it trusts is empty."""
    nobody = trusting(None, "http://127.0.0.1:8080")
    assert isinstance(nobody, ssl.SSLContext)
    assert nobody.get_ca_certs() == []
