"""One directory and the one server process that may work on its data.

Layout: `data/`, `process.json` (what was started), `process.lock`, `server.log` and the log before.
Invariant: at most one process works on `data`. The server inherits an open, locked `process.lock`;
the kernel keeps the lock as long as the server lives, whoever started it and whatever was written
down, and lets us find it: it is the process that has the file open.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import resource
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from warminfra.core.entropy import Entropy
from warminfra.core.errors import Conflict, Unreachable
from warminfra.core.files import private_dir, require_space, storage, write_private
from warminfra.core.models import ProcessRef
from warminfra.core.ports import Distribution
from warminfra.core.reach import LOOPBACK
from warminfra.core.secret import Secret
from warminfra.instances.addresses import require_free
from warminfra.instances.processes import SystemProcesses, end, holders, process_ref, reap

STOP_GRACE = 20.0
"""Seconds that a server gets to stop cleanly (Keycloak takes 1.2) before it is killed."""

_POLL = 0.05
INSTANCES = "instances"
"""Folder of all servers in a state directory."""
_LOCK = "process.lock"
_LOCK_PATIENCE = 10.0
_OOM_SCORE = -500
_INCARNATION_LENGTH = 16
_LOG_TAIL = 8192
_REASON_LENGTH = 200


class StartFailed(Unreachable):
    """The server ended by itself or was not ready in time."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What `process.json` tells. `process` is None from the intent until the start."""

    incarnation: str
    digest: str
    """Of command, environment and limit: an adopted server must be what we would start now."""
    process: ProcessRef | None


