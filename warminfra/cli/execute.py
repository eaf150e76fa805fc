"""`warminfra exec`: lease, run a command with the lease's environment, release, whatever happens.

The order keeps the promises: lease (bound to this process, so it ends with us), document file,
guard and command, only then the heartbeat's thread; at the end release, after nothing runs any
more. The exit code is the command's.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from typing import Annotated

import typer

from warminfra.cli import session
from warminfra.cli.document import FILE_VARIABLE, ID_VARIABLE, LEASE_PREFIX, lease_environment
from warminfra.cli.guard import Guard, cannot_start
from warminfra.cli.handing import Handing
from warminfra.cli.lease import (
    KEY_VARIABLE,
    AppEnv,
    Domain,
    Overlay,
    Recipe,
    Run,
    Slot,
    Stack,
    Wait,
)
from warminfra.cli.lease_file import write_lease_file
from warminfra.cli.on_failure import INTERRUPTED, hold, hold_time
from warminfra.cli.output import as_json
from warminfra.cli.progress import Progress
from warminfra.client.heartbeat import Heartbeat
from warminfra.core.clock import SystemClock
from warminfra.core.errors import LeaseLost, Usage, WarminfraError
from warminfra.core.models import JsonObject
from warminfra.core.secret import Secret

TERM_PATIENCE = 10.0
"""Seconds between TERM and KILL for the command of a lost lease."""

RELEASE_TIMEOUT = 5.0
"""Seconds. A bound lease ends without us, so nobody has to wait for long."""


def execute(
    recipe: Recipe,
    command: Annotated[list[str], typer.Argument(metavar="-- CMD...", help="The command.")],
    run: Run = "",
    slot: Slot = "",
    ttl: Annotated[
        str, typer.Option("--ttl", help="The lease ends so long after our last sign of life.")
    ] = "60s",
    domain: Domain = "",
    stack: Stack = "",
    app_env: AppEnv = None,
    overlay: Overlay = None,
    on_failure: Annotated[
        str,
        typer.Option(
            "--on-failure",
            metavar="hold:TIME",
            help="Keep lease and stack for a look if CMD fails, as hold:2h.",
        ),
    ] = "",
    wait: Wait = "2m",
) -> int:
    """Lease, run CMD with the lease's environment, release at the end whatever happened.

    CMD finds the lease in WARMINFRA_LEASE_ID, _HANDLE and _FILE (its document) and the app's own
    names in the environment. What CMD leaves running in the background is killed when CMD ends.
    With --stack the Swarm stack of that name, which CMD deploys, is removed at the end, too. With
    --on-failure hold:2h what a failed CMD leaves is kept for a look, if the budget has room for it.

    Exit code: CMD's; 128+n for signal n; 74 if the lease was lost; 125 if anything went wrong
    before CMD, 126 if it cannot be executed, 127 if it is not found.
    """
    if held := os.environ.get(ID_VARIABLE):
        raise Usage(
            f"this already runs inside lease {held}",
            hint=f"use that lease, or unset {ID_VARIABLE}",
        )
    handing = Handing(stack, app_env, overlay)
    kept_for = hold_time(on_failure)
    run_key = os.environ.get(KEY_VARIABLE)
    ttl_s, wait_s = session.seconds("--ttl", ttl), session.seconds("--wait", wait)
    with session.client() as client, Progress() as progress:
        handing.look(client, recipe)
        document = client.acquire(
            recipe,
            run=run,
            slot=slot,
            ttl=ttl_s,
            domain=domain,
            bind=True,
            run_key=Secret(run_key) if run_key else None,
            stack=stack,
            secret_versions=handing.secret_versions,
            wait=wait_s,
            on_wait=lambda reason: progress.update(f"waiting for a lease: {reason}"),
        )
    kept, may_be_held = False, True
    try:
        handing.write(document)
        code = _run(document, command)
        if kept_for and code not in (0, INTERRUPTED):
            kept = may_be_held = hold(document, kept_for, timeout=RELEASE_TIMEOUT)
        return code
    finally:
        if not kept:
            _release(document, unless_held=may_be_held)


def _run(document: JsonObject, command: list[str]) -> int:
    settings = session.loaded().settings
    file = write_lease_file(settings.service.runtime_dir, as_json(document))
    try:
        environment = {**command_environment(os.environ, document), FILE_VARIABLE: str(file)}
        guard = Guard(command, environment, file)
        keeper = _Keeper(guard)
        heartbeat = Heartbeat(
            session.client(timeout=5.0),
            document["id"],
            Secret(document["handle"]),
            ttl=float(document["ttl_s"]),
            grace=settings.leases.grace.total_seconds(),
            clock=SystemClock(),
            lost=keeper.lose,
            say=session.say,
        )
        heartbeat.start()
        try:
            code = guard.wait()
        except OSError as error:
            session.say(f"warminfra: {command[0]}: {error.strerror} (is it on the PATH?)")
            return cannot_start(error)
        finally:
            keeper.ended.set()
            heartbeat.stop()
        return LeaseLost.exit_code if keeper.lost else code
    finally:
        file.unlink(missing_ok=True)


def command_environment(own: Mapping[str, str], document: JsonObject) -> dict[str, str]:
    """Return the command's environment: ours, without what another lease may have left there."""
    from warminfra.recipes.presets import PRESETS

    # Names of the trust store and the like belong to the user; those of OpenID belong to a lease.
    leased = {name for preset in PRESETS.values() for name in preset if name.startswith("OIDC_")}
    kept = {
        name: value
        for name, value in own.items()
        if name not in leased and not name.startswith(LEASE_PREFIX)
    }
    return {**kept, **lease_environment(document)}


class _Keeper:
    """Ends the command of a lost lease: TERM, then KILL."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self.lost = False
        self.ended = threading.Event()

    def lose(self, why: str) -> None:
        self.lost = True
        session.say(f"warminfra: the lease is lost, so the command is ended: {why}")
        self._guard.signal(signal.SIGTERM)
        if not self.ended.wait(TERM_PATIENCE):
            self._guard.kill()


def _release(document: JsonObject, *, unless_held: bool) -> None:
    """Give the lease back, but one that a person holds by now."""
    try:
        with session.client(timeout=RELEASE_TIMEOUT) as client:
            client.release(document["id"], Secret(document["handle"]), unless_held=unless_held)
    except WarminfraError as error:
        # The exit code stays the command's: the service sees that this process has ended.
        message = " ".join(error.message.split())
        session.say(f"warminfra: lease {document['id']} was not released ({message}); it ends now "
                    "that this process does")  # fmt: skip
