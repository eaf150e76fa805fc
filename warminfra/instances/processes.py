"""Processes of this machine, told apart by number and start time.

Invariant: nothing here signals a process whose start time is not the one that was written down, so
a number that was given away again is safe.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from warminfra.core.models import ProcessRef

_PROC = Path("/proc")
_POLL = 0.02
_STATE, _START = 0, 19
"""Fields of /proc/<pid>/stat after the name (proc(5): numbers 3 and 22)."""


def process_ref(pid: int) -> ProcessRef | None:
    """Return the process that has number `pid` now, None if there is none or a zombie."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name stands in parentheses and may hold anything, parentheses too.
    rest = stat.rpartition(")")[2].split()
    return None if rest[_STATE] in "ZX" else ProcessRef(pid, int(rest[_START]))


def owner(pid: int) -> int | None:
    """Return the user whose process `pid` is, None if there is none."""
    found = _status(pid, "Uid")
    return int(found[0]) if found else None


def in_our_namespace(pid: int) -> bool:
    """Say whether process `pid` means the same by a number as we do (it is in no pid namespace of
    its own)."""
    return len(_status(pid, "NSpid")) == 1


def _status(pid: int, field: str) -> list[str]:
    try:
        lines = (_PROC / str(pid) / "status").read_text(errors="replace").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return next((line.split()[1:] for line in lines if line.startswith(f"{field}:")), [])


def age(process: ProcessRef) -> float:
    """Return how long the process has lived, in seconds."""
    booted = time.clock_gettime(time.CLOCK_BOOTTIME)
    return max(0.0, booted - process.start / os.sysconf("SC_CLK_TCK"))


def reap(pid: int) -> None:
    """Let a child that we started and that has ended go; it would stay a zombie for ever."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


class SystemProcesses:
    """The processes of this machine, by /proc."""

    def alive(self, process: ProcessRef) -> bool:
        return process_ref(process.pid) == process


def holders(file: Path) -> list[ProcessRef]:
    """Return the other processes that have `file` open, as far as we may look."""
    try:
        wanted = file.stat()
    except FileNotFoundError:
        return []
    found = []
    for entry in _PROC.iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid() and _has_open(entry, wanted):
            ref = process_ref(int(entry.name))
            if ref is not None:
                found.append(ref)
    return found


def end(processes: Iterable[ProcessRef], grace: float, limit: float = 10.0) -> list[ProcessRef]:
    """Ask the processes to end, kill them after `grace` seconds; return those that still live."""
    living = list(processes)
    for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, limit)):
        if patience <= 0:
            continue
        for process in living:
            _signal(process, number)
        living = _wait(living, patience)
    return living


def _wait(processes: list[ProcessRef], patience: float) -> list[ProcessRef]:
    look = SystemProcesses()
    until = time.monotonic() + patience
    while living := [process for process in processes if look.alive(process)]:
        if time.monotonic() > until:
            break
        time.sleep(_POLL)
    return living


def _signal(process: ProcessRef, number: signal.Signals) -> None:
    # The handle pins the process: compared after it was opened, the number cannot change hands.
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        if process_ref(process.pid) == process:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, number)
    finally:
        os.close(handle)


def _has_open(entry: Path, wanted: os.stat_result) -> bool:
    try:
        handles = list((entry / "fd").iterdir())
    except OSError:
        return False
    for handle in handles:
        with suppress(OSError):
            if os.path.samestat(handle.stat(), wanted):
                return True
    return False
