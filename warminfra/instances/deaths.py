"""Sees processes end at once: a pidfd each, which the kernel makes readable at that moment.

A handle pins its process: looked at by start time after it was opened, no other process can get the
number meanwhile. Where the kernel gives no handle (before Linux 5.3, too many open files) a process
is looked at by /proc whenever somebody asks.
"""

from __future__ import annotations

import errno
import os
import select
import threading
from collections.abc import Collection
from contextlib import suppress

from warminfra.core.models import ProcessRef
from warminfra.instances.processes import SystemProcesses, process_ref


class ProcessWatch(SystemProcesses):
    """`core.ports.Processes` of this machine. Safe to call from many threads."""

    def __init__(self) -> None:
        self._ends = select.epoll()
        self._handles: dict[ProcessRef, int] = {}
        self._lock = threading.Lock()

    def watch(self, processes: Collection[ProcessRef]) -> None:
        """Look out for the ends of exactly these from now on."""
        with self._lock:
            for process in self._handles.keys() - set(processes):
                os.close(self._handles.pop(process))  # epoll forgets it with that
            for process in set(processes) - self._handles.keys():
                handle = _open(process)
                if handle is not None:
                    self._handles[process] = handle
                    self._ends.register(handle, select.EPOLLIN | select.EPOLLONESHOT)

    def wait(self, timeout: float) -> bool:
        """Return True as soon as a watched one has ended, each told once; False after `timeout`
        seconds."""
        return bool(self._ends.poll(timeout))

    def close(self) -> None:
        """Let all handles go."""
        self.watch(())
        self._ends.close()


def _open(process: ProcessRef) -> int | None:
    try:
        handle = os.pidfd_open(process.pid)
    except OSError as error:
        if error.errno in (errno.ESRCH, errno.ENOSYS, errno.EMFILE, errno.ENFILE, errno.EPERM):
            return None
        raise
    if process_ref(process.pid) == process:
        return handle
    with suppress(OSError):
        os.close(handle)
    return None
