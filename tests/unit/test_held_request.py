"""A question that was held is asked again for who is still there, and for nobody else."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from unittest.mock import MagicMock

import pytest

from warminfra.core.models import LeaseRequest, Waiting
from warminfra.service.app import build_app

WISH = json.dumps({"recipe": "docs", "key": "0123456789abcdef"}).encode()


class Manager:
    """Has no tenant, but says after the wait that there is something to ask for."""

    def __init__(self) -> None:
        self.asked = 0
        self.waited: list[float] = []

    def acquire(self, _: LeaseRequest) -> Waiting:
        self.asked += 1
        return Waiting("no tenant is ready", 1, 0.25)

    def await_turn(self, _: LeaseRequest, told: Waiting, seconds: float) -> Waiting:
        self.waited.append(seconds)
        return Waiting(told.reason, told.place, 0.0)


def ask(manager: Manager, prefer: str, *, hangs_up: bool) -> dict[str, Any]:
    """Post a wish; return the body of the answer."""
    app = build_app(MagicMock(manager=manager), MagicMock(), lambda *_: None)
    headers = [(b"content-type", b"application/json"), (b"prefer", prefer.encode())]
    told = [{"type": "http.request", "body": WISH, "more_body": False}]
    answer = b""

    async def receive() -> dict[str, Any]:
        if told:
            return told.pop()
        if not hangs_up:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        nonlocal answer
        answer += message.get("body", b"")

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/leases",
        "query_string": b"",
        "headers": headers,
        "client": ("run.sock 0", 1),
    }
    asyncio.run(app(scope, receive, send))
    found: dict[str, Any] = json.loads(answer)
    return found


@pytest.mark.parametrize(("hangs_up", "asked"), [(False, 2), (True, 1)])
def test_only_who_is_there_is_asked_for_again(*, hangs_up: bool, asked: int) -> None:
    """Whoever hung up while the answer was held gets no lease that nobody would take."""
    manager = Manager()
    ask(manager, "wait=60", hangs_up=hangs_up)
    assert manager.asked == asked
    assert manager.waited == [60.0]


@pytest.mark.parametrize(
    ("prefer", "waited"),
    [("respond-async, wait=5", [5.0]), ("wait=5; foo", [5.0]), ("", []), ("wait=soon", []),
     ("await=5", [])],
)  # fmt: skip
def test_an_answer_is_held_for_who_prefers_to_wait(prefer: str, waited: list[float]) -> None:
    """As RFC 7240 writes it; anybody else is told at once when to ask again."""
    manager = Manager()
    body = ask(manager, prefer, hangs_up=False)
    assert manager.waited == waited
    assert body["retry_after_s"] == 0.25
