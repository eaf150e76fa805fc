"""`warminfra release`: one lease, or all of a run; with `--wait` until all of it is proven gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from warminfra.cli import session
from warminfra.cli.holder import HandleFile, LeaseId, handle_given, named
from warminfra.cli.lease import KEY_HELP, KEY_VARIABLE
from warminfra.cli.lease_file import remove_kept
from warminfra.cli.output import Output, Plain, as_json, emit
from warminfra.cli.progress import Progress
from warminfra.core.errors import NoCapacity, Unreachable, Usage
from warminfra.core.models import JsonObject
from warminfra.core.secret import Secret

_POLL = 0.1
"""Seconds between two looks at a teardown."""

Look = Callable[[], Sequence[JsonObject]]
"""Returns the states of the leases that are to be gone."""


def release(
    lease: LeaseId = "",
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the proof that all of it is gone.")
    ] = False,
    timeout: Annotated[str, typer.Option("--timeout", help="Longest wait.")] = "10m",
    run: Annotated[
        str, typer.Option("--run", metavar="ID", help="All leases of the run, by its key.")
    ] = "",
    key: Annotated[str, typer.Option("--key", envvar=KEY_VARIABLE, help=KEY_HELP)] = "",
    held: Annotated[
        bool, typer.Option("--held", help="With --run: those that are held, too.")
    ] = False,
    handle_file: HandleFile = None,
    form: Output = Plain.HUMAN,
) -> None:
    """End a lease: its credentials die, its tenant is removed. Twice is fine.

    With --run all leases of that run that were taken with the same key.
    """
    limit = session.seconds("--timeout", timeout)
    if run:
        _release_run(run, _key_of(key), limit if wait else None, held=held, form=form)
        return
    name, handle = named(lease), handle_given(handle_file)
    with session.client() as client:
        state = client.release(name, handle)
        if wait:
            (state,) = _gone(lambda: [client.state(name, handle)], limit)
    remove_kept(session.loaded().settings.service.runtime_dir, name)
    if form is Plain.JSON:
        emit(as_json(state))
    else:
        emit(f"lease {name} is {state['lease']}, its tenant {state['tenant']}")


def _release_run(run: str, key: Secret, limit: float | None, *, held: bool, form: Plain) -> None:
    with session.client() as client:
        states = client.release_run(run, key, held=held)
        if limit is not None:
            _gone(lambda: _ended(client.release_run(run, key, held=held)), limit)
            states = client.release_run(run, key, held=held)
    for state in _ended(states):
        remove_kept(session.loaded().settings.service.runtime_dir, state["id"])
    if form is Plain.JSON:
        emit(as_json({"schema": "warminfra.run-release/v1", "run": run, "leases": states}))
        return
    kept = [state for state in states if state["lease"] == "active"]
    for state in kept:
        session.say(f"warminfra: lease {state['id']} is held until {state['held_until']}")
    emit(f"run {run}: {len(states) - len(kept)} leases are ended, {len(kept)} held")


def _ended(states: Sequence[JsonObject]) -> list[JsonObject]:
    return [state for state in states if state["lease"] != "active"]


def _key_of(key: str) -> Secret:
    if not key:
        raise Usage("no key given: only who took them may end a run's leases",
                    hint=f"set {KEY_VARIABLE}")  # fmt: skip
    return Secret(key)


def _gone(look: Look, limit: float) -> Sequence[JsonObject]:
    deadline = time.monotonic() + limit
    with Progress() as progress:
        while True:
            try:
                states = look()
                phases = [phase for state in states for phase in _left(state)]
                if not phases:
                    return states
            except Unreachable as error:
                phases = [error.message]
            if time.monotonic() >= deadline:
                raise NoCapacity(
                    f"not gone within {limit:g} s: {phases[0]}",
                    hint="the teardown goes on; see `warminfra quarantine ls`",
                )
            progress.update(f"waiting: {phases[0]}")
            time.sleep(_POLL)


def _left(state: JsonObject) -> list[str]:
    """Return what is not gone of an ended lease, the last thing to go at the end."""
    left = [
        f"stack {row['name']} is {row['state']}: {row['reason']}"
        for row in state.get("stacks", [])
        if row["state"] != "gone"
    ]
    if state["tenant"] != "gone":
        tries = f" after {state['attempts']} failed tries" if state["attempts"] else ""
        left.append(f"tenant {state['id']} is {state['tenant']}{tries}")
    return left
