"""A server small enough to be started a hundred times in a test: a real process, real ports."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from warminfra.core.errors import Unreachable
from warminfra.core.ids import InstallationId
from warminfra.core.models import ServerAccess
from warminfra.core.ports import Progress
from warminfra.core.reach import LOOPBACK
from warminfra.core.secret import Secret

_SERVER = """
import os, signal, socket, sys, threading
data, http, management, bootstrap = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
if os.path.exists(data + "/broken"):
    print("ERROR data is broken")
    sys.exit(1)
if os.path.exists(data + "/stubborn"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    # The interpreter's own handling would print a traceback; a server ends cleanly.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
if "FAKE_REHEARSAL" in os.environ:
    open(data + "/recorded", "w").close()
if "FAKE_BOOTSTRAP" in os.environ:
    open(data + "/made", "a").write("schema\\n")
def listen(port):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", port))
    s.listen()
    return s
site, health = listen(http), listen(management)
while True:
    c, _ = health.accept()
    c.sendall(b"ready")
    c.close()
"""


class FakeDistribution:
    """Implements `Distribution`. `on_take_over` runs in the middle of a take-over."""

    name = "fake"
    address = LOOPBACK

    def __init__(self, option: str = "", on_take_over: Callable[[], None] = lambda: None) -> None:
        self.option = option
        self.on_take_over = on_take_over
        self.starts = 0

    def obtain(self, cache: Path, progress: Progress) -> Path:
        home = cache / "home"
        home.mkdir(parents=True, exist_ok=True)
        (home / "server.py").write_text(_SERVER)
        return home

    def fingerprint(self) -> Mapping[str, str]:
        return {"fake.option": self.option}

    def command(
        self, home: Path, data: Path, ports: Mapping[str, int], bootstrap: Secret | None
    ) -> tuple[Sequence[str], Mapping[str, str]]:
        self.starts += 1
        environment = {"FAKE_OPTION": self.option}
        if bootstrap is not None:
            environment["FAKE_BOOTSTRAP"] = bootstrap.reveal()
        script = str(home / "server.py")
        numbers = (str(ports["http"]), str(ports["management"]))
        return (sys.executable, "-I", "-S", "-u", script, str(data), *numbers), environment

    def rehearsal(
        self, home: Path, data: Path, ports: Mapping[str, int]
    ) -> tuple[Sequence[str], Mapping[str, str]]:
        argv, environment = self.command(home, data, ports, None)
        return argv, {**environment, "FAKE_REHEARSAL": "1"}

    def rehearse(self, ports: Mapping[str, int], bootstrap: Secret) -> None:
        if not bootstrap.reveal():
            raise Unreachable("no bootstrap secret")

    def settle(self, home: Path, data: Path) -> None:
        (data / "recorded").rename(home / "recorded")

    def access(self, ports: Mapping[str, int], identity: Mapping[str, Secret]) -> ServerAccess:
        return ServerAccess(f"http://127.0.0.1:{ports['http']}", identity)

    def healthy(self, ports: Mapping[str, int]) -> bool:
        import socket

        try:
            with socket.create_connection(("127.0.0.1", ports["management"]), timeout=1) as probe:
                return probe.recv(5) == b"ready"
        except OSError:
            return False

    def take_over(
        self, access: ServerAccess, bootstrap: Secret, installation: InstallationId
    ) -> Mapping[str, Secret]:
        self.on_take_over()
        if not bootstrap.reveal():
            raise Unreachable("no bootstrap secret")
        digest = hashlib.sha256(os.urandom(16)).hexdigest()
        return {"maker_id": Secret(f"{installation}-maker"), "maker_secret": Secret(digest)}
