"""Programs of random steps, drawn by a seed of their own, apart from any search: for the bound.

Generation by execution: each step is drawn among those that are legal in the state that the steps
before have led to, from leases that live. What is tried is drawn by strata, each as likely as the
next: whose credential and how old (alive, released, after restart), its kind, the sort of cell, the
cell, the target. A program crosses if any answer is told from that to a forged credential, or if
what is inside B has changed.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import replace

from isolation_checks.checks.authority import ends
from isolation_checks.events import Finding, Program
from isolation_checks.stage import ALIVE, Stage
from isolation_checks.steps import (
    FRESH,
    LEASE,
    MASTER,
    MINT,
    OWN,
    RELEASE,
    RELEASE_AT_ONCE,
    SERVER,
    TRY,
    Step,
)
from isolation_checks.world import World
from warminfra.core.audit import AuditSurface, Cell

TRIES = (4, 12)
"""Fewest and most tries of a program."""


def bound(programs: int) -> float:
    """Return the rate that `programs` without a violation exclude with 95 % confidence."""
    return 1.0 - 0.05 ** (1.0 / programs) if programs else 1.0


def run_life(world: World, number: int, seed: int, strikes: Sequence[str] = ()) -> Program:
    """Draw and run one program from the making of two leases to their end; `strikes` befall it."""
    chance, stage, began = random.Random(seed), Stage(world), time.monotonic()
    world.program = number
    for step in (Step(LEASE, "A"), Step(LEASE, "B"), Step(MINT, "A")):
        stage.do(step)
    _control(stage, chance)
    tries = chance.randint(*TRIES)
    end = [] if RELEASE_AT_ONCE in strikes else [RELEASE]
    turns = [*[TRY] * tries, *end, *strikes]
    chance.shuffle(turns)
    _turns(stage, chance, turns)
    stage.end()
    return _told(stage, number, seed, "life", began)


def run_in_batch(world: World, number: int, seed: int, shared: Stage) -> Program:
    """Draw and run one program with users and clients of its own in leases that live on.

    `shared` holds leases A and B, and the museum: dead leases with what they had.
    """
    chance, began = random.Random(seed), time.monotonic()
    world.program = number
    stage = Stage(
        world,
        dict(shared.parties),
        dict(shared.times),
        list(shared.steps),
    )
    done = len(stage.steps)
    for step in (Step(FRESH, "A"), Step(FRESH, "B"), Step(MINT, "A")):
        stage.do(step)
    _control(stage, chance)
    _turns(stage, chance, [TRY] * chance.randint(*TRIES))
    told = _told(stage, number, seed, "batch", began)
    return replace(told, steps=told.steps[done:])


def _control(stage: Stage, chance: random.Random) -> None:
    """See that A's credentials are worth something at A, or what follows would prove nothing."""
    world, party = stage.world, stage.parties["A"]
    credentials = [one for one in party.credentials if not one.one_shot]
    chance.shuffle(credentials)
    for credential in credentials:
        reads = [
            cell
            for cell in world.scratch.surface.cells(credential.kind)
            if cell.verb == "GET" and not ends(cell) and not cell.server_wide
        ]
        if any(world.works(cell, credential, party.lease) for cell in reads[:4]):
            return
    raise AssertionError("nothing of A works at its owner: its credentials are dead")


def _turns(stage: Stage, chance: random.Random, turns: Sequence[str]) -> None:
    """Take the turns; by each run of them in which nothing was killed B and the bystander must be
    unchanged."""
    surface = stage.world.scratch.surface
    before = surface.digest(stage.parties["B"].lease)
    for turn in turns:
        if turn == TRY:
            stage.do(draw_try(stage, chance, surface))
        elif turn in (RELEASE, RELEASE_AT_ONCE):
            stage.do(Step(turn, "A"))
        else:
            _unchanged(stage, before)
            stage.do(Step(turn))
            before = surface.digest(stage.parties["B"].lease)
            stage.world.look_again()
    _unchanged(stage, before)


def _unchanged(stage: Stage, before: str) -> None:
    if stage.world.scratch.surface.digest(stage.parties["B"].lease) != before:
        stage.crossed = True
        detail = "what is inside B changed during a program of A"
        told = tuple(map(str, stage.steps))
        stage.world.report(Finding("X1", "program", "B changed", detail, told, tuple(stage.steps)))
    if stage.world.watch(stage.steps):
        stage.crossed = True


def draw_try(stage: Stage, chance: random.Random, surface: AuditSurface) -> Step:
    """Draw what A, or a dead lease, tries next, and where."""
    holders: dict[str, list[str]] = {}
    for name, party in stage.parties.items():
        if party.credentials:
            holders.setdefault(stage.times[name], []).append(name)
    when = chance.choice(sorted(holders))
    who = chance.choice(sorted(holders[when]))
    party = stage.parties[who]
    kind = chance.choice(sorted({credential.kind for credential in party.credentials}))
    sorts: dict[tuple[str, bool], list[Cell]] = {}
    for cell in surface.cells(kind):
        sorts.setdefault((cell.verb, "/" in cell.endpoint), []).append(cell)
    cell = chance.choice(sorts[chance.choice(sorted(sorts))])
    return Step(TRY, who, cell, chance.choice(places(cell, when)))


def places(cell: Cell, when: str) -> list[str]:
    """Return where else than at its owner a credential can be tried in the cell."""
    if cell.server_wide:
        return [SERVER]
    return ["B", MASTER] if when == ALIVE else ["B", MASTER, OWN]


def known_cells(surface: AuditSurface, times: Sequence[str]) -> frozenset[tuple[str, str, str]]:
    """Return every (cell, target, time) that there is to try."""
    return frozenset(
        (str(cell), place, when)
        for cell in surface.known_cells()
        for when in times
        for place in places(cell, when)
    )


def _told(stage: Stage, number: int, seed: int, kind: str, began: float) -> Program:
    spent = {name: round(seconds, 4) for name, seconds in stage.spent.items()}
    return Program(
        number,
        seed,
        tuple(str(step) for step in stage.steps),
        stage.crossed,
        kind,
        round(time.monotonic() - began, 4),
        spent,
    )
