"""A real Docker engine for tests, with a folder of its own; nothing of the machine's is touched.

    python -m testbed.engine up|down|status

It is Debian's `dockerd`, as a Swarm of one node. It listens on a Unix socket only, its Swarm on
loopback, and it changes no rule of the firewall: ports of containers are answered by its own proxy
(on every address of the machine: a Swarm knows no other way). What already runs is adopted. It is
used by one session at a time (`held`), because tests prune.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.places import testbed_home
from testbed.registry import Registry
from testbed.servers import Server
from warminfra.core.files import file_lock

DOCKER = "/usr/bin/docker"
"""The package's own client, of the same version as the engine; it builds images."""

SETUP = Path(__file__).resolve().parent.parent / "deploy" / "setup-engine.sh"


def newest_client() -> str:
    """Return the client to deploy and merge with: the first on the PATH."""
    return shutil.which("docker") or DOCKER


@dataclass(frozen=True)
class Engine:
    """The engine in `folder`."""

    folder: Path

    @classmethod
    def here(cls) -> Engine:
        """Return the engine of this user's cache, running or not."""
        return cls(testbed_home() / "engine")

    @property
    def socket(self) -> Path:
        return self.folder / "docker.sock"

    @property
    def host(self) -> str:
        """The value for `DOCKER_HOST`."""
        return f"unix://{self.socket}"

    @property
    def config_file(self) -> Path:
        """Its daemon.json. The engine reads it again on SIGHUP."""
        return self.folder / "daemon.json"

    @property
    def pid(self) -> int | None:
        ref = self.server.running()
        return ref.pid if ref else None

    @property
    def server(self) -> Server:
        command = (
            "/usr/sbin/dockerd",
            *("--config-file", str(self.config_file)),
            *("--data-root", str(self.folder / "data")),
            *("--exec-root", str(self.folder / "exec")),
            *("--pidfile", str(self.folder / "docker.pid")),
            *("--host", self.host),
            *("--containerd-namespace", "warminfra-testbed"),
            "--iptables=false",
            *("--log-level", "warn"),
        )
        return Server("dockerd", self.folder, command, self._answers)

    def start(self) -> bool:
        """Install what lacks, start the engine or adopt it, make it a Swarm of one node."""
        subprocess.run([SETUP], check=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.config_file.exists():
            self.config_file.write_text("{}\n")
        started = self.server.start()
        state = json.loads(self.run("info", "--format", "{{json .Swarm}}"))["LocalNodeState"]
        if state != "active":
            self.run(
                *("swarm", "init", "--advertise-addr", "127.0.0.1"),
                *("--listen-addr", "127.0.0.1:2377", "--data-path-addr", "127.0.0.1"),
            )
        return started

    def stop(self) -> None:
        """End it with its containers; images and volumes stay for the next start."""
        self.server.stop()

    def run(self, *arguments: str, check: bool = True, client: str = DOCKER, **options: Any) -> str:
        """Run `docker ARGUMENTS` on it and return its stdout, or raise with its stderr."""
        done = subprocess.run(
            [client, "--host", self.host, *arguments],
            capture_output=True,
            text=True,
            check=False,
            **options,
        )
        if check and done.returncode:
            raise RuntimeError(f"docker {' '.join(arguments[:3])}: {done.stderr.strip()[-800:]}")
        return done.stdout

    def forget_images(self) -> None:
        """Remove every image that no container uses, and the layers that builds keep."""
        self.run("builder", "prune", "--all", "--force")
        self.run("image", "prune", "--all", "--force")

    def _answers(self) -> bool:
        with suppress(RuntimeError):
            self.run("version")
            return True
        return False


@contextmanager
def held() -> Iterator[tuple[Engine, Registry]]:
    """Hold engine and registry for this session; end at its end what it started."""

    def waiting() -> None:
        print("another session has the engine: waiting for it", file=sys.stderr)

    with file_lock(testbed_home() / "session.lock", waiting):
        engine, registry = Engine.here(), Registry.here()
        begun: list[Engine | Registry] = []
        try:
            if engine.start():
                begun.append(engine)
            if registry.start():
                begun.append(registry)
            yield engine, registry
        finally:
            for server in reversed(begun):
                server.stop()


def main(verb: str) -> None:
    """Start, stop, or show both."""
    engine, registry = Engine.here(), Registry.here()
    if verb == "up":
        engine.start()
        registry.start()
    elif verb == "down":
        registry.stop()
        engine.stop()
    print(f"engine: {engine.host if engine.pid else 'down'}")
    print(f"registry: {registry.address if registry.server.running() else 'down'}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "status")
