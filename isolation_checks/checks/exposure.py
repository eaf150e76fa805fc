"""X16: no secret of a lease stands in an argument, a log or a file, in its life or after it."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from isolation_checks.checks.keys import secrets_of
from isolation_checks.events import Finding
from isolation_checks.world import World
from warminfra.core.models import JsonObject

_LEDGER = "ledger.db"
"""Begins the names of the ledger's files, which hold the secrets of living leases, no others."""


class Exposure:
    """Scans all processes' arguments all the time, and all files, while a lease lives and after."""

    name = "arguments, logs and files"
    channels = ("X16",)

    def run(self, world: World) -> None:
        """One life of a lease, watched."""
        with _Arguments() as arguments:
            lease = world.scratch.lease()
            world.scratch.surface.mint(lease)
            secrets = list(secrets_of(lease))
            self._files(world, secrets, "while its lease lives")
            world.scratch.release(lease)
        self._files(world, secrets, "after its lease has ended")
        world.attempts += len(arguments.seen)
        if not arguments.seen:
            raise AssertionError("no process's arguments could be read")
        for secret in secrets:
            if any(secret in line for line in arguments.seen):
                self._report(world, "argument", "a secret stood in a process's arguments")
        self._control(world, lease)

    def _files(self, world: World, secrets: list[str], when: str) -> None:
        read = 0
        living = when.startswith("while")
        for file in world.scratch.files():
            if living and file.name.startswith(_LEDGER):
                continue
            read += 1
            if _holds(file, secrets):
                detail = f"a secret stands in {file.name} {when}"
                self._report(world, f"secret in a file {when}", detail)
        world.attempts += read
        if not read:
            raise AssertionError("the installation shows no file: nothing was scanned")

    def _control(self, world: World, lease: JsonObject) -> None:
        """What is no secret does stand in the log: the scan can see."""
        world.controls += any(_holds(file, [lease["id"]]) for file in world.scratch.files())

    def _report(self, world: World, what: str, detail: str) -> None:
        world.report(Finding("X16", self.name, what, detail))


def _holds(file: Path, texts: Iterable[str]) -> bool:
    try:
        content = file.read_bytes()
    except OSError:
        return False
    return any(text.encode() in content for text in texts)


class _Arguments:
    """Reads the arguments of all processes again and again, by a thread of its own."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="arguments", daemon=True)

    def __enter__(self) -> _Arguments:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while True:
            for pid in psutil.pids():
                with suppress(OSError):
                    line = Path(f"/proc/{pid}/cmdline").read_bytes()
                    self.seen.add(line.replace(b"\0", b" ").decode(errors="replace"))
            if self._over.wait(0.02):
                return
