"""A real registry for tests: Debian's `docker-registry` on loopback, with a configuration of ours.

Its access log is a file that tests read. Faults (cut off, slow, 429, a wrong digest) are made by
the gate before it.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from testbed.places import REGISTRY_ADDRESS, testbed_home
from testbed.servers import Server

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


@dataclass(frozen=True)
class Registry:
    """The registry in `folder`, answering on `address`."""

    folder: Path
    address: str

    @classmethod
    def here(cls) -> Registry:
        """Return the registry of this user's cache, running or not."""
        return cls(testbed_home() / "registry", REGISTRY_ADDRESS)

    @property
    def server(self) -> Server:
        command = ("/usr/bin/docker-registry", "serve", str(self.folder / "config.yml"))
        return Server("registry", self.folder, command, self._answers)

    def start(self) -> bool:
        """Start it or adopt it; say whether it was started."""
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": False}},
            "storage": {
                "filesystem": {"rootdirectory": str(self.folder / "data")},
                "delete": {"enabled": True},
            },
            "http": {"addr": self.address, "relativeurls": True},
        }
        (self.folder / "config.yml").write_text(json.dumps(settings))  # YAML includes JSON
        return self.server.start()

    def stop(self) -> None:
        self.server.stop()

    def access_log(self) -> list[str]:
        """Return the lines of its access log so far, oldest first."""
        lines = self.server.log.read_text(errors="replace").splitlines()
        return [line for line in lines if '"GET /v2/' in line or '"HEAD /v2/' in line]

    def has(self, repository: str, tag: str) -> bool:
        """Say whether it holds an image of that tag or digest."""
        try:
            self._call("HEAD", repository, tag)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return False
            raise
        return True

    def retag(self, repository: str, old: str, new: str) -> None:
        """Let `new` name the same image as `old`. No byte of it moves."""
        body, kind = self._call("GET", repository, old)
        self._call("PUT", repository, new, body, kind)

    def _call(
        self,
        method: str,
        repository: str,
        tag: str,
        body: bytes | None = None,
        kind: str = MANIFEST,
    ) -> tuple[bytes, str]:
        request = urllib.request.Request(
            f"http://{self.address}/v2/{repository}/manifests/{tag}",
            data=body,
            method=method,
            headers={"Accept": MANIFEST, **({"Content-Type": kind} if body else {})},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - http, above
            return answer.read(), answer.headers.get("Content-Type", MANIFEST)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.address}/v2/", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
