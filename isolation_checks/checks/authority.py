"""X1, X13: every lasting credential of A, everywhere that takes its kind, at B and at master."""

from __future__ import annotations

from isolation_checks.events import Finding
from isolation_checks.steps import of_one_try
from isolation_checks.world import Party, World, witness
from warminfra.core.audit import Cell, Credential
from warminfra.core.models import JsonObject


class Authority:
    """Every lasting credential of A at every endpoint of B and of the server, once.

    The answer to A's credential must equal, canonicalised, that to a forged one of the same form
    (or be a denial that tells nothing of the target, see `World.crosses`), and what is inside B
    must not change. A cell in which a credential is not told from a forged one
    even at its owner proves nothing and is counted as mute.
    """

    name = "foreign credentials"
    channels = ("X1", "X13")

    def run(self, world: World) -> None:
        """Run the matrix with one pair."""
        attacker, victim = world.attacker(), world.victim()
        minted = {credential.kind for credential in attacker.credentials}
        for kind, reason in world.scratch.surface.lacking(minted).items():
            cells = len(world.scratch.surface.cells(kind))
            world.leave_out("X1", f"{kind}, {cells} cells", reason)
        now = world.scratch.surface.inside(victim)
        for credential in attacker.credentials:
            if credential.one_shot:
                continue
            spoke = self._everywhere(world, attacker, credential, victim)
            if not spoke:
                raise AssertionError(f"no positive control passed for the {credential.kind}")
            before, now = now, world.scratch.surface.inside(victim)
            if now != before:
                world.report(
                    Finding(
                        "X1",
                        self.name,
                        f"{credential.kind} changes B",
                        f"what is inside B changed while A's {credential.kind} was tried there",
                    )
                )
        world.end()
        world.scratch.release(attacker.lease, victim)

    def _everywhere(
        self, world: World, attacker: Party, credential: Credential, victim: JsonObject
    ) -> int:
        surface = world.scratch.surface
        heard = 0
        cells = surface.cells(credential.kind)
        for cell in cells:
            for target, where in world.targets(cell, victim):
                crossed = world.crosses(cell, credential, target, where)
                if crossed:
                    world.report(_finding(self.name, cell, credential, where, crossed))
            if not ends(cell):
                heard += world.works(cell, credential, attacker.lease)
        return heard


def channel_of(cell: Cell, credential: Credential) -> str:
    """Return the channel that a crossing of the credential in the cell belongs to."""
    if cell.looks_at_server:
        return "X13"
    return "X2" if credential.one_shot else "X1"


def ends(cell: Cell) -> bool:
    """Say whether trying the cell at its owner could end the credential or its lease."""
    ending = cell.endpoint.startswith(("revocation", "logout by"))
    return ending or cell.verb in ("PUT", "DELETE")


def _finding(
    check: str, cell: Cell, credential: Credential, where: str, trace: tuple[str, ...]
) -> Finding:
    return Finding(
        channel_of(cell, credential),
        check,
        witness(cell, where),
        f"A's {credential.kind} at {cell.verb} {cell.endpoint} of {where} is not answered like a "
        "forged one",
        trace,
        of_one_try(cell, where, "alive"),
    )
