"""X4: a copied server shares no key and no secret with what it is a copy of."""

from __future__ import annotations

from collections.abc import Iterable

from isolation_checks.events import Finding
from isolation_checks.world import World
from warminfra.core.audit import Row


class Copies:
    """The secrets in this server's database against those in the snapshot's.

    `start`: one more server is started and compared with both; that takes a start.
    """

    name = "copies of the server"
    channels = ("X4",)

    def __init__(self, *, start: bool = False) -> None:
        self._start = start

    def run(self, world: World) -> None:
        """Compare every two."""
        places = {
            "the snapshot": world.scratch.snapshot_rows(),
            "this server": world.scratch.rows(),
        }
        if self._start:
            places["another copy"] = world.scratch.copied_rows()
        found = {place: _secrets(rows) for place, rows in places.items()}
        names = list(found)
        for number, one in enumerate(names):
            if not found[one]:
                raise AssertionError(f"{one} shows no secret: nothing was compared")
            world.controls += 1
            for other in names[:number]:
                world.attempts += 1
                shared = found[one] & found[other]
                if shared:
                    detail = f"{one} and {other} have {len(shared)} keys or secrets in common"
                    world.report(
                        Finding("X4", self.name, "a copy with the keys of another", detail)
                    )


def _secrets(rows: Iterable[Row]) -> frozenset[str]:
    return frozenset(secret for row in rows for secret in row.secrets)
