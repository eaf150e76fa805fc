"""Listeners on loopback that nothing should reach, or one mail: a port, and what came to it."""

from __future__ import annotations

import queue
import smtplib
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_MAIL_PATIENCE = 20.0


@dataclass(slots=True)
class Sink:
    """A port, and what was sent there."""

    port: int = 0
    came: queue.Queue[bytes] = field(default_factory=queue.Queue)

    def next(self) -> bytes:
        """Wait for what comes next. Raises `queue.Empty` after 20 s."""
        return self.came.get(timeout=_MAIL_PATIENCE)

    def all(self) -> list[bytes]:
        """Return what has come since the last look."""
        found = []
        while not self.came.empty():
            found.append(self.came.get())
        return found


@contextmanager
def mail_sink() -> Iterator[Sink]:
    """Run a mail server that keeps every mail."""
    sink = Sink()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 sink")
            for line in self.rfile:
                verb = line.strip().upper()
                if verb.startswith(b"DATA"):
                    self._say("354 go on")
                    sink.came.put(b"".join(iter(self.rfile.readline, b".\r\n")))
                    self._say("250 kept")
                elif verb.startswith(b"QUIT"):
                    self._say("221 bye")
                    return
                else:
                    self._say("250 fine")

        def _say(self, text: str) -> None:
            self.wfile.write(text.encode() + b"\r\n")

    yield from _served(Handler, sink)


@contextmanager
def http_sink() -> Iterator[Sink]:
    """Run a web server that keeps every request and answers with an empty list."""
    sink = Sink()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            head = b""
            for line in self.rfile:
                if line == b"\r\n":
                    break
                head += line
            length = 0
            for line in head.lower().splitlines():
                if line.startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            sink.came.put(head + self.rfile.read(length))
            self.wfile.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                b"Content-Length: 2\r\nConnection: close\r\n\r\n[]"
            )

    yield from _served(Handler, sink)


def send_mail(port: int) -> None:
    """Send a mail of our own to the mail server there."""
    with smtplib.SMTP("127.0.0.1", port, timeout=5.0) as server:
        server.sendmail("a@example.test", ["b@example.test"], "Subject: ours")


def _served(handler: type[socketserver.StreamRequestHandler], sink: Sink) -> Iterator[Sink]:
    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), handler) as server:
        sink.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield sink
        finally:
            server.shutdown()
