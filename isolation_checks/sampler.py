"""Programs of random steps, drawn by a seed of their own, apart from any search: for the bound.

A program is one life of two leases: A gets all it can, tries some of it at B, at master, and, once
it is released, at its own dead place. It crosses if any answer is told from that to a forged
credential, or if what is inside B has changed.
"""

from __future__ import annotations

import random

from isolation_checks.checks.authority import channel_of
from isolation_checks.events import Finding, Program
from isolation_checks.world import World, witness

TRIES = (4, 12)


def bound(programs: int) -> float:
    """Return the rate that `programs` without a violation exclude with 95 % confidence."""
    return 1.0 - 0.05 ** (1.0 / programs) if programs else 1.0


def run_program(world: World, number: int, seed: int) -> Program:
    """Draw and run one program."""
    chance = random.Random(seed)
    surface = world.scratch.surface
    world.program = number
    attacker, victim = world.attacker(), world.victim()
    before = surface.digest(victim)
    dies_after = chance.randint(0, TRIES[1])
    dead = False
    steps: list[str] = []
    crossed = False
    for step in range(chance.randint(*TRIES)):
        if step == dies_after:
            world.scratch.release(attacker.lease)
            dead = True
            steps.append("release A")
        credential = chance.choice(list(attacker.credentials))
        cell = chance.choice(list(surface.cells(credential.kind)))
        targets = world.targets(cell, victim)
        if dead and not cell.server_wide:
            targets.append((attacker.lease, "its own dead lease"))
        target, where = chance.choice(targets)
        if credential.one_shot and not dead:
            credential = surface.again(credential, attacker.lease)
        steps.append(f"{cell} of {where}")
        trace = world.crosses(cell, credential, target, where)
        if trace:
            crossed = True
            channel = "X7" if dead else channel_of(cell, credential)
            detail = f"A's {credential.kind} is not answered like a forged one"
            world.report(Finding(channel, "program", witness(cell, where), detail, trace))
    if surface.digest(victim) != before:
        crossed = True
        detail = "what is inside B changed during a program of A"
        world.report(Finding("X1", "program", "B changed", detail, tuple(steps)))
    world.end()
    world.scratch.release(*([] if dead else [attacker.lease]), victim)
    world.program = 0
    return Program(number, seed, tuple(steps), crossed)
