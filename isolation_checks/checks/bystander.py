"""X9: a lease that does nothing is not touched by the life and the end of others."""

from __future__ import annotations

from isolation_checks.events import Finding
from isolation_checks.world import World


class Bystander:
    """A lease that waits while another comes and goes: all that is inside it, sessions included."""

    name = "bystander"
    channels = ("X9",)

    def run(self, world: World) -> None:
        """One lease logs in and then waits, while another comes, is used, and goes."""
        surface = world.scratch.surface
        waiting = world.attacker()
        before = surface.inside(waiting.lease)
        surface.mint(waiting.lease)
        if surface.inside(waiting.lease) == before:
            raise AssertionError("a login does not show inside: the look is blind")
        world.controls += 1
        before = surface.inside(waiting.lease)
        other = world.attacker()
        self._same(world, before, surface.inside(waiting.lease), "another lease came")
        world.scratch.release(other.lease)
        self._same(world, before, surface.inside(waiting.lease), "another lease ended")
        world.scratch.release(waiting.lease)

    def _same(self, world: World, before: str, after: str, when: str) -> None:
        world.attempts += 1
        if before != after:
            detail = f"what is inside a lease that did nothing changed when {when}"
            world.report(Finding("X9", self.name, f"a bystander changed when {when}", detail))
