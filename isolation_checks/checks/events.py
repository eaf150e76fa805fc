"""X6: what a tenant's events told is not left in the server's database."""

from __future__ import annotations

from collections import Counter

from isolation_checks.events import Finding
from isolation_checks.world import World


class KeptEvents:
    """Rows that name a lease, by its internal id, of a tenant that keeps events.

    While it lives it must show in tables of events, or nothing was looked at; once it is released
    no row names it.
    """

    name = "kept events"
    channels = ("X6",)

    def run(self, world: World) -> None:
        """One lease, looked for while it lives and after its end."""
        surface = world.scratch.surface
        lease = world.scratch.lease()
        surface.keep_events(lease)
        surface.mint(lease)
        living = self._tables(world, str(lease["id"]))
        if not any("EVENT" in table for table in living):
            raise AssertionError("a living lease has no event in the database: the look is blind")
        world.controls += len(living)
        world.scratch.release(lease)
        left = self._tables(world, str(lease["id"]))
        world.attempts += len(living)
        for table, count in sorted(left.items()):
            detail = f"{count} rows of {table} name a released lease"
            world.report(Finding("X6", self.name, f"rows in {table}", detail))

    def _tables(self, world: World, tenant: str) -> Counter[str]:
        return Counter(row.table for row in world.scratch.rows() if tenant in row.texts)
