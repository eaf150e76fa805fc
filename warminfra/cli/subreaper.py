"""A process that inherits every orphan below it, and can therefore prove that none is left."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Collection

from warminfra.cli.processes import descendants

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_KILL_PATIENCE = 10.0
"""Seconds to kill for; what is still there then cannot be killed (another user's, or stuck)."""


def prctl(option: int, value: int) -> None:
    """Call prctl(2). Raises `OSError`."""
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent's thread ends."""
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def become_subreaper() -> None:
    """Make this process the new parent of every orphan below it (Linux 3.4)."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1)


def kill_descendants(spare: Collection[int] = ()) -> None:
    """Kill and reap everything below this process, a subreaper, but the subtrees in `spare`."""
    deadline = time.monotonic() + _KILL_PATIENCE
    while (found := descendants(os.getpid(), spare)) and time.monotonic() < deadline:
        # A process that forks faster than we look is caught in one of the next rounds.
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.002)
