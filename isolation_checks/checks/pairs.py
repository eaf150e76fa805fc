"""X9 as a 2-safety property: what B hears is the same with a neighbour as without one.

The same program of B runs alone, alone once more, and beside a neighbour that does whatever it
likes in between; canonicalised, B must hear the same. What differs between the two runs alone is
noise of the server and is told apart; more than a second lies between them, so that what changes by
the second does. Every second pair has the single-step form: an arbitrarily
dirty history, then a new B with one probe of each kind. (Hritcu et al., Testing Noninterference,
Quickly, ICFP 2013: generation by execution, and a state reached by any means before one step.)
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from isolation_checks.checks.authority import ends
from isolation_checks.events import Finding
from isolation_checks.sampler import places
from isolation_checks.stage import ALIVE, Illegal, Stage
from isolation_checks.steps import LEASE, MINT, RELEASE, TRY, USE, Step
from isolation_checks.world import World
from warminfra.core.audit import REFUSED, AuditSurface, Cell, Credential
from warminfra.core.errors import WarminfraError
from warminfra.core.models import JsonObject

USES = (4, 8)
"""Fewest and most calls of B in a pair."""
APART = 1.1
"""Seconds between the end of one run alone and the next."""
TURNS = (3, 9)
"""Fewest and most turns of the neighbour."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One answer to B: status, canonical text, and whether it names another tenant."""

    status: int
    text: str
    foreign: bool

    def __str__(self) -> str:
        return f"{self.status} {self.text[:200]}{' NAMES ANOTHER TENANT' if self.foreign else ''}"


class Pairs:
    """B's program with a neighbour and without: B is answered alike.

    Some pairs: `world.effort`, of both forms in turn.
    """

    name = "pairs"
    channels = ("X9",)

    def run(self, world: World) -> None:
        """Draw and compare."""
        chance = random.Random(f"pairs {world.seed}")
        forms = [False, True]
        chance.shuffle(forms)
        for number in range(world.effort):
            self._pair(world, chance, history_first=forms[number % 2])
        world.end()

    def _pair(self, world: World, chance: random.Random, *, history_first: bool) -> None:
        uses = _uses(world, chance)
        alone, _ = observe(world, uses, None, history_first=history_first)
        time.sleep(APART)
        again, _ = observe(world, uses, None, history_first=history_first)
        beside, stage = observe(world, uses, chance, history_first=history_first)
        if not any(party != "B" for party in stage.parties):
            raise AssertionError("no neighbour came: nothing was compared")
        for number, use in enumerate(uses):
            world.attempts += 1
            if alone[number] != again[number]:
                continue  # told differently even alone: noise
            world.controls += 0 < alone[number].status < REFUSED
            if beside[number] != alone[number]:
                detail = f"B's {use} is answered otherwise once it has a neighbour"
                trace = (f"alone: {alone[number]}", f"beside: {beside[number]}")
                told = f"{use.cell} of a lease with a neighbour"
                world.report(
                    Finding("X9", self.name, told, detail, (*trace, *map(str, stage.steps)))
                )


def observe(
    world: World, uses: Sequence[Step], chance: random.Random | None, *, history_first: bool
) -> tuple[list[Heard], Stage]:
    """Run B's calls, with a neighbour if there is a `chance`; return what B heard."""
    stage = Stage(world)
    turns = _turns(chance, len(uses), history_first=history_first) if chance else {}
    try:
        if chance and history_first:
            _act(stage, chance, turns.get(0, 0))
        for step in (Step(LEASE, "B"), Step(MINT, "B")):
            stage.do(step)
        for number, use in enumerate(uses):
            if chance and not history_first:
                _act(stage, chance, turns.get(number, 0))
            stage.do(use)
        own = str(stage.parties["B"].lease["tenant"])
        heard = [
            Heard(reply.status, reply.text, bool(reply.mentions - {own}))
            for who, reply in stage.replies
            if who == "B"
        ]
        return heard, stage
    finally:
        stage.end()


def _turns(chance: random.Random, uses: int, *, history_first: bool) -> dict[int, int]:
    """Return before which call of B the neighbour takes how many turns."""
    total = chance.randint(*TURNS)
    if history_first:
        return {0: total}
    turns: dict[int, int] = {}
    for _ in range(total):
        place = chance.randrange(uses)
        turns[place] = turns.get(place, 0) + 1
    return turns


def _uses(world: World, chance: random.Random) -> list[Step]:
    """Draw B's program: calls of its own that are legal and end nothing, one of which goes through.

    Of calls that are all refused anyway nothing could be learnt.
    """
    surface = world.scratch.surface
    lease = world.scratch.lease()
    minted = surface.mint(lease)
    works = _works(surface, lease, minted, chance)
    world.scratch.release(lease)
    kinds = sorted({credential.kind for credential in minted})
    able = [found for kind in kinds if (found := mild(surface, kind))]
    steps = [
        Step(USE, "B", chance.choice(chance.choice(able))) for _ in range(chance.randint(*USES))
    ]
    steps[chance.randrange(len(steps))] = Step(USE, "B", works)
    return steps


def _works(
    surface: AuditSurface, lease: JsonObject, minted: Sequence[Credential], chance: random.Random
) -> Cell:
    """Draw a call that a holder of these credentials is answered well. Raises AssertionError."""
    lasting = [credential for credential in minted if not credential.one_shot]
    order = [(one, cell) for one in lasting for cell in mild(surface, one.kind)]
    chance.shuffle(order)
    for credential, cell in order:
        if 0 < surface.attempt(cell, credential, lease).status < REFUSED:
            return cell
    raise AssertionError("a lease yields nothing that works at its own tenant")


def mild(surface: AuditSurface, kind: str) -> list[Cell]:
    """Return where a holder uses the credential as an app does: reading, refreshing, redeeming."""
    return [
        cell
        for cell in surface.cells(kind)
        if not ends(cell)
        and not cell.server_wide
        and (cell.verb == "GET" or "/" not in cell.endpoint)
    ]


def _act(stage: Stage, chance: random.Random, turns: int) -> None:
    """Let the neighbour take some turns; what fails for it is its own trouble."""
    for _ in range(turns):
        with suppress(WarminfraError, Illegal):
            _turn(stage, chance)


def _turn(stage: Stage, chance: random.Random) -> None:
    mine = [name for name in stage.alive() if name != "B"]
    if not mine:
        name = f"A{sum(step.do == LEASE for step in stage.steps)}"
        stage.do(Step(LEASE, name))
        stage.do(Step(MINT, name))
        return
    who, roll = chance.choice(mine), chance.random()
    if roll < 0.2:
        stage.do(Step(RELEASE, who))
    elif roll < 0.3:
        stage.do(Step(MINT, who))
    else:
        _call(stage, chance, stage.world.scratch.surface, who)


def _call(stage: Stage, chance: random.Random, surface: AuditSurface, who: str) -> None:
    credential = chance.choice(list(stage.parties[who].credentials))
    cell = chance.choice(list(surface.cells(credential.kind)))
    if chance.random() < 0.5 and not cell.server_wide:
        stage.do(Step(USE, who, cell))
        return
    where = [place for place in places(cell, ALIVE) if place != "B" or "B" in stage.alive()]
    stage.do(Step(TRY, who, cell, chance.choice(where)))
