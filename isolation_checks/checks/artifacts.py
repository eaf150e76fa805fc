"""X2: a one-shot artifact of A is worth nothing at B, in the strictest form."""

from __future__ import annotations

from isolation_checks.events import Finding, Tried
from isolation_checks.sinks import mail_sink
from isolation_checks.world import World, let_in, witness
from warminfra.core.audit import Cell, Credential
from warminfra.core.errors import ProviderRefused
from warminfra.core.models import JsonObject

Pair = tuple[JsonObject, JsonObject]


class Artifacts:
    """Every artifact, redeemed at B by B's own client, as if B had been handed it; and at master.

    It must be answered like a forged one. A twin, minted in the same moment, must work at A, or
    nothing is proven. What has become of the tried one is noted and not judged. In class `admin`
    the pair is tried once more with what a careless test suite makes: clients of the same ids.
    Mail is given to both by the auditor, in the place of a template that has it.
    """

    name = "one-shot artifacts"
    channels = ("X2",)

    def run(self, world: World) -> None:
        """One pair; in class `admin` a second, furnished one."""
        surface = world.scratch.surface
        first, second = world.scratch.lease(), world.scratch.lease()
        with mail_sink() as sink:
            for lease in (first, second):
                surface.with_mail(lease, sink.port, sink.next)
            self._pair(world, (first, second), "B")
            if "admin" in first:
                pair = surface.furnished(first), surface.furnished(second)
                self._pair(world, pair, "B, whose client has the same id")
        world.scratch.release(first, second)

    def _pair(self, world: World, pair: Pair, where: str) -> None:
        surface = world.scratch.surface
        absent: dict[str, str] = {}
        for kind in surface.artifacts():
            try:
                surface.artifact(kind, pair[0])
            except ProviderRefused as refusal:
                absent[kind] = refusal.message
                continue
            for cell in surface.cells(kind):
                self._tried(world, cell, kind, pair, where)
        for kind, reason in absent.items():
            world.leave_out("X2", f"{kind} (at {where})", reason)
        if len(absent) == len(surface.artifacts()):
            raise AssertionError("no artifact could be minted: nothing was tried")

    def _tried(self, world: World, cell: Cell, kind: str, pair: Pair, where: str) -> None:
        surface = world.scratch.surface
        owner, other = pair
        for target, place in ((other, where), (None, "master")):
            tried, twin = surface.artifact(kind, owner), surface.artifact(kind, owner)
            answer = surface.attempt(cell, tried, target)
            forged = surface.attempt(cell, surface.never_valid(tried), target)
            world.attempts += 1
            refused = answer == forged and not let_in(cell, answer)
            outcome = "refused" if refused else "crossed"
            world.emit(Tried(world.program, str(cell), place, outcome, str(answer)[:300]))
            if outcome == "crossed":
                world.report(
                    Finding(
                        "X2",
                        self.name,
                        witness(cell, place),
                        f"A's {kind}, redeemed at {place}, is not answered like a forged one",
                        (f"answered: {str(answer)[:300]}", f"a forged one: {str(forged)[:300]}"),
                    )
                )
            self._control(world, cell, (tried, twin), owner, place)

    def _control(
        self,
        world: World,
        cell: Cell,
        artifacts: tuple[Credential, Credential],
        owner: JsonObject,
        place: str,
    ) -> None:
        surface = world.scratch.surface
        tried, twin = artifacts
        works = surface.attempt(cell, twin, owner)
        forged = surface.attempt(cell, surface.never_valid(twin), owner)
        if works == forged:
            raise AssertionError(f"a twin of the {twin.kind} is worth nothing even at its owner")
        world.controls += 1
        world.emit(Tried(world.program, str(cell), "owner", "works", str(works)[:300]))
        later = surface.attempt(cell, tried, owner)
        fate = "still good at A" if later == works else "used up"
        world.note("X2", f"{tried.kind} tried at {place}", fate)
