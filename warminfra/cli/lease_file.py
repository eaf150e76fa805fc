"""The files in which `exec` leaves the lease document (0600): for its command, and for whoever
looks at a held lease afterwards.

The first is named after the `exec` that owns it, the other after the lease and its end, so that the
next `exec` removes what is of no use any more.
"""

from __future__ import annotations

import math
import os
import re
import tempfile
import time
from datetime import datetime
from pathlib import Path

from warminfra.cli.output import write_private
from warminfra.cli.processes import same_process, start_time

_NAME = re.compile(r"lease-(\d+)-(\d+)\.json")
_KEPT = re.compile(r"held-[a-z0-9-]+-(\d+)\.json")


def write_lease_file(runtime_dir: Path, text: str) -> Path:
    """Write the document to a file of this process; remove those of dead ones."""
    folder = _folder(runtime_dir)
    _remove_stale(folder)
    path = folder / f"lease-{os.getpid()}-{start_time(os.getpid())}.json"
    write_private(path, text)
    return path


def keep_lease_file(runtime_dir: Path, lease: str, until: datetime, text: str) -> Path:
    """Write the document of a held lease to a file that stays until the hold is over."""
    path = _folder(runtime_dir) / f"held-{lease}-{math.ceil(until.timestamp())}.json"
    write_private(path, text)
    return path


def remove_kept(runtime_dir: Path, lease: str) -> None:
    """Remove the kept document of a lease that was released."""
    for folder in filter(_private, (runtime_dir, _own_folder())):
        for path in folder.glob(f"held-{lease}-*.json"):
            path.unlink(missing_ok=True)


def _folder(runtime_dir: Path) -> Path:
    """Return a folder that only this user reads: the service's own, or one of the user's."""
    if _private(runtime_dir):
        return runtime_dir
    folder = _own_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _private(folder):
        # Somebody else made it first, in a folder where everybody may.
        return Path(tempfile.mkdtemp(prefix="warminfra-"))
    return folder


def _own_folder() -> Path:
    session = os.environ.get("XDG_RUNTIME_DIR", "")
    base = Path(session) if session else Path(tempfile.gettempdir())
    return base / f"warminfra-{os.getuid()}"


def _private(folder: Path) -> bool:
    try:
        found = folder.lstat()
    except OSError:
        return False
    return (
        folder.is_dir()
        and not folder.is_symlink()
        and found.st_uid == os.getuid()
        and found.st_mode & 0o022 == 0
    )


def _remove_stale(folder: Path) -> None:
    for path in folder.glob("lease-*.json"):
        match = _NAME.fullmatch(path.name)
        if match and not same_process(int(match.group(1)), int(match.group(2))):
            path.unlink(missing_ok=True)
    for path in folder.glob("held-*.json"):
        match = _KEPT.fullmatch(path.name)
        if match and int(match.group(1)) < time.time():
            path.unlink(missing_ok=True)
