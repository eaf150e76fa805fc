"""The client: the same key until there is a lease, and which errors mean what."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fake_service import HANDLE, LEASE, FakeService, document, problem, serving
from warminfra.client import Client
from warminfra.core.errors import (
    Internal,
    LeaseLost,
    NoCapacity,
    NotAllowed,
    OutcomeUnknown,
    RecipeInvalid,
    SharingRefused,
    Unreachable,
    WrongHandle,
)
from warminfra.core.secret import Secret

ACQUIRE = ("POST", "/v1/leases")
TICKET = (202, {"reason": "the pool is empty", "place": 1, "retry_after_s": 0.02})


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="wi-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def service(folder: Path) -> Iterator[FakeService]:
    with serving(folder) as fake:
        yield fake


@pytest.fixture
def client(folder: Path, service: FakeService) -> Iterator[Client]:
    with Client(folder) as made:
        yield made


def test_each_request_has_a_key_of_its_own(client: Client, service: FakeService) -> None:
    """Without a key each acquire draws a new one of 160 bits; a key given is used as it is."""
    client.acquire("docs")
    client.acquire("docs")
    client.acquire("docs", key=Secret("k" * 20))
    keys = [wish["key"] for _, _, wish, _ in service.asked(*ACQUIRE)]
    assert len(set(keys)) == 3
    assert [len(key) for key in keys[:2]] == [32, 32]
    assert keys[2] == "k" * 20


def test_waiting_repeats_the_key_through_lost_replies(client: Client, service: FakeService) -> None:
    """Tickets, 503s and lost replies are asked again with the same body; the reason is told."""
    service.script[ACQUIRE] = [TICKET, "hang up", problem(503, "unreachable"), (201, document())]
    told: list[str] = []
    assert client.acquire("docs", wait=30, on_wait=told.append)["id"] == LEASE
    wishes = [wish for _, _, wish, _ in service.asked(*ACQUIRE)]
    assert all(wish == wishes[0] for wish in wishes)
    assert told[0] == "the pool is empty (place 1 in the queue)"
    assert "hung up" in told[1]


def test_waiting_in_vain_tells_the_reason(client: Client, service: FakeService) -> None:
    """When the time is up the error is `NoCapacity` with the last reason."""
    service.script[ACQUIRE] = [TICKET]
    with pytest.raises(NoCapacity, match="the pool is empty"):
        client.acquire("docs", wait=0.1)


def test_who_gives_up_leaves_the_queue(client: Client, service: FakeService) -> None:
    """At the end of the wait and at an interrupt; one with a key keeps its place for a while."""

    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    service.script[ACQUIRE] = [TICKET]
    with pytest.raises(NoCapacity):
        client.acquire("docs", run="r1")
    with pytest.raises(KeyboardInterrupt):
        client.acquire("docs", run="r2", wait=30, on_wait=interrupt)
    with pytest.raises(NoCapacity):
        client.acquire("docs", run="r3", key=Secret("k" * 20))
    asked = [wish for _, _, wish, _ in service.asked(*ACQUIRE)]
    withdrawn = [wish for _, _, wish, _ in service.asked("POST", "/v1/leases/withdraw")]
    assert [wish["run"] for wish in withdrawn] == ["r1", "r2"]
    assert [wish["key"] for wish in withdrawn] == [wish["key"] for wish in asked[:2]]


def test_a_refusal_is_not_repeated(client: Client, service: FakeService) -> None:
    """A sure no ends the wait at once."""
    service.script[ACQUIRE] = [problem(403, "sharing_refused")]
    with pytest.raises(SharingRefused) as caught:
        client.acquire("docs", wait=60)
    assert caught.value.hint == "mend it"
    assert len(service.asked(*ACQUIRE)) == 1


def test_no_service_is_told_at_once(folder: Path) -> None:
    """Without a socket there is no waiting: the service is not there, and the hint says how."""
    with Client(folder) as client, pytest.raises(Unreachable, match="warminfra up"):
        client.acquire("docs", wait=60)


def test_a_service_that_restarts_is_waited_for(folder: Path) -> None:
    """A lease asked for while the service restarts comes from the new one."""
    with serving(folder) as first, Client(folder) as client:
        first.script[ACQUIRE] = [TICKET]
        again = None

        def restart(_: str) -> None:
            nonlocal again
            if again is None:
                stack.__exit__(None, None, None)
                again = serving(folder)
                again.__enter__()

        stack = serving(folder, first)
        stack.__enter__()
        try:
            assert client.acquire("docs", wait=30, on_wait=restart)["id"] == LEASE
        finally:
            assert again is not None
            again.__exit__(None, None, None)


def test_a_lost_reply_is_an_unknown_outcome(client: Client, service: FakeService) -> None:
    """A connection that ends without an answer is neither success nor failure."""
    service.script["GET", "/v1/status"] = ["hang up"]
    with pytest.raises(OutcomeUnknown):
        client.status()


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (410, "lease_lost", LeaseLost),
        (403, "wrong_handle", WrongHandle),
        (422, "recipe_invalid", RecipeInvalid),
        (500, "of_the_future", Internal),
    ],
)
def test_errors_are_rebuilt(
    client: Client, service: FakeService, status: int, code: str, error: type[Exception]
) -> None:
    """The class of an error is that of its code, whatever the status."""
    service.script["GET", f"/v1/leases/{LEASE}"] = [problem(status, code)]
    with pytest.raises(error, match="it went wrong"):
        client.show(LEASE, Secret(HANDLE))


def test_admin_verbs_need_the_admin_socket(folder: Path, service: FakeService) -> None:
    """The run socket refuses an admin's verb, the admin socket takes it."""
    with Client(folder) as run, pytest.raises(NotAllowed):
        run.lift()
    with Client(folder, admin=True) as admin:
        assert admin.lift() == 1


def test_a_handle_that_is_none_never_travels(client: Client, service: FakeService) -> None:
    """A handle with a line break is refused here: it would write headers of its own."""
    with pytest.raises(WrongHandle):
        client.show(LEASE, Secret("abc\r\nX: y"))
    assert not service.requests


def test_names_cannot_leave_their_place(folder: Path, service: FakeService) -> None:
    """A name with slashes stays one segment of the URL."""
    with Client(folder, admin=True) as admin, pytest.raises(Exception, match="no "):
        admin.unenroll("../leases")
    assert service.requests[0][:2] == ("DELETE", "/v1/recipes/../leases")


def test_a_connection_that_the_service_let_go_is_opened_anew(folder: Path) -> None:
    """A client that was idle for longer than the service keeps connections works on."""
    with Client(folder) as client:
        with serving(folder):
            assert client.alive()
            first = client.leases()
        with serving(folder):
            assert client.leases() == first
