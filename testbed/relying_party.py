"""Runs the stand-in app as a process of its own, as a run would.

with running({**os.environ, **lease["env"]}, port=port) as app:
    login(app.url, "alice", password)
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

RECIPE = Path(__file__).resolve().parent / "recipes" / "lasuite-docs"
_PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV", "COVERAGE_PROCESS_START")


@dataclass(frozen=True, slots=True)
class App:
    """A running app. `domain` is what its lease must be personalised with."""

    url: str
    domain: str
    pid: int


def free_port() -> int:
    """Return a port that nobody has now, and that the kernel gives to no outgoing connection."""
    for port in random.sample(range(15_000, 20_000), 200):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no free port from 15000 on")


@contextmanager
def running(env: Mapping[str, str], *, port: int = 0, recipe: Path = RECIPE) -> Iterator[App]:
    """Start the app with `env` and nothing else that matters; stop it at the end.

    Raises `RuntimeError` with the app's last words if it does not come up.
    """
    clean = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    with (
        tempfile.TemporaryDirectory(prefix="lasuite-docs-") as data,
        tempfile.TemporaryFile("w+") as words,
    ):
        process = subprocess.Popen(
            [sys.executable, str(recipe / "app.py"), "--port", str(port), "--data-dir", data],
            env={**clean, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=words,
            text=True,
        )
        try:
            assert process.stdout is not None
            said = process.stdout.readline()  # it comes, or the process ends and it is empty
            if not said.startswith("listening on "):
                process.wait()
                words.seek(0)
                raise RuntimeError(f"the app did not start: {words.read().strip()[-400:]}")
            url = said.removeprefix("listening on ").strip()
            yield App(url, url.removeprefix("http://"), process.pid)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
