"""Removes what a throwaway installation leaves when its process dies, kill -9 included.

A process of its own holds the other end of a pipe: when that closes, whoever had it is dead or
done. Then every server that works on the scratch folder is ended, and the folder removed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

_PATIENCE = 20.0


@contextmanager
def removed_at_the_end(folder: Path) -> Iterator[None]:
    """See to it that `folder` and its servers are gone after the block, or after our death."""
    command = [sys.executable, "-m", "isolation_checks.remains", str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True):
        yield  # leaving closes the pipe and waits


def clear(folder: Path) -> None:
    """End the servers below `folder` and remove it, also what is just being started there."""
    gone = folder.with_name(f"{folder.name}.gone")
    with suppress(OSError):
        folder.rename(gone)
    deadline = time.monotonic() + _PATIENCE
    while (living := list(_servers(folder))) and time.monotonic() < deadline:
        for process in living:
            with suppress(psutil.Error):
                process.kill()
        time.sleep(0.05)
    for place in (gone, folder):
        shutil.rmtree(place, ignore_errors=True)


def _servers(folder: Path) -> Iterator[psutil.Process]:
    """Yield the processes that work on the folder: arguments or environment name it."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            told = [*process.cmdline(), *process.environ().values()]
            named = any(str(folder) in word for word in told)
            if named and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                yield process


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.stdin.read()
    clear(Path(sys.argv[1]))
