"""What the holder of a lease does with it: renew, show, hold, set-domain; and the list of all.

A lease is named by the argument or `WARMINFRA_LEASE_ID`. Its handle is never in argv.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from warminfra.cli import session
from warminfra.cli.completion import lease_ids
from warminfra.cli.document import (
    HANDLE_VARIABLE,
    ID_VARIABLE,
    check_github,
    form_or_default,
    mask_before,
    write_lease,
)
from warminfra.cli.handing import Handing
from warminfra.cli.lease import AppEnv, Overlay, handle_from
from warminfra.cli.output import LeaseForm, Output, Plain, Reveal, To, as_json, emit, table
from warminfra.core.errors import Usage
from warminfra.core.models import JsonObject
from warminfra.core.secret import Secret

LeaseId = Annotated[
    str,
    typer.Argument(
        metavar="[ID]",
        envvar=ID_VARIABLE,
        show_envvar=False,
        help=f"The lease; {ID_VARIABLE} if not given.",
        autocompletion=lease_ids,
    ),
]
HandleFile = Annotated[
    Path | None,
    typer.Option(
        "--handle-file",
        metavar="FILE",
        help=f"File with the handle or the lease document; {HANDLE_VARIABLE} if not given.",
    ),
]


def renew(
    lease: LeaseId = "",
    ttl: Annotated[str, typer.Option("--ttl", help="From now, as 30m.")] = "",
    handle_file: HandleFile = None,
    form: Output = Plain.HUMAN,
) -> None:
    """Move a lease's deadline. Exit code 74 if the lease has ended."""
    ttl_s = session.seconds("--ttl", ttl) if ttl else 0.0
    name, handle = named(lease), handle_given(handle_file)
    with session.client() as client:
        renewal = client.renew(name, handle, ttl_s)
    if form is Plain.JSON:
        emit(as_json(renewal))
    else:
        emit(f"lease {name} lives until {renewal['expires_at']}")


def show(
    lease: LeaseId = "",
    handle_file: HandleFile = None,
    form: LeaseForm = None,
    to: To = None,
    reveal: Reveal = False,
) -> None:
    """Show a lease to its holder, secrets masked unless --reveal."""
    chosen = form_or_default(form, to)
    check_github(chosen, to)
    name, handle = named(lease), handle_given(handle_file)
    with session.client() as client:
        document = client.show(name, handle)
    if reveal:
        mask_before(document, chosen)
    write_lease(document, chosen, to, reveal=reveal)


def hold(
    lease: LeaseId = "",
    time: Annotated[str, typer.Option("--for", metavar="TIME", help="From now, as 2h.")] = "2h",
    handle_file: HandleFile = None,
    form: Output = Plain.HUMAN,
) -> None:
    """Keep a lease, its tenant and its stack for a look, whether its run goes on or not.

    Exit code 75 if what may be held is used up; `warminfra status` shows it.
    """
    seconds = session.seconds("--for", time)
    name, handle = named(lease), handle_given(handle_file)
    with session.client() as client:
        held = client.hold(name, handle, seconds)
    if form is Plain.JSON:
        emit(as_json(held))
    else:
        emit(f"lease {name} is held until {held['held_until']}")


def set_domain(
    first: Annotated[
        str,
        typer.Argument(metavar="[ID]", help=f"The lease; {ID_VARIABLE} if only a domain is given."),
    ],
    second: Annotated[str, typer.Argument(metavar="DOMAIN", help="The run's domain.")] = "",
    handle_file: HandleFile = None,
    form: Output = Plain.HUMAN,
) -> None:
    """Apply the run's domain to the redirect URIs of the lease's client."""
    lease, domain = (first, second) if second else ("", first)
    name, handle = named(lease or os.environ.get(ID_VARIABLE, "")), handle_given(handle_file)
    with session.client() as client:
        document = client.set_domain(name, handle, domain)
    if form is Plain.JSON:
        from warminfra.cli.masking import masked

        emit(as_json(masked(document)))
    else:
        emit(f"lease {name} redirects to {domain}")


def attach(
    stack: Annotated[str, typer.Option("--stack", help="A Swarm stack made after the lease.")],
    lease: LeaseId = "",
    app_env: AppEnv = None,
    overlay: Overlay = None,
    handle_file: HandleFile = None,
    form: Output = Plain.HUMAN,
) -> None:
    """Let a Swarm stack end with the lease: one that is made after it, by its exact name."""
    name, handle = named(lease), handle_given(handle_file)
    handing = Handing(stack, app_env, overlay)
    with session.client() as client:
        if app_env or overlay:
            document = client.show(name, handle)
            handing.look(client, document["recipe"])
            handing.write(document)
        owned = client.attach(name, handle, stack)
    if form is Plain.JSON:
        emit(as_json(owned))
    else:
        emit(f"stack {stack} is removed with lease {name}")


def leases(
    under: Annotated[
        str,
        typer.Option("--under", metavar="VERDICT", help="All that were shared on its word."),
    ] = "",
    form: Output = Plain.HUMAN,
) -> None:
    """List the active leases, without secrets; or all under a verdict: the runs to repeat."""
    with session.client() as client:
        rows = client.leases(under)
    if form is Plain.JSON:
        emit(as_json({"schema": "warminfra.leases/v1", "leases": rows}))
    else:
        emit(lease_table(rows))


def lease_table(rows: list[JsonObject]) -> str:
    """Return the leases as a table."""
    columns = ("id", "recipe", "run", "slot", "state", "mode", "domain", "expires_at", "held_until")
    return table(
        "leases", columns, [[str(row.get(name) or "-") for name in columns] for row in rows]
    )


def named(lease: str) -> str:
    """Return the lease that was named. Raises `Usage` if none was."""
    if not lease:
        raise Usage("no lease given", hint=f"name its id, or set {ID_VARIABLE}")
    return lease


def handle_given(file: Path | None) -> Secret:
    """Return the handle in `file`, or in the environment. Raises `Usage`."""
    if file is not None:
        return handle_from(file)
    value = os.environ.get(HANDLE_VARIABLE, "")
    if not value:
        raise Usage(
            "no handle given: only its holder may touch a lease",
            hint=f"set {HANDLE_VARIABLE}, or name a file with --handle-file",
        )
    return Secret(value)
