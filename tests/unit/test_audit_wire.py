"""The way to the server: faults that answer for it, and tokens that the prover makes and takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import cast

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from isolation_checks.mutants.wire import (
    cookies_for_all,
    counts_by_address,
    remembers_for_all,
    tokens_make_realms,
    without_tenant,
)
from isolation_checks.scratch import Scratch
from isolation_checks.world import World
from warminfra.core.audit import Cell, Credential, Reply
from warminfra.core.secret import Secret
from warminfra_keycloak.audit import jose
from warminfra_keycloak.audit.wire import at_realm, fields_of, forgetful, realm_in

TOKEN = "http://h/realms/{}/protocol/openid-connect/token"
ISSUER = "http://h/realms/wi-a"


@dataclass
class Server:
    """A server of two realms that redeems a realm's code there alone."""

    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        realm, fields = realm_in(request.url), fields_of(request)
        self.asked.append((realm, fields))
        if request.method == "GET":
            location = {"location": f"https://app/?code=of-{realm}"}
            return httpx.Response(302, headers=location, request=request)
        good = fields["code"] == f"of-{realm}" and fields["client_secret"] == f"secret-{realm}"
        return httpx.Response(200 if good else 400, json={}, request=request)


def redeem(realm: str, code: str) -> httpx.Request:
    data = {"code": code, "client_id": f"app-{realm}", "client_secret": f"secret-{realm}"}
    return httpx.Request("POST", TOKEN.format(realm), data=data)


def test_a_store_without_tenant_redeems_a_code_anywhere() -> None:
    """With the fault B redeems what A was given, and a forged code is as worthless as ever."""
    fault, server = without_tenant("code")(), Server()
    fault(redeem("a", "of-nobody"), server)  # by which it knows A's client
    fault(httpx.Request("GET", "http://h/realms/a/protocol/openid-connect/auth"), server)
    assert fault(redeem("b", "of-a"), server).status_code == 200
    assert server.asked[-1] == ("a", {**fields_of(redeem("a", "of-a"))})
    assert fault(redeem("b", "of-nobody"), server).status_code == 400


def test_a_memory_for_all_refuses_a_neighbours_proof() -> None:
    """With the fault the same `jti` is refused a second time, at whatever realm."""
    key = generate_private_key(public_exponent=65537, key_size=2048)

    def proven(realm: str, jti: str) -> httpx.Request:
        proof = jose.signed({"jti": jti}, *jose.by_key(key))
        return httpx.Request("POST", TOKEN.format(realm), headers={"DPoP": proof})

    def ok(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, request=request)

    fault = remembers_for_all()
    sent = [fault(proven(realm, jti), ok) for realm, jti in (("a", "1"), ("b", "1"), ("b", "2"))]
    assert [answer.status_code for answer in sent] == [200, 400, 200]


def test_a_request_moved_to_another_realm_is_the_same_but_for_the_realm() -> None:
    """Path, method, query and form stay; only what is named is replaced."""
    moved = at_realm(redeem("a", "1"), "b", client_id="app-b")
    assert str(moved.url) == TOKEN.format("b")
    assert fields_of(moved) == {"code": "1", "client_id": "app-b", "client_secret": "secret-a"}


class TestAnAppThatTrustsARealm:
    """The relying party of the prover: what it takes, and what it must not."""

    key = jose.suite_key()
    keys = ({**jose.jwk(key), "kid": "k"},)

    def token(self, **claims: object) -> str:
        body = {"iss": ISSUER, "exp": time.time() + 60, **claims}
        return jose.signed(body, *jose.by_key(self.key), kid="k")

    def test_it_takes_its_own(self) -> None:
        """A token of its issuer, signed by its key, in time."""
        assert jose.accepts(self.token(), self.keys, ISSUER)

    @pytest.mark.parametrize(
        "claims", [{"iss": f"{ISSUER}0"}, {"exp": 1}, {"iss": "http://h/realms/wi-"}]
    )
    def test_it_takes_no_other(self, claims: dict[str, object]) -> None:
        """Another issuer, its own as a prefix included, or a token whose time is over."""
        assert not jose.accepts(self.token(**claims), self.keys, ISSUER)

    @pytest.mark.parametrize(
        "spoil", [lambda t: t[:-4] + "AAAA", lambda t: t.rpartition(".")[0] + ".", lambda _: "x"]
    )
    def test_it_takes_no_forgery(self, spoil: Callable[[str], str]) -> None:
        """A signature that does not fit, none at all, or no token."""
        assert not jose.accepts(spoil(self.token()), self.keys, ISSUER)

    def test_it_takes_no_foreign_key(self) -> None:
        """The same claims under another key of the same id."""
        other = generate_private_key(public_exponent=65537, key_size=2048)
        foreign = ({**jose.jwk(other), "kid": "k"},)
        assert not jose.accepts(self.token(), foreign, ISSUER)


