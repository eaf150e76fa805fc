"""A reviewer's word, `approve`, `revert`, `lift`, and an admin's, `revoke`. Kept with its name."""

from __future__ import annotations

import getpass
import os
from typing import Annotated

import typer

from warminfra.cli import session
from warminfra.cli.output import emit

By = Annotated[
    str, typer.Option("--by", help="Who says it; the user's name if not given.", show_default=False)
]


def approve(
    verdict: Annotated[str, typer.Argument(metavar="VERDICT", help="Id of the verdict.")],
    why: Annotated[str, typer.Option("--why", help="For the record.")] = "",
    by: By = "",
) -> None:
    """Approve a verdict, so that its recipes may share a server."""
    who = _speaker(by)
    with session.client(admin=True) as client:
        client.approve(verdict, by=who, why=why)
    emit(f"verdict {verdict} is approved by {who}")


def revert(
    why: Annotated[str, typer.Option("--why", help="For the record.")],
    by: By = "",
) -> None:
    """End all sharing until it is lifted."""
    who = _speaker(by)
    with session.client(admin=True) as client:
        client.revert(by=who, why=why)
    emit(f"sharing is reverted by {who} until `warminfra lift`")


def lift() -> None:
    """Lift the standing reverts."""
    with session.client(admin=True) as client:
        count = client.lift()
    emit(f"{count} reverts are lifted")


def revoke(
    lease: Annotated[str, typer.Argument(metavar="ID", help="As `warminfra leases` tells.")],
    why: Annotated[str, typer.Option("--why", help="What its holder is told.")],
    by: By = "",
) -> None:
    """End a lease of anybody, one that is held too, when its holder cannot."""
    with session.client(admin=True) as client:
        state = client.revoke(lease, by=_speaker(by), why=why)
    emit(f"lease {lease} is {state['lease']}, its tenant {state['tenant']}")


def _speaker(by: str) -> str:
    if by:
        return by
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
