"""X3: what A has used is not used up for B."""

from __future__ import annotations

import secrets
import uuid

from isolation_checks.events import Finding, Tried
from isolation_checks.world import World
from warminfra.core.audit import REFUSED
from warminfra.core.errors import ProviderRefused
from warminfra.core.models import JsonObject


class Replay:
    """Values that a client chooses, the same in every run of a careless test suite.

    A uses one; B's legal call with the same one must then go through, as B's call with a fresh one
    does. Whether the server remembers the value at all (A's second use) is noted.
    """

    name = "replay cache"
    channels = ("X3",)

    def run(self, world: World) -> None:
        """One pair, with all that their own admins may make, if they have one."""
        surface = world.scratch.surface
        first, second = world.scratch.lease(), world.scratch.lease()
        if "admin" in first:
            for lease in (first, second):
                surface.furnished(lease)
        for kind in surface.once():
            try:
                self._same(world, kind, first, second)
            except ProviderRefused as refusal:
                world.leave_out("X3", kind, refusal.message)
        world.scratch.release(first, second)

    def _same(self, world: World, kind: str, first: JsonObject, second: JsonObject) -> None:
        surface = world.scratch.surface
        value = str(uuid.UUID(bytes=secrets.token_bytes(16)))
        used = surface.use(kind, value, first)
        if used.status >= REFUSED:
            raise AssertionError(f"{kind}: A's own call does not go through: {used}")
        world.controls += 1
        answer = surface.use(kind, value, second)
        world.attempts += 1
        crossed = answer.status >= REFUSED
        outcome = "crossed" if crossed else "works"
        world.emit(Tried(world.program, f"{kind} after A", "B", outcome, str(answer)[:300]))
        if crossed:
            fresh = surface.use(kind, str(uuid.UUID(bytes=secrets.token_bytes(16))), second)
            if fresh.status >= REFUSED:
                raise AssertionError(f"{kind}: B's call fails even with a fresh one: {fresh}")
            world.report(
                Finding(
                    "X3",
                    self.name,
                    f"{kind} that a neighbour has used",
                    f"B's call fails since A has used the same {kind}; with a fresh one it works",
                    (f"answered: {str(answer)[:300]}", f"with a fresh one: {str(fresh)[:300]}"),
                )
            )
        again = surface.use(kind, value, first)
        kept = "remembered" if again.status >= REFUSED else "not remembered"
        world.note("X3", f"a second use of the {kind} at A", f"{kept} ({again.status})")
