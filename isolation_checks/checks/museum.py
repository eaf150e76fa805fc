"""X7: what was a lease's is worth nothing once it is over, nowhere and never again."""

from __future__ import annotations

from collections.abc import Iterator

from isolation_checks.checks.authority import ends
from isolation_checks.events import Finding
from isolation_checks.steps import of_one_try
from isolation_checks.world import Party, World, witness
from warminfra.core.audit import Credential
from warminfra.core.errors import ProviderRefused


class Museum:
    """Credentials and unused artifacts of a dead lease, replayed at its own place, at a later
    lease, and at master."""

    name = "museum"
    channels = ("X7",)

    def run(self, world: World) -> None:
        """One lease lives, is seen to live, and dies; then all that it had is tried."""
        surface = world.scratch.surface
        dead = world.attacker()
        for credential in dead.credentials:
            cells = [cell for cell in surface.cells(credential.kind) if not ends(cell)]
            if not any(world.works(cell, credential, dead.lease) for cell in cells):
                raise AssertionError(f"no positive control passed for the {credential.kind}")
        relics = [*dead.credentials, *self._artifacts(world, dead)]
        world.scratch.release(dead.lease)
        world.when = "released"
        later = world.victim()
        before = surface.inside(later)
        for credential in relics:
            for cell in surface.cells(credential.kind):
                places = world.targets(cell, later)
                if not cell.server_wide:
                    places.append((dead.lease, "its own dead lease"))
                for target, where in places:
                    crossed = world.crosses(cell, credential, target, where)
                    if crossed:
                        world.report(
                            Finding(
                                "X7",
                                self.name,
                                witness(cell, where),
                                f"the {credential.kind} of a released lease is told from a forged "
                                f"one at {cell.verb} {cell.endpoint} of {where}",
                                crossed,
                                of_one_try(cell, where, "released"),
                            )
                        )
        if surface.inside(later) != before:
            detail = "a dead lease's credentials changed what is inside a later lease"
            world.report(Finding("X7", self.name, "a later lease changed", detail))
        world.end()
        world.scratch.release(later)

    def _artifacts(self, world: World, dead: Party) -> Iterator[Credential]:
        """Yield what else it can be made to yield, unused; how each works alive is X2's."""
        surface = world.scratch.surface
        had = {credential.kind for credential in dead.credentials}
        for kind in surface.artifacts():
            if kind not in had:
                try:
                    yield surface.artifact(kind, dead.lease)
                except ProviderRefused as error:
                    world.leave_out("X7", kind, error.message)
