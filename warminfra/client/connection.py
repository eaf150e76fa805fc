"""One HTTP connection to one of the service's Unix sockets.

Owns the line between "nothing was sent" (`Unreachable`), "the reply was lost" (`OutcomeUnknown`)
and an answer, which is returned whatever its status. Python's own HTTP client does all that is
needed here and loads in a fifth of the time of a bigger one; every call of a command pays for that.
"""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warminfra.core.errors import NotAllowed, OutcomeUnknown, Unreachable

if TYPE_CHECKING:
    from warminfra.core.models import JsonObject

CONNECT_TIMEOUT = 2.0
"""Seconds; a listening socket on the same host accepts at once or is overrun."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `body` is the JSON object, or `{}` if it was none (then see `text`)."""

    status: int
    body: JsonObject
    text: str


class _UnixConnection(HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(CONNECT_TIMEOUT)
            sock.connect(str(self._path))
        except BaseException:
            sock.close()
            raise
        self.sock = sock


class Connection:
    """Requests over one socket, one at a time; the connection is kept between them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._http = _UnixConnection(path)

    def request(
        self,
        method: str,
        target: str,
        body: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float,
    ) -> Answer:
        """Send one request, wait at most `timeout` seconds for each step of its answer."""
        self._connect()
        sent = {"Accept": "application/json", **(headers or {})}
        payload = None
        if body is not None:
            payload = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        try:
            self._http.sock.settimeout(timeout)
            self._http.request(method, target, payload, sent)
            response = self._http.getresponse()
            text = response.read().decode(errors="replace")
        except (OSError, HTTPException) as error:
            self.close()
            what = "did not answer in time" if isinstance(error, TimeoutError) else "hung up"
            raise OutcomeUnknown(
                f"the service at {self.path} {what} ({method} {target})",
                hint="try again; if it stays so, see `warminfra doctor`",
            ) from None
        if response.will_close:
            self.close()
        return Answer(response.status, _parsed(text), text)

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        self._http.close()

    def _connect(self) -> None:
        if self._http.sock is not None:
            if not _readable(self._http.sock):
                return
            # Nothing was asked, so what can be read is the end: the service let an idle one go.
            self.close()
        try:
            self._http.connect()
        except PermissionError:
            raise NotAllowed(
                f"{self.path}: permission denied",
                hint="call as the service's own user, or be in the group of service.group",
            ) from None
        except OSError as error:
            too_long = not isinstance(error, TimeoutError) and error.errno is None
            raise Unreachable(
                f"no service answers at {self.path}",
                hint="a socket's path has at most 107 bytes: set a shorter service.runtime_dir"
                if too_long
                else "start it: warminfra up",
            ) from None


def _readable(sock: socket.socket) -> bool:
    return bool(select.select([sock], [], [], 0)[0])


def _parsed(text: str) -> JsonObject:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
