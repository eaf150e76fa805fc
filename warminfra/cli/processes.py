"""Looks at processes through /proc. A number alone names no process: it is used again."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path


def start_time(pid: int) -> int | None:
    """Return when process `pid` started, in clock ticks since boot, or None if there is none."""
    fields = _stat(pid)
    return int(fields[19]) if fields and fields[0] not in ("Z", "X") else None


def same_process(pid: int, start: int | None) -> bool:
    """Say whether `pid` is still the process that started at `start`."""
    return start is not None and start_time(pid) == start


def descendants(root: int, spare: Collection[int] = ()) -> list[int]:
    """Return the numbers of all processes below `root`, without the subtrees in `spare`."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = _stat(int(name))
            if fields:
                children.setdefault(int(fields[1]), []).append(int(name))
    found: list[int] = []
    heap = [root]
    while heap:
        below = [pid for pid in children.get(heap.pop(), []) if pid not in spare]
        heap += below
        found += below
    return found


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat from the state on (the name before may hold anything)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
