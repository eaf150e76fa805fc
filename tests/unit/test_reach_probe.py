"""What a look from a container tells: which of name, connection, certificate, issuer fails."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from warminfra.cli.reach import _findings
from warminfra.engine.reach_probe import look
from warminfra.instances.authority import Authority
from warminfra.testing.clock import ManualClock


class Now(ManualClock):
    """Manual, and of this machine's time: OpenSSL looks at that."""

    def wall(self) -> datetime:
        return datetime.now(UTC)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca", "", "127.0.0.1", Now())


@contextmanager
def server(authority: Authority, folder: Path, issuer: str, status: int = 200) -> Iterator[int]:
    """Answer discovery over TLS; the port."""

    class Discovery(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps({"issuer": issuer}).encode())

        def log_message(self, *_: object) -> None:
            return

    pair = authority.issue(folder)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    with HTTPServer(("127.0.0.1", 0), Discovery) as made:
        made.handle_error = lambda *_: None  # type: ignore[method-assign]
        made.socket = context.wrap_socket(made.socket, server_side=True)
        thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield made.server_port
        finally:
            made.shutdown()
            thread.join()


def test_each_trouble_has_its_name(authority: Authority, tmp_path: Path) -> None:
    """A name nobody knows, a port nobody listens on, a stranger's CA, an error, another issuer."""
    ca = str(authority.ca_file)
    with server(authority, tmp_path / "one", "https://right") as port:
        url = f"https://127.0.0.1:{port}/d"
        assert look(url, "https://right", ca) == {
            "addresses": ["127.0.0.1"], "trouble": "", "found": "https://right",
        }  # fmt: skip
        assert look(url, "https://wrong", ca)["trouble"] == "issuer"
        untrusted = look(url, "https://right")
        assert untrusted["trouble"] == "certificate"
        assert "certificate" in str(untrusted["found"])
    assert look(url, "https://right", ca)["trouble"] == "connection"
    assert look("https://sso.invalid/d", "https://right", ca)["trouble"] == "name"
    with server(authority, tmp_path / "one", "https://right", 502) as port:
        assert look(f"https://127.0.0.1:{port}/d", "", ca)["trouble"] == "answer"


@pytest.mark.parametrize(
    ("trouble", "checks"),
    [
        ("", ["resolves", "answers", "trusted", "discovery", "issuer"]),
        ("name", ["resolves"]),
        ("certificate", ["resolves", "answers", "trusted"]),
        ("issuer", ["resolves", "answers", "trusted", "discovery", "issuer"]),
    ],
)
def test_the_first_trouble_is_the_last_line(trouble: str, checks: list[str]) -> None:
    """What was well is said, what failed has a remedy, and nothing is claimed beyond."""
    reach = {"hosts": {"sso.test": "172.17.0.1"}, "ca_file": "/run/ca.pem"}
    seen = {"addresses": ["172.17.0.1"], "trouble": trouble, "found": "x"}
    found = _findings(seen, "https://sso.test:1", "proxy", reach)
    assert [finding.check for finding in found] == checks
    assert [finding.level for finding in found] == [
        *["ok"] * (len(checks) - 1), "fail" if trouble else "ok",
    ]  # fmt: skip
    assert bool(found[-1].remedy) is bool(trouble)
