"""`quarantine ls|retry|force`: what could not be taken down."""

from __future__ import annotations

from typing import Annotated

import typer

from warminfra.cli import session
from warminfra.cli.output import DryRun, Output, Plain, Yes, as_json, emit, table
from warminfra.core.errors import NotFound
from warminfra.core.models import JsonObject


def ls(form: Output = Plain.HUMAN) -> None:
    """List the tenants whose teardown has failed six times or more."""
    with session.client(admin=True) as client:
        rows = client.quarantine()
    if form is Plain.JSON:
        emit(as_json({"schema": "warminfra.quarantine/v1", "tenants": rows}))
    else:
        emit(quarantine_table(rows))


def quarantine_table(rows: list[JsonObject]) -> str:
    """Return the tenants in quarantine as a table."""
    columns = ("id", "instance", "recipe", "attempts", "reason")
    return table("quarantine", columns, [[str(row[name]) for name in columns] for row in rows])


def retry(
    tenant: Annotated[
        str, typer.Argument(metavar="[ID]", help="One tenant; all if not given.")
    ] = "",
    form: Output = Plain.HUMAN,
) -> None:
    """Try the teardown again now."""
    with session.client(admin=True) as client:
        count = client.retry_quarantine(tenant or None)
    if form is Plain.JSON:
        emit(as_json({"schema": "warminfra.retried/v1", "retried": count}))
    else:
        emit(f"{count} teardowns are tried again")


def force(
    tenant: Annotated[str, typer.Argument(metavar="ID", help="The tenant.")],
    yes: Yes = False,
    dry_run: DryRun = False,
    form: Output = Plain.HUMAN,
) -> None:
    """Declare a tenant gone by hand, after having removed it by hand.

    Nothing looks again whether it is gone.
    """
    with session.client(admin=True) as client:
        row = next((row for row in client.quarantine() if row["id"] == tenant), None)
        if row is None:
            raise NotFound(
                f"no tenant {tenant!r} is in quarantine",
                hint="`warminfra quarantine ls` lists them",
            )
        what = f"declare tenant {tenant} of instance {row['instance']} gone without a proof"
        if dry_run:
            emit(f"would {what}")
            return
        session.confirm(what, yes=yes)
        done = client.force_gone(tenant)
    if form is Plain.JSON:
        emit(as_json({"schema": "warminfra.forced/v1", **done}))
    else:
        emit(f"tenant {tenant} counts as gone")
