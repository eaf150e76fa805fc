"""An operator's proxy: speaks HTTPS before a server that speaks HTTP, with a CA of its own."""

from __future__ import annotations

import http.client
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from warminfra.core.clock import SystemClock
from warminfra.instances.authority import Authority

_HOP = frozenset({"connection", "transfer-encoding", "keep-alive"})


@dataclass
class Front:
    """A running proxy. `upstream` may be changed while it runs."""

    address: str
    port: int
    ca_file: Path
    upstream: tuple[str, int]
    seen: list[str] = field(default_factory=list)
    """Method and path, without the query, of every request."""

    @property
    def url(self) -> str:
        return f"https://{self.address}:{self.port}"


@contextmanager
def front(
    folder: Path, upstream: tuple[str, int], *, address: str = "127.0.0.1", port: int = 0
) -> Iterator[Front]:
    """Serve on `address` before `upstream`; `folder` gets the CA and the certificate."""
    authority = Authority(folder / "ca", "", address, SystemClock())
    pair = authority.issue(folder / "server")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            made.seen.append(f"{self.command} {self.path.split('?')[0]}")
            size = int(self.headers.get("Content-Length") or 0)
            connection = http.client.HTTPConnection(*made.upstream, timeout=60)
            try:
                headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP}
                headers |= {
                    "X-Forwarded-Proto": "https",
                    "X-Forwarded-Host": headers.get("Host", ""),
                    "X-Forwarded-For": str(self.client_address[0]),
                }
                body = self.rfile.read(size) if size else None
                connection.request(self.command, self.path, body, headers)
                answer = connection.getresponse()
                content = answer.read()
                self.send_response_only(answer.status, answer.reason)
                for name, value in answer.getheaders():
                    if name.lower() not in (*_HOP, "content-length"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)
            except OSError:
                self.send_error(502)
            finally:
                connection.close()

        def __getattr__(self, name: str) -> Any:
            if name.startswith("do_"):  # whatever the verb
                return self.pass_on
            raise AttributeError(name)

        def log_message(self, *_: Any) -> None:
            """Log nothing: requests hold codes."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def finish_request(self, request: Any, client_address: Any) -> None:
            with context.wrap_socket(request, server_side=True) as shaken:
                super().finish_request(shaken, client_address)

        def handle_error(self, *_: Any) -> None:
            """A client that does not trust the certificate hangs up: that is its right."""

    with Server((address, port), Handler) as server:
        made = Front(address, server.server_port, authority.ca_file, upstream)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()
