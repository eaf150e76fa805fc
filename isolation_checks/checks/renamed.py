"""X6: a tenant whose own admin renamed it is taken down like any other."""

from __future__ import annotations

from isolation_checks.events import Finding
from isolation_checks.world import World


class Renamed:
    """A tenant that was renamed from inside is taken down all the same: its name is no proof."""

    name = "renamed tenant"
    channels = ("X6",)

    def run(self, world: World) -> None:
        """Rename it from inside, give it back, and look at the whole server."""
        surface = world.scratch.surface
        before = surface.inventory()
        lease = world.scratch.lease()
        surface.rename(lease, "renamed-by-its-own-admin")
        during = surface.inventory()
        if during == before:
            raise AssertionError("a renamed tenant does not show in the inventory")
        world.controls += 1
        world.scratch.release(lease)
        after = surface.inventory()
        world.attempts += 1
        for kind in sorted(before):
            left = after[kind] - before[kind]
            if left:
                detail = f"{len(left)} × {kind} left of a tenant that was renamed"
                trace = tuple(sorted(left))[:10]
                world.report(
                    Finding("X6", self.name, f"{kind} of a renamed tenant left", detail, trace)
                )
