"""`up`, `down`, `serve`: the service's own life. `up` and `down` are idempotent."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from warminfra.cli import session
from warminfra.cli.output import DryRun, Output, Plain, Yes, as_json, emit, write_private
from warminfra.cli.processes import same_process, start_time
from warminfra.cli.progress import Progress
from warminfra.config.load import variable
from warminfra.core.errors import (
    ConfigInvalid,
    Conflict,
    NoCapacity,
    StorageFull,
    Unreachable,
    from_code,
)
from warminfra.core.files import file_lock
from warminfra.core.models import JsonObject
from warminfra.images.holding import Store

_POLL = 0.1
"""Seconds between two looks at the service."""

LOG_NAME = "service.log"
_LOG_LIMIT = 16 << 20
"""Bytes from which on a start begins a new log and keeps this one as the last."""
LOCK_NAME = "service.lock"
PID_NAME = "service.pid"
"""Process and start time of the service that `up` started last."""

_Started = tuple[subprocess.Popen[bytes], Path, int]
"""A service, its log, and where its part of the log begins."""


def up(
    wait: Annotated[str, typer.Option("--wait", help="Longest wait for readiness.")] = "10m",
    form: Output = Plain.HUMAN,
) -> None:
    """Start the service and its warm instance in the background, or find them running.

    Returns when a lease is possible.
    """
    limit = session.seconds("--wait", wait)
    started = None if _alive() else _start_once(limit)
    status = _until_ready(started, limit)
    if form is Plain.JSON:
        emit(as_json(status))
        return
    urls = ", ".join(str(row["url"]) for row in status["instances"] if row["url"])
    how = "started" if started else "was running"
    emit(f"warminfra is ready ({how}, pid {status['pid']}): {urls or 'no server runs now'}")


def down(
    purge: Annotated[
        bool, typer.Option("--purge", help="First remove all that this installation made.")
    ] = False,
    wait: Annotated[str, typer.Option("--wait", help="Longest wait for its end.")] = "2m",
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Stop the service and its instances. With --purge remove every tenant and all data first."""
    limit = session.seconds("--wait", wait)
    if not _alive() and not _comes_up(limit):
        _not_running(purge, dry_run=dry_run)
        return
    pid = _pid()
    if purge:
        with session.client() as client:
            what = _purge_list(client.status())
    else:
        what = f"stop the service (pid {pid}) and its instances"
    if dry_run:
        emit(f"would {what}")
        return
    if purge:
        session.confirm(what, yes=yes)
    start = start_time(pid)
    with Progress() as progress:
        progress.update("stopping")
        with session.client(admin=True) as client:
            client.shut_down(instances=True, purge=purge)
        _until_gone(pid, start, limit, progress)
    # A server that prepares what instances begin with is none of the service's: it may be left by
    # an earlier one, or by this one if its last step took too long.
    from warminfra.instances.snapshots import end_unfinished

    end_unfinished(session.loaded().settings.service.cache_dir)
    emit("warminfra is stopped" + (", and all that it made is removed" if purge else ""))


def serve() -> None:
    """Run the service in the foreground (systemd, containers) until it is told to stop."""
    loaded = session.loaded()
    # The server ends cleanly on either signal and then raises it once more: that is no failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    from warminfra.cli.serve import run_service

    run_service(loaded)


def _end(*_: object) -> None:
    raise typer.Exit(0)


def _alive() -> bool:
    with session.client() as client:
        return client.alive()


def _pid() -> int:
    """Return the service's process, as its lock tells: that works even if its server does not."""
    try:
        return int((session.loaded().settings.service.state_dir / LOCK_NAME).read_text())
    except (OSError, ValueError):
        return 0


def _start_once(limit: float) -> _Started | None:
    """Start the service, or wait for the one that another `up` has just started."""
    with file_lock(session.loaded().settings.service.state_dir / "up.lock"):
        return None if _alive() or _comes_up(limit) else _start()


