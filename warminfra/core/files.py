"""Files that are whole or not there: private directories, atomic writes, locks between processes.

Invariant: a reader never sees half of what was written here, whatever was killed when. A file
system that is full or not writable is `StorageFull`, wherever it happens.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from warminfra.core.entropy import SystemEntropy
from warminfra.core.errors import StorageFull

_STORAGE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM})

MIN_FREE = 64 << 20
"""Bytes without which nothing is copied or started: a database on a full disk loses data."""


@contextmanager
def storage(place: Path) -> Iterator[None]:
    """Turn "disk full", "read-only" and "permission denied" below `place` into `StorageFull`."""
    try:
        yield
    except OSError as error:
        if error.errno not in _STORAGE:
            raise
        raise StorageFull(
            f"cannot write {error.filename or place}: {error.strerror}",
            hint="free space there, or configure another directory",
        ) from error


def require_space(place: Path, needed: int = MIN_FREE) -> None:
    """Raise `StorageFull` if fewer than `needed` bytes are free on the file system of `place`."""
    free = shutil.disk_usage(place).free
    if free < needed:
        raise StorageFull(
            f"{place}: {free >> 20} MiB free, {needed >> 20} MiB needed",
            hint="free space there, or configure another directory",
        )


def private_dir(path: Path) -> Path:
    """Make `path` and the parents that it lacks, all 0700, and return it."""
    with storage(path):
        lacking = [folder for folder in (path, *path.parents) if not folder.exists()]
        for folder in reversed(lacking):
            folder.mkdir(mode=0o700, exist_ok=True)
    return path


def part_of(path: Path) -> Path:
    """Return an unused name beside `path` for what will become it by a rename."""
    return path.with_name(f".{path.name}.part-{SystemEntropy().token(8)}")


def parts_of(path: Path) -> list[Path]:
    """Return what interrupted makers of `path` left behind."""
    return sorted(path.parent.glob(f".{path.name}.part-*"))


def write_private(path: Path, text: str) -> None:
    """Write `text` to `path` (0600): whole, on the disk, in place of what was there."""
    _write(path, text, 0o600)


def write_public(path: Path, text: str) -> None:
    """Write `text` so that every user can read it (0644); else as `write_private`."""
    _write(path, text, 0o644)


def _write(path: Path, text: str, mode: int) -> None:
    part = part_of(path)
    with storage(path):
        try:
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
                out.write(text)
                os.fchmod(out.fileno(), mode)
                out.flush()
                os.fsync(out.fileno())
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        sync_dir(path.parent)


def sync_dir(path: Path) -> None:
    """Bring the names in `path` to the disk: a rename is durable only after that."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def file_lock(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold `path` against other threads and processes; it falls free when the holder dies.

    `waiting` is called once if somebody else holds it now.
    """
    private_dir(path.parent)
    with storage(path):
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
