"""`audit`: may runs share this installation? Runs the prover, shows and checks what it wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from warminfra.cli import session
from warminfra.cli.output import Output, Plain, as_json, emit
from warminfra.core.errors import Usage

NEGATIVE, INCONCLUSIVE = 1, 3
"""Exit codes: what was asked is answered with no; it is not answered."""


def audit(
    verb: Annotated[
        str, typer.Argument(metavar="[verify|show]", help="Without one: run an audit.")
    ] = "",
    folder: Annotated[str, typer.Argument(metavar="[DIR]", help="Evidence to verify.")] = "",
    profile: Annotated[str, typer.Option("--profile", help="smoke, standard or soak.")] = "smoke",
    lease_class: Annotated[
        str, typer.Option("--class", help="Attacker: user, or admin of its own realm.")
    ] = "user",
    recipe: Annotated[
        str, typer.Option("--recipe", help="An enrolled recipe, or a folder; else a probe.")
    ] = "",
    report: Annotated[
        str, typer.Option("--report", metavar="DIR", help="Folder for the evidence.")
    ] = "",
    seed: Annotated[int, typer.Option("--seed", help="Of all that is drawn; 0: a fresh one.")] = 0,
    self_test: Annotated[
        bool, typer.Option("--self-test", help="Plant every fault and tell which are seen.")
    ] = False,
    rerun: Annotated[
        int,
        typer.Option("--rerun", metavar="N", help="verify: audit anew, N faults drawn.", min=0),
    ] = 0,
    mutant: Annotated[
        list[str] | None,
        typer.Option("--mutant", metavar="FILE", help="Plant this fault of your own too."),
    ] = None,
    form: Output = Plain.HUMAN,
) -> None:
    """Prove, on a scratch installation, that runs may share a server; or show what was proven.

    Ends with 0 (approve), 1 (revert) or 3 (inconclusive).
    """
    if verb == "verify":
        _verify(folder, recipe, rerun, report, mutant or [])
    elif verb == "show":
        _show(form)
    elif verb:
        raise Usage(f"audit {verb}: no such verb", hint="audit, audit show, audit verify DIR")
    else:
        from isolation_checks.mutants.foreign import load
        from warminfra.cli.prove import Order, prove

        order = Order(profile, lease_class, recipe, Path(report) if report else None, seed)
        foreign = [load(Path(file)) for file in mutant or []]
        if self_test:
            from warminfra.cli.self_test import self_test as test

            table = test(order, foreign)
            if table.survivors or table.believed:
                raise typer.Exit(NEGATIVE)
            return
        outcome, document = prove(order, foreign)
        if form is Plain.JSON:
            emit(json.dumps(document, indent=1, ensure_ascii=False))
        if outcome != "approve":
            raise typer.Exit(NEGATIVE if outcome == "revert" else INCONCLUSIVE)


def _verify(folder: str, recipe: str, rerun: int, report: str, mutants: list[str]) -> None:
    from isolation_checks.mutants.foreign import load
    from warminfra.cli.verify import verified

    if not folder:
        raise Usage("audit verify needs the folder", hint="warminfra audit verify DIR")
    place = Path(report) if report else None
    foreign = [load(Path(file)) for file in mutants]
    again = rerun or (0 if foreign else None)
    if not verified(Path(folder), recipe=recipe, rerun=again, report=place, foreign=foreign):
        raise typer.Exit(NEGATIVE)


def _show(form: Plain) -> None:
    with session.client() as client:
        verdicts = client.verdicts()
    if form is Plain.JSON:
        emit(as_json({"schema": "warminfra.verdicts/v1", "verdicts": verdicts}))
        return
    if not verdicts:
        emit("no audit is recorded")
    for row in verdicts:
        current = "of this installation" if row["current"] else "of another state of it"
        findings = f"; found: {', '.join(row['findings'])}" if row["findings"] else ""
        emit(
            f"{row['id']}  {row['outcome']}  {row['profile']}  class {row['lease_class']}  "
            f"{row['created_at']}  {current}{findings}"
        )
