"""Runs the programs of the sampler: in blocks, each on a server that nothing else has touched.

In a block lives (two leases from their making to their end) alternate with batches, whose programs
have users and clients of their own in two leases that live for the batch. What a dead lease had
goes into the block's museum; halfway the server is killed, so that the second half tries also what
is older than the server.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from isolation_checks.events import Event, Program
from isolation_checks.sampler import run_in_batch, run_life
from isolation_checks.scratch import Scratch
from isolation_checks.stage import AFTER_RESTART, RELEASED, Stage
from isolation_checks.steps import (
    KILL_PROVIDER,
    LEASE,
    MINT,
    RELEASE,
    RELEASE_AT_ONCE,
    STRIKES,
    Step,
)
from isolation_checks.world import Party, World

BATCH = 8
"""Programs that share two leases."""
MUSEUM = 3
"""Dead leases that a program may try something of."""

Trouble = Callable[[str, Exception], None]


@dataclass(frozen=True, slots=True)
class Draw:
    """One program to run: its number over all, its seed, and whether it is a whole life."""

    number: int
    seed: int
    life: bool
    strikes: tuple[str, ...] = ()


def draws(programs: int, lives: int, strikes: int, seed: int) -> list[Draw]:
    """Return the programs of an audit, drawn by its seed; `strikes` lives meet a nemesis."""
    chance = random.Random(f"programs {seed}")
    living = set(chance.sample(range(1, programs + 1), lives))
    struck = dict(
        zip(chance.sample(sorted(living), min(strikes, lives)), _nemeses(chance), strict=False)
    )
    return [
        Draw(
            number,
            chance.randrange(2**32),
            number in living,
            (struck[number],) if number in struck else (),
        )
        for number in range(1, programs + 1)
    ]


def _nemeses(chance: random.Random) -> Iterator[str]:
    """Each kind in turn, from a drawn one on; the dear restart of the server is the block's own."""
    kinds = [*STRIKES[1:], RELEASE_AT_ONCE]
    chance.shuffle(kinds)
    while True:
        yield from kinds


@dataclass(slots=True)
class Block:
    """The programs of one server."""

    server: Scratch
    emit: Callable[[Event], None]
    trouble: Trouble
    killed: bool = False
    """Whether the server is killed halfway."""
    _museum: list[tuple[Party, str]] = field(default_factory=list)
    _shared: World = field(init=False)

    def __post_init__(self) -> None:
        self._shared = World(self.server, self.emit)

    def run(self, drawn: Sequence[Draw]) -> None:
        """Run them all. What cannot be carried through is told as trouble."""
        try:
            if self.killed:
                middle = len(drawn) // 2
                self._part(drawn[:middle])
                self._shared.watch()
                self.server.kill_provider()
                self._museum = [(party, AFTER_RESTART) for party, _ in self._museum]
                self._shared.look_again()
                drawn = drawn[middle:]
            self._part(drawn)
            self._shared.end()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is no pass
            self.trouble("a block of programs", error)

    def _part(self, drawn: Sequence[Draw]) -> None:
        for draw in drawn:
            if draw.life:
                self._carried(draw, self._life)
        batched = [draw for draw in drawn if not draw.life]
        for start in range(0, len(batched), BATCH):
            self._batch(batched[start : start + BATCH])

    def _life(self, world: World, draw: Draw) -> Program:
        try:
            return run_life(world, draw.number, draw.seed, draw.strikes)
        finally:
            self.server.wire.calm()

    def _batch(self, drawn: Sequence[Draw]) -> None:
        stage = self._stage()
        for step in (Step(LEASE, "A"), Step(LEASE, "B")):
            stage.do(step)

        def in_batch(world: World, draw: Draw) -> Program:
            return run_in_batch(world, draw.number, draw.seed, stage)

        for draw in drawn:
            self._carried(draw, in_batch)
        stage.do(Step(MINT, "A"))
        dead = stage.parties["A"]
        stage.end()
        self._museum = [*self._museum, (dead, RELEASED)][-MUSEUM:]

    def _stage(self) -> Stage:
        """Return a stage on which the museum stands already, with the steps that made it."""
        stage = Stage(World(self.server, self.emit))
        restarted = False
        for number, (party, when) in enumerate(self._museum):
            name = f"dead {number + 1}"
            stage.parties[name], stage.times[name] = party, when
            stage.steps += [Step(LEASE, name), Step(MINT, name), Step(RELEASE, name)]
            restarted = restarted or when == AFTER_RESTART
        if restarted:
            stage.steps.append(Step(KILL_PROVIDER))
        return stage

    def _carried(self, draw: Draw, work: Callable[[World, Draw], Program]) -> None:
        world = replace(self._shared, found=[])
        try:
            self.emit(work(world, draw))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is no pass
            self.trouble(f"program {draw.number}", error)
