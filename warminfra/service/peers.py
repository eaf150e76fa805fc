"""Who is at the other end of a Unix socket, as the kernel says.

uvicorn does not look; its protocol is extended by the one question. The answer travels as the
request's `client`: the socket's name as host, the peer's pid as port, and the uid in the scope.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

ADMIN = "admin.sock"
RUN = "run.sock"


@dataclass(frozen=True, slots=True)
class Peer:
    """The process that made a connection; pid 0 if it lives in another pid namespace."""

    socket: str
    pid: int
    uid: int


class PeerProtocol(HttpToolsProtocol):
    """HTTP/1.1 over a Unix socket, with the peer's credentials."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        connection: socket.socket = transport.get_extra_info("socket")
        pid, uid, _gid = struct.unpack(
            "3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        )
        name = str(connection.getsockname()).rsplit("/", 1)[-1]
        self.client = (f"{name} {uid}", pid)


def peer_of(scope: Any) -> Peer:
    """Return the peer of a request."""
    host, pid = scope["client"]
    name, uid = host.split()
    return Peer(name, pid, int(uid))
