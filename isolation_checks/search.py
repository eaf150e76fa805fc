"""Searches for a program that crosses: a stateful machine of Hypothesis draws, and shrinks.

What it finds is told in steps of our own. It looks where the sampler does not: it may lease, mint,
release and kill in any order, with three leases at once. Nothing here counts for the bound.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from string import ascii_uppercase
from typing import TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)

from isolation_checks.events import Finding
from isolation_checks.sampler import places
from isolation_checks.stage import Stage
from isolation_checks.steps import LEASE, MINT, RELEASE, TRY, Step
from isolation_checks.world import World

AT_ONCE = 3
"""Most leases that live at the same time."""
STEPS = 12
"""Most steps of one example."""
_PICK = st.integers(0, 2**16 - 1)
"""Picks one of however many there are. Every draw has this one shape, and a rule draws all it needs
before it looks: an example that is repeated must draw alike, whatever the server yielded."""


_Option = TypeVar("_Option")


class Crossed(AssertionError):
    """An example crossed: for Hypothesis to shrink."""


class Enough(BaseException):
    """The time is over. No handler for errors may catch it."""


def search(
    new_world: Callable[[], World], examples: int, seed: int, seconds: float
) -> Finding | None:
    """Return the smallest program that was found to cross within the time, None if none did."""
    smallest: list[Finding] = []
    broke: list[Exception] = []
    late = False
    deadline = time.monotonic() + seconds

    class Machine(_Machine):
        def __init__(self) -> None:
            nonlocal late
            if time.monotonic() > deadline:
                late = True
                raise Enough
            super().__init__(new_world(), smallest, broke)

    limits = settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        print_blob=False,
        report_multiple_bugs=False,
    )
    with tempfile.TemporaryDirectory() as home, suppress(Enough):
        set_hypothesis_home_dir(home)  # else it keeps files where it is called
        try:
            run_state_machine_as_test(seeded(seed)(Machine), settings=limits)
        except Exception:
            # An example that the clock cut off is to Hypothesis one that drew unlike before.
            if not smallest and not late:
                raise
    if broke and not smallest:
        raise broke[0]
    return min(smallest, key=lambda found: len(found.steps), default=None)


class _Machine(RuleBasedStateMachine):
    """Three leases at once; each rule is one step, and possible in the present state."""

    def __init__(self, world: World, found: list[Finding], broke: list[Exception]) -> None:
        super().__init__()
        self.stage = Stage(world)
        self.found = found
        self.broke = broke

    @rule()
    @precondition(lambda self: len(self.stage.alive()) < AT_ONCE)
    def lease(self) -> None:
        self._do(Step(LEASE, ascii_uppercase[len(self.stage.parties)]))

    @rule(who=_PICK)
    @precondition(lambda self: self.stage.alive())
    def mint(self, who: int) -> None:
        self._do(Step(MINT, _picked(who, self.stage.alive())))

    @rule(who=_PICK)
    @precondition(lambda self: self.stage.alive())
    def release(self, who: int) -> None:
        self._do(Step(RELEASE, _picked(who, self.stage.alive())))

    @rule(who=_PICK, kind=_PICK, cell=_PICK, where=_PICK)
    @precondition(lambda self: any(step.do == MINT for step in self.stage.steps))
    def attack(self, who: int, kind: int, cell: int, where: int) -> None:
        holders = [name for name, party in self.stage.parties.items() if party.credentials]
        if not holders:
            return
        holder = _picked(who, holders)
        kinds = sorted({one.kind for one in self.stage.parties[holder].credentials})
        tried = _picked(cell, self.stage.world.scratch.surface.cells(_picked(kind, kinds)))
        own = [place for place in places(tried, self.stage.times[holder]) if place != "B"]
        others = [name for name in self.stage.alive() if name != holder and not tried.server_wide]
        self._do(Step(TRY, holder, tried, _picked(where, own + others)))

    def _do(self, step: Step) -> None:
        with self._told():
            self.stage.do(step)
        if self.stage.world.found:
            self.found.append(self.stage.world.found[0])
            raise Crossed(str(step))

    def teardown(self) -> None:
        with self._told():
            self.stage.end()
            self.stage.world.watch(self.stage.steps)
            self.stage.world.end()
        self.found.extend(self.stage.world.found)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Keep what goes wrong: Hypothesis may end with a complaint of its own instead."""
        try:
            yield
        except Exception as error:
            self.broke.append(error)
            raise


def _picked(pick: int, options: Sequence[_Option]) -> _Option:
    return options[pick % len(options)]
