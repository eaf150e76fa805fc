"""The gate before the registry: counts what is asked, and makes the troubles that registries make.

with Gate.opened(registry.address) as gate:
    gate.limit(bytes_per_second=8 << 20)
    with gate.cut_off(): ...
    with gate.refusing(429, {"Retry-After": "1"}, times=3): ...
    with gate.corrupting("/blobs/"): ...

It passes HTTP on as it is, and lives in the process of the tests.
"""

from __future__ import annotations

import http.client
import re
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from testbed.places import GATE_ADDRESS

_CHUNK = 64 << 10
_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "te", "upgrade"})


@dataclass(frozen=True, slots=True)
class Request:
    """One request and how it was answered. `sent` counts bytes of the answer's body."""

    method: str
    path: str
    status: int
    sent: int


@dataclass(slots=True)
class Trouble:
    """A trouble for requests whose path matches; `left` None: as long as it stands."""

    matching: re.Pattern[str]
    status: int = 0
    """Answer this, without asking the registry."""
    headers: Mapping[str, str] = field(default_factory=dict)
    corrupt: bool = False
    """Change one byte of the body."""
    break_after: int | None = None
    """Cut the connection after so many bytes of the body."""
    left: int | None = None


class Gate:
    """The gate on `address`; `requests` is what has passed since it was cleared."""

    def __init__(self, upstream: str, address: str = GATE_ADDRESS) -> None:
        self.upstream = upstream
        self.address = address
        self.extra_headers: dict[str, str] = {}
        """Headers that every answer carries too, such as `ratelimit-remaining`."""
        self._requests: list[Request] = []
        self._troubles: list[Trouble] = []
        self._lock = threading.Lock()
        self._rate: float | None = None
        self._free_at = 0.0
        self._server: _Server | None = None

    @classmethod
    @contextmanager
    def opened(cls, upstream: str, address: str = GATE_ADDRESS) -> Iterator[Gate]:
        """Open a gate, and shut it at the end."""
        gate = cls(upstream, address)
        gate.open()
        try:
            yield gate
        finally:
            gate.shut()

    @property
    def requests(self) -> list[Request]:
        with self._lock:
            return list(self._requests)

    def clear(self) -> None:
        """Forget the requests, and mend every trouble."""
        with self._lock:
            self._requests.clear()
            self._troubles.clear()
            self._rate = None
            self.extra_headers.clear()

    def open(self) -> None:
        """Listen, unless it does."""
        if self._server is None:
            self._server = _Server(self)
            threading.Thread(
                target=self._server.serve_forever, args=(0.05,), name="gate", daemon=True
            ).start()

    def shut(self) -> None:
        """Refuse connections, and break those that stand."""
        if self._server is not None:
            self._server.shutdown()
            self._server.break_all()
            self._server.server_close()
            self._server = None

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Nothing answers, as when the registry is down."""
        self.shut()
        try:
            yield
        finally:
            self.open()

    def limit(self, bytes_per_second: float | None) -> None:
        """Share so much between all connections; None: no limit."""
        with self._lock:
            self._rate, self._free_at = bytes_per_second, time.monotonic()

    @contextmanager
    def refusing(
        self,
        status: int,
        headers: Mapping[str, str] | None = None,
        *,
        matching: str = "",
        times: int | None = None,
    ) -> Iterator[None]:
        """Answer `status` to requests whose path matches, so many times."""
        trouble = Trouble(re.compile(matching), status=status, headers=headers or {}, left=times)
        with self._standing(trouble):
            yield

    @contextmanager
    def corrupting(self, matching: str = "/blobs/", *, times: int | None = None) -> Iterator[None]:
        """Change a byte of the bodies: their digest is not what was asked for."""
        with self._standing(Trouble(re.compile(matching), corrupt=True, left=times)):
            yield

    @contextmanager
    def breaking(
        self, after: int, *, matching: str = "/blobs/", times: int | None = None
    ) -> Iterator[None]:
        """Cut connections after so many bytes of a body."""
        with self._standing(Trouble(re.compile(matching), break_after=after, left=times)):
            yield

    @contextmanager
    def _standing(self, trouble: Trouble) -> Iterator[None]:
        with self._lock:
            self._troubles.append(trouble)
        try:
            yield
        finally:
            with self._lock:
                if trouble in self._troubles:
                    self._troubles.remove(trouble)

    # ------------------------------------------------------------ for its threads

    def trouble_for(self, path: str) -> Trouble | None:
        """Take the trouble that a request of `path` meets."""
        with self._lock:
            for trouble in self._troubles:
                if trouble.left != 0 and trouble.matching.search(path):
                    if trouble.left is not None:
                        trouble.left -= 1
                    return trouble
        return None

    def note(self, request: Request) -> None:
        with self._lock:
            self._requests.append(request)

    def pay(self, size: int) -> None:
        """Wait until `size` bytes may go: one queue for all connections, as one line is."""
        with self._lock:
            if self._rate is None:
                return
            now = time.monotonic()
            self._free_at = max(self._free_at, now) + size / self._rate
            wait = self._free_at - now
        time.sleep(wait)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    block_on_close = False

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self._open: set[socket.socket] = set()
        host, port = gate.address.split(":")
        super().__init__((host, int(port)), _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def break_all(self) -> None:
        for connection in list(self._open):
            self._open.discard(connection)
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error here."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:
            self.close_connection = True

    def _pass_on(self) -> None:
        gate = self.server.gate
        trouble = gate.trouble_for(self.path)
        if trouble is not None and trouble.status:
            self._refuse(trouble)
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        upstream = http.client.HTTPConnection(gate.upstream, timeout=60)
        sent = 0
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():  # engines repeat Accept, line by line
                if name.lower() not in _HOP:
                    upstream.putheader(name, value)
            upstream.endheaders(body or None)
            answer = upstream.getresponse()
            self.send_response_only(answer.status)
            for name, value in [*answer.getheaders(), *gate.extra_headers.items()]:
                if name.lower() not in _HOP:
                    self.send_header(name, value)
            length = answer.getheader("Content-Length")
            if length is None and answer.status not in (204, 304):
                self.send_header("Connection", "close")
                self.close_connection = True
            self.end_headers()
            for chunk in iter(lambda: answer.read(_CHUNK), b""):
                if trouble is not None and trouble.corrupt and sent == 0:
                    chunk = chunk[:-1] + bytes([chunk[-1] ^ 1])
                if trouble is not None and trouble.break_after is not None:
                    chunk = chunk[: max(0, trouble.break_after - sent)]
                gate.pay(len(chunk))
                self.wfile.write(chunk)
                sent += len(chunk)
                if trouble is not None and sent >= (trouble.break_after or sent + 1):
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    break
            gate.note(Request(self.command, self.path, answer.status, sent))
        except OSError:
            gate.note(Request(self.command, self.path, 0, sent))
            raise
        finally:
            upstream.close()

    def _refuse(self, trouble: Trouble) -> None:
        body = b'{"errors":[{"code":"TOOMANYREQUESTS","message":"asked for by a test"}]}'
        self.send_response_only(trouble.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in {**self.server.gate.extra_headers, **trouble.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.server.gate.note(Request(self.command, self.path, trouble.status, 0))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Say nothing: `requests` is the log."""
