"""X6, X11: after release the server is as it was, whatever the lease did."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from isolation_checks.events import Finding
from isolation_checks.world import World
from warminfra.core.audit import Row

_ID = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[a-z2-9]{8}-[a-z2-9]{26}"
)
"""An internal id: one of the server's own, or a tenant's."""


class Residue:
    """What is on the server and in the installation's folder, before and after lives of leases.

    Three looks: the inventory, the rows of the database by the ids in them, and the files. Their
    difference is empty, and so the slope over the lives is zero.
    """

    name = "inventory"
    channels = ("X6", "X11")

    def run(self, world: World) -> None:
        """Compare; and see that a living lease does show, or the look is blind."""
        surface = world.scratch.surface
        before, rows_before = surface.inventory(), _ids(world.scratch.rows())
        files = _files(world)
        sizes = []
        for _ in range(world.cycles):
            attacker = world.attacker()
            during = surface.inventory()
            if during == before:
                raise AssertionError("a living lease does not show in the inventory")
            world.controls += 1
            world.scratch.release(attacker.lease)
            world.attempts += 1
            sizes.append(_size(surface.inventory()))
        self._inventory(world, before, surface.inventory())
        self._rows(world, rows_before)
        left = _files(world) - files
        if left:
            self._report(world, "X6", "files left behind", f"{len(left)} files", sorted(left))
        if _slope(sizes) > 0:
            detail = f"{_slope(sizes):.2f} things more with each lease, over {world.cycles}"
            self._report(world, "X6", "leftovers grow with each lease", detail, ())

    def _inventory(
        self,
        world: World,
        before: Mapping[str, frozenset[str]],
        after: Mapping[str, frozenset[str]],
    ) -> None:
        for kind in sorted(before):
            for change, things in (
                ("left behind", after[kind] - before[kind]),
                ("missing", before[kind] - after[kind]),
            ):
                if things:
                    channel = "X6" if change == "left behind" else "X11"
                    detail = f"{len(things)} × {kind} {change} after {world.cycles} leases"
                    self._report(world, channel, f"{kind} {change}", detail, sorted(things))

    def _rows(self, world: World, before: Mapping[str, str]) -> None:
        after = _ids(world.scratch.rows())
        world.attempts += len(after)
        left = {found: table for found, table in after.items() if found not in before}
        for table in sorted(set(left.values())):
            own = sorted(found for found, where in left.items() if where == table)
            detail = f"{len(own)} ids that were not there before are left in table {table}"
            self._report(world, "X6", f"rows of {table} left behind", detail, own)

    def _report(
        self, world: World, channel: str, witness: str, detail: str, things: Iterable[str]
    ) -> None:
        world.report(Finding(channel, self.name, witness, detail, tuple(things)[:10]))


def _ids(rows: Iterable[Row]) -> dict[str, str]:
    """Return every id that stands in a row, with a table in which it does."""
    return {found: row.table for row in rows for text in row.texts for found in _ID.findall(text)}


def _files(world: World) -> set[str]:
    return {str(file.relative_to(world.scratch.folder)) for file in world.scratch.files()}


def _size(inventory: Mapping[str, frozenset[str]]) -> int:
    return sum(len(things) for things in inventory.values())


def _slope(sizes: list[int]) -> float:
    """Return by how much each life adds, by least squares; 0 for fewer than two."""
    middle = (len(sizes) - 1) / 2
    spread = sum((number - middle) ** 2 for number in range(len(sizes)))
    if not spread:
        return 0.0
    return sum((number - middle) * size for number, size in enumerate(sizes)) / spread
