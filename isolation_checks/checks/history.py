"""X6: whatever a lease did, the next one finds nothing of it (the single-step form).

An arbitrarily dirty life of A first: wrong passwords, sessions, offline tokens. Then one look at B,
which must be what a lease is that nobody came before.
"""

from __future__ import annotations

from isolation_checks.checks.completeness import differences, shape
from isolation_checks.events import Finding
from isolation_checks.world import Party, World
from warminfra.core.errors import Unreachable

WRONG_PASSWORDS = 31
"""One more than Keycloak's own limit, where a recipe's realm has lockout switched on."""


class History:
    """A clean lease, a dirty one, and one that comes after it."""

    name = "after a dirty life"
    channels = ("X6",)

    def run(self, world: World) -> None:
        """Compare what comes after with what came first."""
        clean = world.scratch.lease()
        whole = shape(world, clean)
        world.controls += 1
        world.scratch.release(clean)
        dirty = world.attacker()
        self._soil(world, dirty)
        world.scratch.release(dirty.lease)
        later = world.scratch.lease()
        world.attempts += 1
        try:
            found = shape(world, later)
        except Unreachable as error:
            self._report(world, "a login", f"a login at the lease that came after: {error.message}")
        else:
            for part, unlike in differences(found, whole):
                self._report(world, part, unlike)
        world.scratch.release(later)

    def _soil(self, world: World, dirty: Party) -> None:
        """Wrong passwords of its own users, in every place that takes one."""
        surface = world.scratch.surface
        for credential in dirty.credentials:
            if "username" not in credential.context:
                continue
            for cell in surface.cells(credential.kind):
                for _ in range(WRONG_PASSWORDS):
                    surface.attempt(cell, surface.never_valid(credential), dirty.lease)
                    world.attempts += 1

    def _report(self, world: World, what: str, detail: str) -> None:
        world.report(
            Finding("X6", self.name, f"{what} of a lease that comes after a dirty one", detail)
        )
