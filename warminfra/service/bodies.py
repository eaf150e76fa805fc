"""Refuses a body that nobody needs: who may reach a socket must not fill the service's memory."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST = 1 << 20
"""Bytes. The largest that a client of ours sends is a verdict, some kilobytes."""


class TooLarge(HTTPException):
    """It was refused in its middle."""

    def __init__(self) -> None:
        super().__init__(413, f"a request has at most {LARGEST >> 20} MiB")


@dataclass(frozen=True, slots=True)
class LimitedBodies:
    """ASGI middleware that counts a body while it comes."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what comes, until it is too much."""
        left = LARGEST

        async def counted() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise TooLarge
            return message

        await self.app(scope, counted, send)
