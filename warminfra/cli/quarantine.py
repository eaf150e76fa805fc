"""`quarantine ls|retry|force`: what could not be taken down."""

from __future__ import annotations

from typing import Annotated

import typer

from warminfra.cli import session
from warminfra.cli.output import DryRun, Output, Plain, Yes, as_json, emit, table
from warminfra.core.errors import NotFound
from warminfra.core.models import JsonObject


def ls(form: Output = Plain.HUMAN) -> None:
    """List the tenants and the stacks whose teardown has failed six times or more."""
    with session.client(admin=True) as client:
        found = client.quarantine()
    if form is Plain.JSON:
        emit(as_json(found))
    else:
        emit(quarantine_tables(found))


def quarantine_tables(found: JsonObject) -> str:
    """Return what is in quarantine: a table of tenants, and one of stacks if there are any."""
    told = _table(
        "quarantine", ("id", "instance", "recipe", "attempts", "reason"), found["tenants"]
    )
    if not found["stacks"]:
        return told
    return told + _table("stacks", ("name", "lease", "attempts", "reason"), found["stacks"])


def _table(title: str, columns: tuple[str, ...], rows: list[JsonObject]) -> str:
    return table(title, columns, [[str(row[name]) for name in columns] for row in rows])


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
        tenants = client.quarantine()["tenants"]
        row = next((row for row in tenants if row["id"] == tenant), None)
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
