"""The kill table of a self-test, for people (Markdown) and for programs (JSON)."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from isolation_checks.selftest import KillTable
from warminfra.core.errors import StorageFull

SCHEMA = "warminfra.kill-table/v1"


def kill_table(table: KillTable) -> str:
    """Return the table. A table, not a percentage: the mutants are ours."""
    lines = [
        "# Which planted faults are seen?",
        "",
        f"Class `{table.lease_class}`, seed {table.seed}: {len(table.planted)} plantings, "
        f"{len(table.survivors)} not seen, in {table.seconds:.0f} s. Attempts and rounds are what "
        "the checks of the channel did until the first finding.",
        "",
        "| fault | form | channel | seen by | what gave it away | attempts | rounds | seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.mutant} {one.title} | {one.form} | {one.channel} | "
        f"{one.killed_by or '**not seen**'} | {one.witness} | {one.attempts} | {one.rounds} | "
        f"{one.seconds:.1f} |"
        for one in table.planted
    ]
    lines += [
        f"| {one.id} {one.title} | – | {one.channel} | cannot exist here | {one.reason} | – | – | "
        "– |"
        for one in table.absent
    ]
    if table.rehearsed:
        lines += ["", "## Provers spoiled on purpose", ""]
        lines += ["| prover | ends with | because |", "|---|---|---|"]
        lines += [
            f"| {one.spoiled} {one.title} | {one.outcome} | {one.reason} |"
            for one in table.rehearsed
        ]
    if table.troubles:
        lines += ["", "## Troubles", ""]
        lines += [f"- {one.where}: {one.what}" for one in table.troubles]
    return "\n".join(lines) + "\n"


def write_kills(folder: Path, table: KillTable) -> None:
    """Write `kill-table.md` and `kill-table.json`. Raises `StorageFull`."""
    document = {"schema": SCHEMA, **asdict(table)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "kill-table.md").write_text(kill_table(table))
        (folder / "kill-table.json").write_text(json.dumps(document, indent=1) + "\n")
    except OSError as error:
        raise StorageFull(
            f"cannot write the kill table to {folder}: {error.strerror}",
            hint="free space, or give another folder with --report",
        ) from None
