"""Runs the service: the lock, the sockets, the loops, and a clean end."""

from __future__ import annotations

import grp
import logging
import os
import socket
import stat
import sys
from contextlib import closing
from pathlib import Path
from typing import TextIO

import structlog
import uvicorn

from warminfra.config.settings import Settings
from warminfra.core.errors import ConfigInvalid, StorageFull
from warminfra.core.states import TenantState
from warminfra.images.holding import Store
from warminfra.instances.server import end_all
from warminfra.instances.snapshots import end_unfinished
from warminfra.ledger import Ledger
from warminfra.service.app import build_app
from warminfra.service.composition import LEDGER, compose
from warminfra.service.installation import exclusive
from warminfra.service.loops import Loops
from warminfra.service.peers import ADMIN, RUN, PeerProtocol
from warminfra.service.pending import record_pending

log = structlog.get_logger()


def serve(settings: Settings) -> None:
    """Serve until told to stop (SIGTERM, SIGINT: instances run on; shutdown verb: as it says)."""
    configure_logging(settings.service.log_level)
    with exclusive(settings.service.state_dir):
        parts = compose(settings)
        loops = Loops(parts)
        ending = {"instances": False, "discard": False}

        def shut_down(instances: bool, discard: bool) -> None:
            ending.update(instances=instances, discard=discard)
            server.should_exit = True

        app = build_app(parts, loops, shut_down)
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=PeerProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,  # a peer is who the socket says, never who a header says
                timeout_graceful_shutdown=10,
                timeout_keep_alive=60,
            )
        )
        sockets = _listen(settings.service.runtime_dir, settings.service.group)
        try:
            record_pending(parts)
            loops.start()
            log.info("serving", runtime_dir=str(settings.service.runtime_dir))
            server.run(sockets=sockets)
        finally:
            try:
                loops.stop(**ending)
            finally:
                for name in (RUN, ADMIN):
                    (settings.service.runtime_dir / name).unlink(missing_ok=True)
                parts.ledger.close()


def end_servers(settings: Settings, *, look_only: bool = False) -> list[str]:
    """End the servers that a service which runs no more has left; return what they are.

    Raises `Conflict` if a service has them.
    """
    ended = []
    if settings.service.state_dir.exists():
        with exclusive(settings.service.state_dir):
            ended = end_all(settings.service.state_dir, look_only=look_only)
    return ended + end_unfinished(settings.service.cache_dir, look_only=look_only)


def is_purged(settings: Settings) -> bool:
    """Say whether a ledger, if there is one, tells of nothing that is left, and no image is held.

    Raises `Conflict` if a service runs.
    """
    state_dir = settings.service.state_dir
    if not (state_dir / LEDGER).exists():
        return True
    with exclusive(state_dir), closing(Ledger.open(state_dir / LEDGER)) as ledger:
        live = sum(n for state, n in ledger.tenants.counts().items() if state != TenantState.GONE)
        return not (live or ledger.instances.current() or Store(state_dir).read().held)


def _listen(runtime_dir: Path, group: str) -> list[socket.socket]:
    """Bind both sockets; stale ones are replaced (the lock says that nobody serves them)."""
    try:
        runtime_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if group and (found := runtime_dir.stat()).st_uid == os.geteuid():
            # Whatever the umask, and whoever made it before: the group must come to the socket.
            runtime_dir.chmod(stat.S_IMODE(found.st_mode) | 0o711)
        gid = grp.getgrnam(group).gr_gid if group else -1
    except KeyError:
        raise ConfigInvalid(
            f"service.group: there is no group {group!r}", hint=f"groupadd {group}"
        ) from None
    except OSError as error:
        raise StorageFull(
            f"cannot make {runtime_dir}: {error.strerror}", hint="set service.runtime_dir"
        ) from None
    sockets = []
    for name, mode in ((RUN, 0o660 if group else 0o600), (ADMIN, 0o600)):
        path = runtime_dir / name
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)
        try:
            listener.bind(str(path))
        except OSError as error:
            raise ConfigInvalid(
                f"cannot listen on {path}: {error.strerror or error}",
                hint="a socket's path has at most 107 bytes: set a shorter service.runtime_dir",
            ) from None
        finally:
            os.umask(mask)
        if name == RUN and group:
            os.chown(path, -1, gid)
        path.chmod(mode)
        listener.listen(256)
        sockets.append(listener)
    return sockets


def configure_logging(level: str) -> None:
    """Log one line an event to stderr; libraries only from warning on (some log requests)."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")
    log_to(sys.stderr, level)


def log_to(out: TextIO, level: str) -> None:
    """Log our own events to `out`, one line each."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=("timestamp", "level", "event")),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(out),
    )