def _start() -> _Started:
    """Start the service detached."""
    log = session.loaded().settings.service.state_dir / LOG_NAME
    try:
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if log.exists() and log.stat().st_size > _LOG_LIMIT:
            log.replace(log.with_suffix(".log.1"))
        # The service keeps this descriptor: nothing that it says may be readable by others.
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        raise StorageFull(
            f"cannot write {log}: {error.strerror}",
            hint="set service.state_dir to a writable folder",
        ) from None
    with os.fdopen(descriptor, "ab") as out:
        begin = os.fstat(descriptor).st_size
        process = subprocess.Popen(
            [sys.executable, "-m", "warminfra.cli", "serve"],
            # Not as arguments, which everybody may read for as long as it runs.
            env=os.environ | {variable(key): value for key, value in session.flags().items()},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    write_private(log.with_name(PID_NAME), f"{process.pid} {start_time(process.pid)}\n")
    return process, log, begin


def _comes_up(limit: float) -> bool:
    """Wait for a service that `up` has started and that does not answer yet; say if it does."""
    file = session.loaded().settings.service.state_dir / PID_NAME
    try:
        pid, start = (int(word) for word in file.read_text().split())
    except (OSError, ValueError):
        return False
    deadline = time.monotonic() + limit
    with Progress() as progress:
        while same_process(pid, start):
            if _alive():
                return True
            if time.monotonic() >= deadline:
                raise Conflict(f"the service (pid {pid}) does not answer", hint=f"kill {pid}")
            progress.update("waiting for the service to answer")
            time.sleep(_POLL)
    return False


def _until_ready(started: _Started | None, limit: float) -> JsonObject:
    deadline = time.monotonic() + limit
    phase = "starting the service"
    with Progress() as progress:
        while True:
            with contextlib.suppress(Unreachable), session.client() as client:
                if client.ready():
                    return client.status()
                status = client.status()
                _give_up_if_hopeless(status, started[0] if started else None)
                phase = _phase(status)
            if started and started[0].poll() is not None and not _alive():
                _died(*started)
            if time.monotonic() >= deadline:
                raise NoCapacity(
                    f"not ready within {limit:g} s: {phase}",
                    hint="it goes on starting; see `warminfra status`",
                )
            progress.update(phase)
            time.sleep(_POLL)


def _give_up_if_hopeless(status: JsonObject, service: subprocess.Popen[bytes] | None) -> None:
    """Raise what keeps an instance from starting if only a person can change it.

    The service that this call started, if it did, is ended again: its settings are wrong.
    """
    for row in status["instances"]:
        trouble = row.get("trouble") or {}
        if trouble.get("code") in (ConfigInvalid.code, Conflict.code):
            hint = str(trouble["hint"])
            if service:
                with session.client(admin=True) as client:
                    client.shut_down(instances=True)
                service.wait()
            else:
                hint += "; then `warminfra down` and `up`, for the service runs with old settings"
            raise from_code(str(trouble["code"]), str(trouble["detail"]), hint)


def _phase(status: JsonObject) -> str:
    """Return what the instances are doing now, in one line."""
    doing = [
        ": ".join(filter(None, (f"{row['id']} {row['state']}", row["note"])))
        for row in status["instances"]
    ]
    return "; ".join(doing) or "the service runs; no instance yet"


def _died(process: subprocess.Popen[bytes], log: Path, begin: int) -> None:
    """Tell the service's own last word, and end with its exit code."""
    with log.open("rb") as text:
        text.seek(begin)
        lines = [line.strip() for line in text.read().decode(errors="replace").splitlines()]
    told = [line for line in lines if line.startswith("warminfra: ")]
    code = process.returncode
    if told and code > 0:
        session.say("\n".join(told[-20:]))
        raise typer.Exit(code)
    how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
    last = f": {lines[-1]}" if lines and lines[-1] else ""
    raise Unreachable(f"the service {how} before it was ready{last}", hint=f"see {log}")


def _not_running(purge: bool, *, dry_run: bool) -> None:
    """End the servers that run on without a service: after `serve` was ended, or killed."""
    from warminfra.cli.serve import end_servers, is_purged

    state_dir = session.loaded().settings.service.state_dir
    if purge and not is_purged(session.loaded()):
        raise Unreachable(
            f"the service does not run, and only it can remove what {state_dir} tells of",
            hint="start it once more: warminfra up, then down --purge",
        )
    ended = ", ".join(end_servers(session.loaded(), look_only=dry_run))
    if ended and dry_run:
        emit(f"would stop the servers that a service has left: {ended}")
    else:
        emit("warminfra is not running" + (f"; its servers are stopped: {ended}" if ended else ""))


def _purge_list(status: JsonObject) -> str:
    live = sum(count for state, count in status["tenants"].items() if state != "gone")
    active = status["leases"].get("active", 0)
    names = ", ".join(str(row["id"]) for row in status["instances"]) or "none"
    held = len(Store(session.loaded().settings.service.state_dir).read().held)
    images = f"remove the {held} images that it holds and brought, and their pins, " if held else ""
    return (
        f"end {active} active leases with their stacks, remove {live} tenants, {images}"
        f"stop the instances ({names}) and discard their data, "
        f"of installation {status['installation']}"
    )


def _until_gone(pid: int, start: int | None, limit: float, progress: Progress) -> None:
    deadline = time.monotonic() + limit
    while same_process(pid, start):
        if time.monotonic() >= deadline:
            raise Conflict(
                f"the service (pid {pid}) still stops after {limit:g} s",
                hint=f"see {session.loaded().settings.service.state_dir / LOG_NAME}",
            )
        progress.update("waiting for the instances to stop")
        time.sleep(_POLL)
