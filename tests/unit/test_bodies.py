"""A body beyond what anybody needs is refused while it comes."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from unittest.mock import MagicMock

import pytest

from warminfra.service.app import build_app
from warminfra.service.bodies import LARGEST


@pytest.mark.parametrize(("pieces", "refused"), [(2, False), (40, True)])
def test_a_body_without_end_is_refused(pieces: int, refused: bool) -> None:
    """It is not read to its end; a large one that may come is answered for what it says."""
    app = build_app(MagicMock(), MagicMock(), lambda *_: None)
    piece, came, told = b" " * (LARGEST // 32), 0, list[Any]()

    async def receive() -> dict[str, Any]:
        nonlocal came
        came += 1
        return {"type": "http.request", "body": piece, "more_body": came < pieces}

    async def send(message: Any) -> None:
        told.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/leases",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
        "client": ("run.sock 0", 1),
    }
    asyncio.run(app(scope, receive, send))
    problem = json.loads(b"".join(message.get("body", b"") for message in told))
    assert told[0]["status"] == problem["status"] == 400
    assert ("at most 1 MiB" in problem["detail"]) == refused
    assert came == (33 if refused else pieces)
