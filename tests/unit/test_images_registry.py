"""Talking to registries: logins, tokens, limits, where to ask."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from warminfra.core.engine import EngineFacts
from warminfra.core.errors import RegistryRefused, Unreachable
from warminfra.images.credentials import Credentials
from warminfra.images.endpoints import endpoints_of
from warminfra.images.reference import Reference, parse_reference
from warminfra.images.registry import Registry

LIST = json.dumps(
    {
        "manifests": [
            {"digest": f"sha256:{letter * 64}", "platform": platform}
            for letter, platform in (
                ("a", {"os": "linux", "architecture": "amd64"}),
                ("b", {"os": "linux", "architecture": "arm64", "variant": "v8"}),
                ("c", {"os": "unknown", "architecture": "unknown"}),
            )
        ]
    }
).encode()
DIGEST = "sha256:" + hashlib.sha256(LIST).hexdigest()
PASSWORD = "correct horse"


class Guarded(BaseHTTPRequestHandler):
    """A registry whose tokens come from another address, for one user."""

    def do_GET(self) -> None:
        host, port = self.server.server_address[:2]
        authorization = self.headers.get("Authorization", "")
        if self.path.startswith("/token"):
            wanted = "Basic " + base64.b64encode(f"ci:{PASSWORD}".encode()).decode()
            good = authorization == wanted and "scope=repository%3Aapp%3Apull" in self.path
            self._answer(200 if good else 401, b'{"token": "tok"}' if good else b"{}")
        elif authorization != "Bearer tok":
            realm = f'Bearer realm="http://{host!s}:{port}/token",service="reg"'
            self._answer(401, b"{}", {"WWW-Authenticate": realm})
        else:
            headers = {"Docker-Content-Digest": DIGEST, "ratelimit-limit": "100;w=21600",
                       "ratelimit-remaining": "42;w=21600"}  # fmt: skip
            self._answer(200, LIST, headers)

    do_HEAD = do_GET  # noqa: N815

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response_only(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def domain() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Guarded) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def facts(**given: tuple[str, ...]) -> EngineFacts:
    return EngineFacts("id", "20", "linux/amd64", "/none", False, **given)


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, domain: str) -> Path:
    """Docker's config.json with a credential helper, which notes its arguments."""
    program = tmp_path / "bin" / "docker-credential-vault"
    program.parent.mkdir()
    told = json.dumps({"ServerURL": domain, "Username": "ci", "Secret": PASSWORD})
    program.write_text(f"#!/bin/sh\necho \"$@\" > {tmp_path}/argv\ncat > {tmp_path}/stdin\n"
                       f"echo '{told}'\n")  # fmt: skip
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"credHelpers": {domain: "vault"}}))
    return config


def client(config: Path, tmp_path: Path, patience: float = 2.0) -> Registry:
    made = facts(insecure=("127.0.0.0/8",))
    return Registry(made, Credentials(str(config)), tmp_path / "cache", patience)


def test_a_token_is_had_by_docker_s_own_login(helper: Path, tmp_path: Path, domain: str) -> None:
    """The helper is asked on its standard input; the token is used again; platforms are read."""
    registry = client(helper, tmp_path)
    name = Reference(domain, "app", "1")
    assert registry.digest_of(name) == DIGEST
    assert registry.platforms(name.at(DIGEST)) == {
        "linux/amd64": f"sha256:{'a' * 64}",
        "linux/arm64": f"sha256:{'b' * 64}",
    }
    assert (tmp_path / "argv").read_text() == "get\n"
    assert (tmp_path / "stdin").read_text() == domain
    allowance = registry.allowances[domain]
    assert (allowance.limit, allowance.remaining, allowance.window) == (100, 42, 21600)
    registry.close()


def test_a_login_from_the_file_serves_as_well(tmp_path: Path, domain: str) -> None:
    """`auths` of config.json, as `docker login` writes it."""
    auth = base64.b64encode(f"ci:{PASSWORD}".encode()).decode()
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"auths": {domain: {"auth": auth}}}))
    registry = client(config, tmp_path)
    assert registry.digest_of(Reference(domain, "app", "1")) == DIGEST
    registry.close()


def test_a_wrong_login_is_told_without_it(tmp_path: Path, domain: str) -> None:
    """The line names the registry and the remedy, and no secret."""
    auth = base64.b64encode(b"ci:wrong-password").decode()
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"auths": {domain: {"auth": auth}}}))
    registry = client(config, tmp_path)
    with pytest.raises(RegistryRefused, match="docker login") as refused:
        registry.digest_of(Reference(domain, "app", "1"))
    assert "wrong-password" not in str(refused.value)
    registry.close()


def test_a_platform_that_there_is_not_is_told_with_those_that_are(
    helper: Path, tmp_path: Path, domain: str
) -> None:
    """A node of another architecture learns it before it pulls."""
    registry = client(helper, tmp_path)
    with pytest.raises(RegistryRefused, match="linux/amd64, linux/arm64"):
        registry.content(Reference(domain, "app", "1", DIGEST), "linux/riscv64")
    registry.close()


def test_nobody_there_is_unreachable_within_patience(tmp_path: Path) -> None:
    """A registry that is down ends the call in time."""
    (tmp_path / "config.json").write_text("{}")
    registry = client(tmp_path / "config.json", tmp_path, patience=0.5)
    with pytest.raises(Unreachable, match="does not answer"):
        registry.digest_of(Reference("127.0.0.1:9", "app", "1"))
    registry.close()


def test_mirrors_are_asked_for_the_default_registry_alone() -> None:
    """As an engine does; and without TLS only where it does so."""
    known = facts(mirrors=("http://127.0.0.1:5055/",), insecure=("10.0.0.0/8", "reg.example"))
    mirror, origin = endpoints_of(parse_reference("nginx:1"), known)
    assert (mirror.url, mirror.mirror) == ("http://127.0.0.1:5055", True)
    assert not origin.mirror
    urls = [
        endpoints_of(parse_reference(name), known)[0].url
        for name in ("reg.example/a", "other.example/a", "10.1.2.3:5000/a", "192.0.2.1/a")
    ]
    assert urls == ["http://reg.example", "https://other.example", "http://10.1.2.3:5000",
                    "https://192.0.2.1"]  # fmt: skip
