"""`fingerprint`: what a verdict depends on, and what has changed since one was written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from warminfra.cli import session
from warminfra.cli.output import Output, Plain, as_json, emit
from warminfra.core.errors import NotFound, Usage
from warminfra.core.models import JsonObject


def fingerprint(
    explain: Annotated[bool, typer.Option("--explain", help="Show every part of it.")] = False,
    against: Annotated[
        str, typer.Option("--against", metavar="DIR", help="Evidence to compare with.")
    ] = "",
    form: Output = Plain.HUMAN,
) -> None:
    """Show the digest of all that a verdict depends on: server, options, our code, the policy."""
    theirs = _parts_in(Path(against)) if against else {}
    with session.client() as client:
        found = client.fingerprint()
    if form is Plain.JSON:
        emit(as_json(found))
        return
    emit(found["fingerprint"] or "none: it cannot be told now")
    if found["changed"]:
        emit(f"restart the service: {', '.join(found['changed'])} changed since it started")
    if explain or against:
        for name, value in sorted(found["parts"].items()):
            differs = against and theirs.get(name) != value
            emit(f"  {name}: {value}" + (f"  (was {theirs.get(name)})" if differs else ""))


def _parts_in(folder: Path) -> JsonObject:
    try:
        parts: JsonObject = json.loads((folder / "verdict.json").read_text())["fingerprint_parts"]
    except OSError:
        raise NotFound(
            f"{folder} holds no verdict.json", hint="give a folder that `warminfra audit` wrote"
        ) from None
    except (ValueError, KeyError):
        raise Usage(f"{folder / 'verdict.json'} is no verdict of this version") from None
    return parts
