"""Who this installation is: its id and its seal, made once, kept beside the ledger.

One service works on a state directory at a time; a lock that dies with its process says so.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from warminfra.core.entropy import Entropy
from warminfra.core.errors import ConfigInvalid, Conflict, StorageFull
from warminfra.core.files import write_private
from warminfra.core.ids import InstallationId, mint_installation_id
from warminfra.core.secret import Secret

_FILE = "installation.json"
_SERVER = "server"


@dataclass(frozen=True, slots=True)
class Installation:
    """`seal` is the key under which handles are made; whoever has it can end any lease."""

    id: InstallationId
    seal: Secret


def open_installation(state_dir: Path, entropy: Entropy) -> Installation:
    """Read the installation's file, or make it (0600, whole or not at all)."""
    file = state_dir / _FILE
    try:
        data = json.loads(file.read_text())
        return Installation(InstallationId(data["id"]), Secret(data["seal"]))
    except FileNotFoundError:
        pass
    except (ValueError, KeyError, TypeError):
        raise ConfigInvalid(
            f"{file} is damaged",
            hint="restore it, or move the state directory away to begin a new installation",
        ) from None
    made = Installation(mint_installation_id(entropy), Secret(entropy.token(52)))
    text = json.dumps({"id": made.id, "seal": made.seal.reveal()})
    try:
        partial = file.with_suffix(".part")
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        partial.rename(file)
    except OSError as error:
        raise StorageFull(f"cannot write {file}: {error.strerror}", hint="free space") from None
    return made


def require_same_server(state_dir: Path, url: str, *, in_use: bool) -> None:
    """Keep which server the ledger tells of: `url`, or "" for servers of our own.

    Raises `ConfigInvalid` if it was another one and is still `in_use`: what lies there would never
    be looked at again.
    """
    file = state_dir / _SERVER
    before = file.read_text() if file.exists() else None
    if before == url:
        return
    if before is not None and in_use:
        raise ConfigInvalid(
            f"what this installation has made is on {before or 'servers of its own'}, and "
            f"keycloak.url is {url or 'not set'} now",
            hint="set keycloak.url as it was, and `warminfra down --purge` before you change it",
        )
    write_private(file, url)


@contextmanager
def exclusive(state_dir: Path) -> Iterator[None]:
    """Hold the state directory for this process. Raises `Conflict` if another service has it."""
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (state_dir / "service.lock").open("a+")
    except OSError as error:
        raise StorageFull(
            f"cannot write {state_dir}: {error.strerror}",
            hint="set service.state_dir to a writable folder",
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise Conflict(
                f"another service (pid {lock.read().strip() or 'unknown'}) works on {state_dir}",
                hint="use that one, end it with `warminfra down`, or set another state_dir",
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