def test_cookies_for_all_lose_their_path_and_nothing_else() -> None:
    """With the fault every realm gets every cookie; body, status and other headers stay."""

    def server(request: httpx.Request) -> httpx.Response:
        headers = {"set-cookie": "A=1;Path=/realms/a/;Secure", "location": "/x"}
        return httpx.Response(302, headers=headers, text="moved", request=request)

    answer = cookies_for_all()(httpx.Request("GET", "http://h/realms/a/x"), server)
    assert answer.headers["set-cookie"] == "A=1;Path=/;Secure"
    assert (answer.status_code, answer.text, answer.headers["location"]) == (302, "moved", "/x")


def test_failures_counted_by_address_shut_every_realm() -> None:
    """With the fault ten failures at one realm refuse a login at another, and no other request."""

    def server(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text="Invalid username or password.", request=request)

    fault = counts_by_address()
    form = "http://h/realms/{}/login-actions/authenticate"
    for _ in range(10):
        assert fault(httpx.Request("POST", form.format("a")), server).status_code == 200
    assert fault(httpx.Request("POST", form.format("b")), server).status_code == 429
    assert fault(httpx.Request("GET", "http://h/realms/b/account"), server).status_code == 200


LIST = Cell("admin token", "GET", "admin/serverinfo", server_wide=True)
OF_A = Credential("admin token", "wi-a", Secret("t"))


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Reply(200, "features"), "common"),
        (Reply(200, "TENANT", frozenset({"wi-a"})), "own"),
        (Reply(200, "TENANT", frozenset({"wi-a", "wi-b"})), "crossed"),
        (Reply(200, "a path", host=frozenset({"the folder of the server's files"})), "crossed"),
        (Reply(401, ""), "refused"),
    ],
)
def test_at_the_server_itself_it_counts_what_is_told(answer: Reply, outcome: str) -> None:
    """Another tenant, or anything of the host, has crossed; what every server tells has not."""
    world = World(cast("Scratch", None), lambda _: None)
    assert world._outcome(LIST, OF_A, answer, Reply(401, "")) == outcome


@pytest.mark.parametrize("status", [200, 201, 400, 409, 500])
def test_what_changes_the_server_itself_must_be_refused(status: int) -> None:
    """A realm made by a tenant's token tells nothing in its answer; neither does a name taken."""
    world = World(cast("Scratch", None), lambda _: None)
    make = replace(LIST, verb="POST", endpoint="admin/realms")
    assert world._outcome(make, OF_A, Reply(status, ""), Reply(401, "")) == "crossed"


def test_a_token_that_makes_realms_is_a_fault_of_tokens_alone() -> None:
    """What is forged is refused as before, and so is everything else."""

    def server(request: httpx.Request) -> httpx.Response:
        known = request.headers["authorization"] == "Bearer good"
        return httpx.Response(403 if known else 401, request=request)

    fault = tokens_make_realms()

    def told(verb: str, path: str, token: str) -> int:
        headers = {"authorization": f"Bearer {token}"}
        return fault(httpx.Request(verb, f"http://h{path}", headers=headers), server).status_code

    assert told("POST", "/admin/realms", "good") == 201
    assert told("POST", "/admin/realms", "forged") == 401
    assert told("GET", "/admin/realms", "good") == 403
    assert told("POST", "/admin/realms/a/users", "good") == 403


def test_a_prover_keeps_no_cookie_of_an_earlier_login() -> None:
    """Over HTTPS httpx would send Secure cookies by itself; a new login must be asked again."""
    sent: list[str] = []

    def server(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers.get("cookie", ""))
        return httpx.Response(200, headers={"set-cookie": "KEYCLOAK_IDENTITY=x; Path=/; Secure"})

    with forgetful(httpx.MockTransport(server)) as http:
        for _ in range(2):
            http.get("https://172.17.0.1/realms/a")
        http.get("https://172.17.0.1/realms/a", headers={"Cookie": "own=1"})
    assert sent == ["", "", "own=1"]
