"""The evidence: a folder with verdict, report, trace and inventory, and the digest of each file.

No secret is in it: replies are canonical, and what is tried is named by its kind. `verify` says
which file was changed after the fact.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from isolation_checks.events import Event, Phase
from isolation_checks.history import Entry
from isolation_checks.reports.junit import junit
from isolation_checks.reports.markdown import report
from isolation_checks.verdict import Outcome
from warminfra.core.errors import NotFound, StorageFull, Usage

SUMS = "SHA256SUMS"


def write(
    folder: Path,
    verdict: Mapping[str, Any],
    head: dict[str, str],
    events: Sequence[Event],
    outcome: Outcome,
    inventory: Mapping[str, Sequence[str]],
    *,
    examples: Mapping[str, str] | None = None,
    accepted: Sequence[str] = (),
    history: Sequence[Entry] = (),
    replays: Mapping[str, str] | None = None,
) -> None:
    """Write the bundle. Raises `StorageFull`. `replays`: by a finding's name one of `examples`."""
    trace = "".join(
        json.dumps({"event": type(event).__name__, **asdict(event)}, ensure_ascii=False) + "\n"
        for event in events
        if not isinstance(event, Phase)
    )
    files = {
        "verdict.json": json.dumps(verdict, indent=1, ensure_ascii=False) + "\n",
        "report.md": report(
            head,
            events,
            outcome,
            accepted,
            history,
            replays,
            str(verdict.get("lease_class") or "user"),
        ),
        "junit.xml": junit(events, outcome),
        "trace.ndjson": trace,
        "inventory.json": json.dumps(inventory, indent=1) + "\n",
        **(examples or {}),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        sums = [f"{_digest(folder / name)}  {name}\n" for name in files]
        (folder / SUMS).write_text("".join(sums))
    except OSError as error:
        raise StorageFull(
            f"cannot write the evidence to {folder}: {error.strerror}",
            hint="free space, or give another folder with --report",
        ) from None


def require_new(folder: Path | None) -> None:
    """Raise `Usage` if something lies there: evidence is one audit's, and stays as it is."""
    with suppress(OSError):  # what is no folder yet
        if folder and any(folder.iterdir()):
            raise Usage(
                f"{folder} is not empty", hint="give each audit a --report folder of its own"
            )


def verify(folder: Path) -> list[str]:
    """Return a line for each file that is not as it was written. Raises `NotFound`."""
    try:
        lines = (folder / SUMS).read_text().splitlines()
    except OSError:
        raise NotFound(
            f"{folder} holds no {SUMS}", hint="give a folder that `warminfra audit` wrote"
        ) from None
    wrong = []
    for entry in lines:
        digest, _, name = entry.partition("  ")
        file = folder / name
        if not file.is_file():
            wrong.append(f"{name} is missing")
        elif _digest(file) != digest:
            wrong.append(f"{name} was changed")
    known = {entry.partition("  ")[2] for entry in lines} | {SUMS}
    wrong += [
        f"{file.name} does not belong to it"
        for file in sorted(folder.iterdir())
        if file.name not in known
    ]
    return wrong


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
