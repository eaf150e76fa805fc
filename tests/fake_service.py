"""A stand-in for the service behind the two Unix sockets: its API, scripted, nothing behind it."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import unquote

HANDLE = "0123456789abcdef" * 4
CLIENT_SECRET = "client-secret-of-the-lease"
PASSWORD = "password-of-alice"
LEASE = "abcdefgh-abcdefghabcdefghabcdefgh22"
HELD_UNTIL = "2100-01-01T00:00:00Z"


def document(**changes: Any) -> dict[str, Any]:
    """A lease document with every kind of secret in it."""
    return {
        "schema": "warminfra.lease/v1",
        "id": LEASE,
        "handle": HANDLE,
        "recipe": "docs",
        "run": "",
        "slot": "",
        "mode": "shared",
        "mode_reason": "policy unproven",
        "verdict": None,
        "provider": "keycloak",
        "tenant": f"wi-{LEASE}",
        "domain": "",
        "expires_at": "2026-01-01T00:00:00Z",
        "ttl_s": 60.0,
        "issuer": "http://127.0.0.1:8080/realms/x",
        "endpoints": {},
        "client": {"id": "docs-x", "secret": CLIENT_SECRET},
        "users": [{"username": "alice", "password": PASSWORD, "roles": ["editor"]}],
        "timing": {"total_ms": 1.0},
        "env": {
            "OIDC_RP_CLIENT_ID": "docs-x",
            "OIDC_RP_CLIENT_SECRET": CLIENT_SECRET,
            "ODD": "a 'b",
        },
        **changes,
    }


STATUS = {
    "schema": "warminfra.status/v1",
    "version": "0.1.0",
    "installation": "abcdefgh",
    "pid": 0,
    "uptime_s": 1.5,
    "policy": {"policy": "unproven", "min_profile": "standard", "require": "audit"},
    "gate": [{"recipe": "docs", "mode": "shared", "reason": "policy unproven"}],
    "accepted": [],
    "warnings": ["nothing is proven"],
    "removing": [],
    "hold": {"max": 3, "memory": 2 << 30},
    "held": [],
    "instances": [
        {
            "id": "kc-1", "provider": "keycloak", "kind": "warm", "state": "ready", "note": "",
            "made": 3, "live": 2, "url": "http://127.0.0.1:8080", "created_at": "x",
        }
    ],
    "tenants": {"ready": 2, "gone": 7},
    "leases": {"active": 0},
    "waiting": 0,
    "quarantine": 1,
    "recipes": 1,
}  # fmt: skip
RECIPE = {
    "name": "docs",
    "path": "x",
    "template_hash": "x",
    "features": [],
    "pool": {"min": 1, "max": 2, "ready": 2},
    "mode": "shared",
    "mode_reason": "policy unproven",
    "enrolled_at": "x",
}
QUARANTINED = {
    "id": LEASE, "instance": "kc-1", "recipe": "docs", "attempts": 6, "reason": "500",
    "created_at": "x",
}  # fmt: skip

STUCK_STACK = {
    "name": "docs-ci-17", "lease": LEASE, "state": "removing", "attempts": 7,
    "reason": "the engine does not answer",
}  # fmt: skip

Reply = tuple[int, dict[str, Any]]


def problem(status: int, code: str, detail: str = "it went wrong", hint: str = "mend it") -> Reply:
    return status, {"status": status, "code": code, "detail": detail, "hint": hint}


@dataclass
class FakeService:
    """What it was asked, and what it will answer.

    `script[(method, target)]` is a list of replies, used up one by one, the last one for ever;
    "hang up" ends the connection without one.
    """

    requests: list[tuple[str, str, Any, str]] = field(default_factory=list)
    script: dict[tuple[str, str], list[Reply | str]] = field(default_factory=dict)
    seen: threading.Condition = field(default_factory=threading.Condition)

    def answer(self, door: str, method: str, target: str, body: Any, handle: str) -> Reply | str:
        with self.seen:
            self.requests.append((method, target, body, handle))
            self.seen.notify_all()
        if (replies := self.script.get((method, target))) is not None:
            return replies.pop(0) if len(replies) > 1 else replies[0]
        return self._usual(door, method, target, body)

    def asked(self, method: str, target: str) -> list[tuple[str, str, Any, str]]:
        return [request for request in self.requests if request[:2] == (method, target)]

    def wait_for(self, method: str, target: str, count: int = 1) -> None:
        """Wait until the request has been made so often."""
        with self.seen:
            assert self.seen.wait_for(lambda: len(self.asked(method, target)) >= count, 30)

    def _usual(self, door: str, method: str, target: str, body: Any) -> Reply:
        lease = f"/v1/leases/{LEASE}"
        gone = {"id": LEASE, "lease": "released", "tenant": "gone", "reason": "", "attempts": 0}
        held = {"id": LEASE, "held_until": HELD_UNTIL}
        run = {
            ("POST", "/v1/leases"): (201, document()),
            ("GET", "/v1/leases"): (200, {"leases": [document()]}),
            ("GET", lease): (200, document()),
            ("GET", f"{lease}/state"): (200, gone),
            ("DELETE", lease): (202, {**gone, "tenant": "retiring"}),
            ("POST", f"{lease}/renew"): (200, {"id": LEASE, "expires_at": "later", "ttl_s": 60}),
            ("PUT", f"{lease}/domain"): (200, document()),
            ("POST", f"{lease}/hold"): (200, held),
            ("POST", "/v1/runs/release"): (202, {"leases": [gone]}),
            ("GET", "/v1/recipes"): (200, {"recipes": [RECIPE]}),
            ("GET", "/v1/status"): (200, STATUS),
            ("GET", "/livez"): (200, {"live": True}),
            ("GET", "/readyz"): (200, {"ready": True}),
        }
        admin = {
            ("PUT", "/v1/recipes/docs"): (200, {**RECIPE, "dropped": ["keys"], "changed": True}),
            ("DELETE", "/v1/recipes/docs"): (200, {"name": "docs", "retired": 2}),
            ("GET", "/v1/quarantine"): (
                200,
                {
                    "schema": "warminfra.quarantine/v1",
                    "tenants": [QUARANTINED],
                    "stacks": [{**STUCK_STACK}],
                },
            ),
            ("POST", "/v1/quarantine/retry"): (200, {"retried": 1}),
            ("POST", f"/v1/quarantine/{LEASE}/force"): (200, {"id": LEASE, "state": "gone"}),
            ("POST", "/v1/verdicts/v1/approve"): (200, {"verdict": "v1"}),
            ("POST", "/v1/revert"): (200, {"reverted": True}),
            ("POST", "/v1/lift"): (200, {"lifted": 1}),
            ("POST", f"{lease}/revoke"): (202, {**gone, "lease": "revoked"}),
        }
        if (method, target) in admin and door != "admin.sock":
            return problem(403, "not_allowed")
        return {**run, **admin}.get((method, target)) or problem(404, "not_found", f"no {target}")


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 64
    fake: FakeService

    def __init__(self, path: str) -> None:
        super().__init__(path, _Handler)
        self.connections: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def die(self) -> None:
        """End as a killed process does: kept connections as well."""
        self.shutdown()
        self.server_close()
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _any(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        door = Path(str(self.server.server_address)).name
        target = unquote(self.path).removesuffix("?unless_held=true")
        handle = self.headers.get("Warminfra-Handle", "")
        reply = self.server.fake.answer(door, self.command, target, body, handle)
        if isinstance(reply, str):
            self.close_connection = True
            return
        status, found = reply
        payload = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    do_GET = do_POST = do_PUT = do_DELETE = _any  # noqa: N815 - names that the library calls

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(runtime_dir: Path, fake: FakeService | None = None) -> Iterator[FakeService]:
    """Serve both sockets in `runtime_dir`."""
    fake = fake or FakeService()
    runtime_dir.mkdir(mode=0o700, exist_ok=True)
    servers = []
    for name in ("run.sock", "admin.sock"):
        path = runtime_dir / name
        path.unlink(missing_ok=True)
        server = _Server(str(path))
        path.chmod(0o600)
        server.fake = fake
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        servers.append((server, thread, path))
    try:
        yield fake
    finally:
        for server, thread, path in servers:
            server.die()
            thread.join()
            path.unlink(missing_ok=True)
