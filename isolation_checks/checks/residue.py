"""X6, X11: after release the server is as it was, whatever the lease did."""

from __future__ import annotations

from isolation_checks.events import Finding
from isolation_checks.world import World

CYCLES = 3


class Residue:
    """The inventory of the whole server before and after some lives of leases."""

    name = "inventory"
    channels = ("X6", "X11")

    def run(self, world: World) -> None:
        """Compare; and see that a living lease does show, or the look is blind."""
        surface = world.scratch.surface
        before = surface.inventory()
        for _ in range(CYCLES):
            attacker = world.attacker()
            during = surface.inventory()
            if during == before:
                raise AssertionError("a living lease does not show in the inventory")
            world.controls += 1
            world.scratch.release(attacker.lease)
            world.attempts += 1
        after = surface.inventory()
        for kind in sorted(before):
            for change, things in (
                ("left behind", after[kind] - before[kind]),
                ("missing", before[kind] - after[kind]),
            ):
                if things:
                    channel = "X6" if change == "left behind" else "X11"
                    detail = f"{len(things)} × {kind} {change} after {CYCLES} leases"
                    trace = tuple(sorted(things))[:10]
                    world.report(Finding(channel, self.name, f"{kind} {change}", detail, trace))
