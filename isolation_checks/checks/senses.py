"""The prover's own senses, before anything is believed: what must show, shows.

Each look is held against something that is known to be there or to have changed. A prover whose
credentials are dead, whose scan is off, whose looks come from a cache or end after the first page,
or whose leases are not on one server ends here, and the audit with `inconclusive`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from isolation_checks.checks.authority import ends
from isolation_checks.world import Party, World
from warminfra.core.models import JsonObject

LEASES = 3
"""Alive at once while the inventory is looked at: a look that pages must not end before them."""


class Senses:
    """The prover itself: what must work works, what must show shows.

    No channel: what fails here is no finding, it is a reason to believe nothing.
    """

    name = "senses"
    channels = ()

    def run(self, world: World) -> None:
        """Look at what is known. Raises AssertionError for the first sense that fails."""
        scratch, surface = world.scratch, world.scratch.surface
        attacker = world.attacker()
        others = [scratch.lease() for _ in range(LEASES - 1)]
        leases = [attacker.lease, *others]
        _on_one_instance(world, leases)
        looks = {"the digest": surface.digest, "the sight": surface.inside}
        shown = " ".join(surface.inventory().get("realm", frozenset()))
        for lease in leases:
            _sense(world, lease["tenant"] in shown, "a living tenant is not in the inventory")
        before = {name: look(others[0]) for name, look in looks.items()}
        surface.mint(others[0])
        for name, look in looks.items():
            changed = look(others[0]) != before[name]
            _sense(world, changed, f"a login does not show in {name} of what is inside a lease")
        self._credentials(world, attacker)
        scratch.release(*leases)

    def _credentials(self, world: World, attacker: Party) -> None:
        """Each works at its owner, and an attempt that works is told from a forged one."""
        surface = world.scratch.surface
        silent = replace(world, emit=lambda _: None, found=[])
        told_of = set[str]()
        for credential in attacker.credentials:
            able = [cell for cell in surface.cells(credential.kind) if not ends(cell)]
            works = next(
                (one for one in able if world.works(one, credential, attacker.lease)), None
            )
            _sense(world, works is not None, f"the {credential.kind} works nowhere at its owner")
            assert works is not None  # noqa: S101 - just sensed
            twin = surface.again(credential, attacker.lease) if credential.one_shot else credential
            seen = silent.crosses(works, twin, attacker.lease, "its owner")
            _sense(world, bool(seen), f"a {credential.kind} that works is taken for worth nothing")
            for cell in able[:6]:
                if not credential.one_shot and not cell.server_wide:
                    told_of |= surface.attempt(cell, credential, attacker.lease).mentions
        known = attacker.lease["tenant"] in told_of
        _sense(world, known, "no answer at its owner is seen to name the tenant: the scan is blind")


def _on_one_instance(world: World, leases: Sequence[JsonObject]) -> None:
    instances = {world.scratch.instance_of(lease) for lease in leases}
    _sense(world, len(instances) == 1, f"{len(leases)} leases are on {len(instances)} instances")
    servers = {str(lease["issuer"]).partition("/realms/")[0] for lease in leases}
    _sense(world, len(servers) == 1, f"{len(leases)} leases are on {len(servers)} servers")


def _sense(world: World, good: bool, otherwise: str) -> None:
    world.attempts += 1
    if not good:
        raise AssertionError(otherwise)
    world.controls += 1
