"""Words for the shell's completion that only the service knows. Silent if it does not answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from warminfra.cli import session

_TIMEOUT = 0.5
"""Seconds: a person waits with a finger on the key."""


def recipe_names(incomplete: str) -> list[tuple[str, str]]:
    """Return the enrolled recipes that begin with `incomplete`, each with its mode."""
    return [
        (str(row["name"]), f"{row['mode']}: {row['mode_reason']}")
        for row in _ask("recipes")
        if str(row["name"]).startswith(incomplete)
    ]


def lease_ids(incomplete: str) -> list[tuple[str, str]]:
    """Return the ids of active leases that begin with `incomplete`, each with its holder."""
    return [
        (str(row["id"]), " ".join(filter(None, (row["recipe"], row["run"], row["slot"]))))
        for row in _ask("leases")
        if str(row["id"]).startswith(incomplete)
    ]


def _ask(what: str) -> Iterator[dict[str, Any]]:
    try:
        with session.client(timeout=_TIMEOUT) as client:
            yield from client.recipes() if what == "recipes" else client.leases()
    except Exception:  # noqa: BLE001 - a completion has nowhere to complain
        return
