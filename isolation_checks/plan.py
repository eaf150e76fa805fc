"""What an audit is to do: the profiles, and what is drawn for one of them by its seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from isolation_checks.blocks import Draw, draws
from isolation_checks.events import CHANNELS
from isolation_checks.mutants.base import Mutant
from isolation_checks.stage import AFTER_RESTART, ALIVE, RELEASED


@dataclass(frozen=True, slots=True)
class Profile:
    """How much an audit does."""

    name: str
    programs: int
    lives: int
    """Programs that last from the making of two leases to their end; the others share leases."""
    blocks: int
    """Fresh servers for the programs; 0: they run on the one that the checks have used."""
    kills: int
    """Blocks in which the server is killed halfway."""
    strikes: int
    """Lives that meet another nemesis."""
    mutants_a_channel: int
    effort: int
    """Pairs of runs, with a neighbour and without."""
    searched: int
    """Most examples of the search."""
    cycles: int = 3
    """Lives of leases over which leftovers are counted."""
    channels: frozenset[str] = frozenset(CHANNELS)
    """Those that are looked at for class `user`, each by all of its checks."""

    def channels_of(self, lease_class: str) -> frozenset[str]:
        """Return those that are looked at for the class; of the others nothing is claimed.

        An admin reaches what a user does not, so for that class there is no shorter look.
        """
        return self.channels if lease_class == "user" else frozenset(CHANNELS)

    @property
    def times(self) -> tuple[str, ...]:
        """When a credential is tried: only with a kill there is an after."""
        return (ALIVE, RELEASED, AFTER_RESTART) if self.kills else (ALIVE, RELEASED)


ATTACKERS = {
    "user": "holds everything that one lease gives out (its client and secret, its users and their "
    "passwords, its app's address) and has no rights of administration",
    "admin": "holds everything that one lease gives out, and is the admin of its own tenant",
}
"""By class, what whoever attacks from within a lease holds."""

PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            *("smoke", 12, 4, 0, 0, 0),
            mutants_a_channel=1,
            effort=1,
            searched=0,
            channels=frozenset({"X1", "X2", "X4", "X5", "X7", "X14"}),
        ),
        Profile(
            "standard", 300, 60, 4, 2, 10, mutants_a_channel=1, effort=8, searched=15, cycles=30
        ),
        Profile(
            "soak", 3000, 600, 40, 10, 90, mutants_a_channel=2, effort=80, searched=300, cycles=30
        ),
    )
}


def blocks(profile: Profile, seed: int) -> list[list[Draw]]:
    """Return the programs, drawn by the seed, block by block."""
    drawn = draws(profile.programs, profile.lives, profile.strikes, seed)
    count = max(profile.blocks, 1)
    return [drawn[number::count] for number in range(count)]


def mutants_for(
    profile: Profile,
    catalogue: Sequence[Mutant],
    seed: int,
    lease_class: str,
    count: int | None = None,
) -> list[Mutant]:
    """Draw mutants of every channel of the profile, or `count` of all of them; fit for the class.

    With `count`, a channel of which none is drawn is not covered.
    """
    chance = random.Random(seed)
    fit = [
        mutant
        for mutant in catalogue
        if mutant.channel in profile.channels_of(lease_class)
        and lease_class in mutant.classes
        and not mutant.dear
    ]
    if count is not None:
        return chance.sample(fit, min(count, len(fit)))
    drawn = []
    for channel in dict.fromkeys(mutant.channel for mutant in fit):
        ours = [mutant for mutant in fit if mutant.channel == channel]
        drawn += chance.sample(ours, min(profile.mutants_a_channel, len(ours)))
    return drawn
