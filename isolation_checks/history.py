"""Every audit that this installation has begun, whatever became of it: `audits.ndjson`.

A leak that fires once in ten must not be audited away by asking again, so an audit is written down
when it begins, and again when it ends. Lines are only ever added.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from warminfra.core.errors import StorageFull

FILE = "audits.ndjson"
UNFINISHED = "unfinished"

Entry = dict[str, Any]
"""id, created_at, fingerprint, lease_class, profile, outcome, findings, confirmed, tried_again."""


def note(state_dir: Path, entry: Entry) -> None:
    """Add a line (0600). Raises `StorageFull`."""
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
        with open(os.open(state_dir / FILE, flags, 0o600), "a+b") as out:
            whole = not out.tell() or os.pread(out.fileno(), 1, out.tell() - 1) == b"\n"
            # A line that was cut off takes no other with it.
            out.write(b"" if whole else b"\n")
            out.write(json.dumps(entry).encode() + b"\n")
    except OSError as error:
        raise StorageFull(
            f"cannot write {state_dir / FILE}: {error.strerror}", hint="free space"
        ) from None


def of(state_dir: Path, fingerprint: str, lease_class: str) -> list[Entry]:
    """Return the audits of that fingerprint and class, oldest first, each as it last was.

    `created_at` is when it began.
    """
    try:
        lines = (state_dir / FILE).read_text().splitlines()
    except OSError:
        return []
    found: dict[str, Entry] = {}
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # cut off by a crash in the middle of a line
        if (entry["fingerprint"], entry["lease_class"]) == (fingerprint, lease_class):
            begun = found.get(entry["id"], entry)["created_at"]
            found[entry["id"]] = entry | {"created_at": begun}
    return list(found.values())


def finished(entries: Sequence[Entry]) -> list[Entry]:
    """Return those that came to an end."""
    return [entry for entry in entries if entry["outcome"] != UNFINISHED]


def false_alarms(entries: list[Entry]) -> int:
    """Return how many of them found something that a virgin server did not show again."""
    return sum(
        1
        for entry in entries
        if entry.get("tried_again", True) and set(entry["findings"]) - set(entry["confirmed"])
    )