class ServerDirectory:
    """Starts, finds and ends the server of one directory. Not safe between threads."""

    def __init__(
        self, path: Path, distribution: Distribution, memory_limit: int | None, entropy: Entropy
    ) -> None:
        self.path = path
        self.data = path / "data"
        self._distribution = distribution
        self._memory_limit = memory_limit
        self._entropy = entropy
        self._record = path / "process.json"
        self._lock = path / _LOCK
        self._log = path / "server.log"
        self._alive = SystemProcesses().alive

    # ------------------------------------------------------------ look

    def launch(self) -> Launch | None:
        """Return what was started last, None if nothing was or the record is damaged."""
        try:
            told = json.loads(self._record.read_text())
            process = ProcessRef(*told["process"]) if told["process"] else None
            return Launch(told["incarnation"], told["digest"], process)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def alive(self, launch: Launch) -> bool:
        """Say whether that very process lives. No I/O to the server."""
        if launch.process is None:
            return False
        reap_child(launch.process.pid)
        return self._alive(launch.process)

    def digest(self, home: Path, ports: Mapping[str, int]) -> str:
        """Return the digest of what a start on these ports would run."""
        argv, environment = self._distribution.command(home, self.data, ports, None)
        return self._digest(argv, environment)

    def _digest(self, argv: Sequence[str], environment: Mapping[str, str]) -> str:
        told = json.dumps([list(argv), sorted(environment.items()), self._memory_limit])
        return hashlib.sha256(told.encode()).hexdigest()

    # ------------------------------------------------------------ start

    def spawn(
        self, home: Path, ports: Mapping[str, int], bootstrap: Secret | None = None
    ) -> Launch:
        """Start the server, detached: it outlives us. Does not wait.

        Raises `Conflict` if a port or the data is taken, `StorageFull` if the disk is full.
        """
        self._require_place(ports, LOOPBACK if bootstrap else self._distribution.address)
        return self._run(*self._distribution.command(home, self.data, ports, bootstrap))

    def rehearse(self, home: Path, ports: Mapping[str, int]) -> Launch:
        """Start it for a rehearsal, else as `spawn`."""
        self._require_place(ports, LOOPBACK)
        return self._run(*self._distribution.rehearsal(home, self.data, ports))

    def _require_place(self, ports: Mapping[str, int], address: str) -> None:
        private_dir(self.path)
        require_space(self.path)
        require_free(ports, address)

    def _run(self, argv: Sequence[str], environment: Mapping[str, str]) -> Launch:
        _empty(self.data / "tmp")
        incarnation = self._entropy.token(_INCARNATION_LENGTH)
        intent = Launch(incarnation, self._digest(argv, environment), None)
        lock = self._take_lock()
        try:
            self._write(intent)
            process = self._detach(argv, environment, lock)
        finally:
            os.close(lock)
        launch = Launch(incarnation, intent.digest, process)
        self._write(launch)
        return launch

    def _take_lock(self) -> int:
        """Return the open, locked file that says who works on the data.

        A process counts as ended when its first thread is gone, but lets go of its files with its
        last: hence the patience.
        """
        with storage(self.path):
            lock = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
        until = time.monotonic() + _LOCK_PATIENCE
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > until:
                    os.close(lock)
                    raise Conflict(
                        f"another process works on {self.data}",
                        hint=f"end the process that has {self._lock} open",
                    ) from None
                time.sleep(_POLL)
            else:
                return lock

    def _detach(
        self, argv: Sequence[str], environment: Mapping[str, str], lock: int
    ) -> ProcessRef | None:
        with storage(self._log):
            if self._log.exists():
                self._log.replace(self._log.with_suffix(".log.1"))
            log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            child = subprocess.Popen(
                argv,
                env=dict(environment),
                cwd=self.path,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=(lock,),
            )
        finally:
            os.close(log)
        _CHILDREN.add(child.pid)
        child.returncode = 0  # Meant to outlive us: `reap_child` waits for it, not this object.
        with suppress(ProcessLookupError, PermissionError):
            if self._memory_limit:
                limit = (self._memory_limit, self._memory_limit)
                resource.prlimit(child.pid, resource.RLIMIT_DATA, limit)
        with suppress(OSError):
            # Only root may: then a run that takes too much memory dies before the server does.
            Path(f"/proc/{child.pid}/oom_score_adj").write_text(str(_OOM_SCORE))
        return process_ref(child.pid)

    def wait_ready(self, launch: Launch, ports: Mapping[str, int], patience: float) -> None:
        """Return once the server is ready; raise `StartFailed` if it ends or takes too long."""
        until = time.monotonic() + patience
        while True:
            ready = self._distribution.healthy(ports)
            # In this order: an answer of another server on the port is not ours.
            if not self.alive(launch):
                # Somebody may have taken the port between our look and the server's.
                require_free(ports, self._distribution.address)
                require_space(self.path)
                raise StartFailed(
                    f"the server ended while it started: {self._last_words()}",
                    hint=f"see {self._log}",
                )
            if ready:
                return
            if time.monotonic() > until:
                raise StartFailed(
                    f"the server was not ready within {patience:.0f} s", hint=f"see {self._log}"
                )
            time.sleep(_POLL)

    # ------------------------------------------------------------ end

    def end(self, grace: float = STOP_GRACE) -> None:
        """End whatever works on the data, known to the record or not. Fine if nothing does.

        Raises `Conflict` if a process cannot be ended.
        """
        found = set(holders(self._lock))
        launch = self.launch()
        if launch is not None and launch.process is not None and self.alive(launch):
            found.add(launch.process)
        left = end(found, grace)
        for process in found:
            reap_child(process.pid)
        if left:
            raise Conflict(
                f"process {left[0].pid} on {self.data} does not end", hint="end it as its owner"
            )
        if self.path.is_dir():
            os.close(self._take_lock())
        self._record.unlink(missing_ok=True)

    # ------------------------------------------------------------ files

    def _write(self, launch: Launch) -> None:
        process = launch.process
        told = {
            "incarnation": launch.incarnation,
            "digest": launch.digest,
            "process": [process.pid, process.start] if process else None,
        }
        write_private(self._record, json.dumps(told))

    def _last_words(self) -> str:
        try:
            with self._log.open("rb") as log:
                log.seek(max(0, self._log.stat().st_size - _LOG_TAIL))
                lines = log.read().decode(errors="replace").splitlines()
        except FileNotFoundError:
            return "it wrote no log"
        # Keycloak says ERROR; a JVM that gets no memory says so, and then where its report is.
        told = (
            [line for line in lines if "ERROR" in line]
            or [line for line in lines if "memory" in line]
            or [line for line in lines if line]
        )
        return told[-1].strip("# ")[:_REASON_LENGTH] if told else "its log is empty"


def end_all(state_dir: Path, *, look_only: bool = False) -> list[str]:
    """End every server of a state directory, whoever knows of it; return the instances' names.

    For when no service runs. Raises `Conflict` if a process cannot be ended.
    """
    return [
        folder.name
        for folder in sorted((state_dir / INSTANCES).glob("*"))
        if end_in(folder, STOP_GRACE, look_only=look_only)
    ]


def end_in(folder: Path, grace: float, *, look_only: bool = False) -> bool:
    """End the server of a directory, whoever started it; say if there was one.

    Raises `Conflict` if its process cannot be ended.
    """
    found = holders(folder / _LOCK)
    if not look_only and (left := end(found, grace)):
        raise Conflict(f"process {left[0].pid} does not end", hint="end it as its owner")
    return bool(found)


_CHILDREN: set[int] = set()
"""Servers that this process started and that it has to reap when they end."""


def reap_child(pid: int) -> None:
    """Reap server `pid` if it is a child of this process and has ended."""
    if pid in _CHILDREN:
        reap(pid)
        if process_ref(pid) is None:
            _CHILDREN.discard(pid)


def _empty(folder: Path) -> None:
    """Remove what a killed server left in its folder for temporary files."""
    if folder.is_dir():
        for entry in folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)
