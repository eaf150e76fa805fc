"""Data of a server that has been started once and stopped cleanly, ready to be copied.

A copy starts in a third of the time that empty data takes; in less after a rehearsal, a run on a
copy that is thrown away. Layout below the cache:
`snapshots/<distribution>-<key>/` with `data/` and `bootstrap` (0600): the secret of the bootstrap
client in it, which every copy gets rid of when it is taken over. Invariant: a snapshot is there
whole or not at all, and its key covers the server's build and options.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from warminfra.core.entropy import SECRET_LENGTH, Entropy
from warminfra.core.errors import ConfigInvalid
from warminfra.core.files import (
    file_lock,
    part_of,
    parts_of,
    private_dir,
    storage,
    sync_dir,
    write_private,
)
from warminfra.core.ports import Distribution, Progress
from warminfra.core.secret import Secret
from warminfra.instances.addresses import ports_of
from warminfra.instances.server import ServerDirectory, StartFailed, end_in

FIRST_START = 300.0
"""Seconds for a start on empty data, which makes the whole schema."""

RECORDING_GRACE = 180.0
"""Seconds for a rehearsal's end, in which Java writes its class data: 10 to 30 on two cores."""

_SNAPSHOTS, _LOCK, _REHEARSAL = "snapshots", "lock", "rehearsal"
_PARTS = ".*.part-*"
_LEFT_OUT = frozenset({"tmp"})


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot in the cache."""

    path: Path

    @property
    def bootstrap(self) -> Secret:
        """Return the secret of the bootstrap client that every fresh copy has."""
        return Secret((self.path / "bootstrap").read_text())

    def copy_to(self, data: Path) -> None:
        """Make `data`, which must not exist, a copy; whole or not there."""
        for leftover in parts_of(data):
            shutil.rmtree(leftover)
        part = part_of(data)
        with storage(data):
            try:
                shutil.copytree(self.path / "data", part, symlinks=True)
                part.chmod(0o700)
                part.rename(data)
                sync_dir(data.parent)
            finally:
                shutil.rmtree(part, ignore_errors=True)


class Snapshots:
    """Finds or makes the snapshot of a distribution."""

    def __init__(
        self, distribution: Distribution, cache: Path, memory_limit: int | None, entropy: Entropy
    ) -> None:
        self._distribution = distribution
        self._folder = cache / _SNAPSHOTS
        self._memory_limit = memory_limit
        self._entropy = entropy

    def obtain(self, home: Path, progress: Progress) -> Snapshot:
        """Return the snapshot, making it if need be. One process makes it, others wait.

        Raises `ConfigInvalid` if the server does not start, else as `ServerDirectory.spawn`.
        """
        key = _digest(self._distribution.fingerprint())
        path = self._folder / f"{self._distribution.name}-{key}"
        if not path.is_dir():
            private_dir(self._folder)
            with file_lock(
                self._folder / _LOCK, lambda: progress("waiting for another process's snapshot")
            ):
                if not path.is_dir():
                    self._make(path, home, progress)
        return Snapshot(path)

    def _make(self, path: Path, home: Path, progress: Progress) -> None:
        progress("pre-initialising (once, about half a minute)")
        # This process holds the lock: whatever is unfinished here, of whatever server, is nobody's.
        for leftover in self._folder.glob(_PARTS):
            self._end(leftover)
            shutil.rmtree(leftover)
        part = part_of(path)
        server = self._server(part)
        private_dir(server.data)
        secret = Secret(self._entropy.token(SECRET_LENGTH))
        write_private(part / "bootstrap", secret.reveal())
        try:
            ports = ports_of(part / "ports.json", {}, self._entropy)
            launch = server.spawn(home, ports, secret)
            server.wait_ready(launch, ports, FIRST_START)
            # Only a clean stop leaves data that is complete.
            server.end()
            for name in _LEFT_OUT:
                shutil.rmtree(server.data / name, ignore_errors=True)
            progress("rehearsing (once, about a minute)")
            self._rehearse(Snapshot(part), home)
            with storage(path):
                part.rename(path)
                sync_dir(path.parent)
        except StartFailed as failure:
            raise ConfigInvalid(
                f"{self._distribution.name} does not start on empty data: {failure.message}",
                hint="see that Java, heap and memory limit fit",
            ) from failure
        finally:
            if part.exists():
                self._end(part)
                shutil.rmtree(part, ignore_errors=True)

    def _rehearse(self, snapshot: Snapshot, home: Path) -> None:
        stage = self._stage(snapshot.path)
        private_dir(stage.path)
        snapshot.copy_to(stage.data)
        ports = ports_of(stage.path / "ports.json", {}, self._entropy)
        launch = stage.rehearse(home, ports)
        stage.wait_ready(launch, ports, FIRST_START)
        self._distribution.rehearse(ports, snapshot.bootstrap)
        stage.end(RECORDING_GRACE)
        self._distribution.settle(home, stage.data)
        shutil.rmtree(stage.path)

    def _end(self, part: Path) -> None:
        """Kill whatever works in an unfinished snapshot."""
        self._server(part).end(grace=0)
        self._stage(part).end(grace=0)

    def _stage(self, path: Path) -> ServerDirectory:
        """Return where the snapshot in `path` is rehearsed; its memory is not limited."""
        return ServerDirectory(path / _REHEARSAL, self._distribution, None, self._entropy)

    def _server(self, path: Path) -> ServerDirectory:
        return ServerDirectory(path, self._distribution, self._memory_limit, self._entropy)


def end_unfinished(cache: Path, *, look_only: bool = False) -> list[str]:
    """End, or only look for, the servers of snapshots whose maker is gone; return what they made.

    A maker holds the lock for as long as it lives: while somebody has it, nothing here is left
    over. The files are removed by the next one. Raises `Conflict` if a process cannot be ended.
    """
    folder = cache / _SNAPSHOTS
    ended: list[str] = []
    if not any(folder.glob(_PARTS)):
        return ended  # Nothing is written, then: the cache may be read-only by now.
    with suppress(_InTheMaking), file_lock(folder / _LOCK, _leave_alone):
        for part in sorted(folder.glob(_PARTS)):
            places = (part, part / _REHEARSAL)
            found = [end_in(place, 0.0, look_only=look_only) for place in places]
            if any(found):
                ended.append("snapshot of " + part.name[1:].partition(".part-")[0])
    return ended


class _InTheMaking(Exception):
    """Somebody makes a snapshot now."""


def _leave_alone() -> None:
    raise _InTheMaking


def _digest(fingerprint: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(dict(fingerprint), sort_keys=True).encode()).hexdigest()[:16]
