"""A hunt for a planted fault ends with the first sight of it, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from isolation_checks.checks.base import Check
from isolation_checks.events import Event, Finding, Trouble
from isolation_checks.hunt import hunt
from isolation_checks.mutants.base import Mutant
from isolation_checks.stealth import ONE_IN_TEN, ROUNDS
from isolation_checks.world import World
from tests.fake_scratch import FakeScratch


@contextmanager
def leaky(server: Any) -> Iterator[None]:
    server.secret = "leaks"
    try:
        yield
    finally:
        server.secret = ""


MUTANT = Mutant("Z1", "a leak", "X4", leaky)


class _Looks:
    """Takes a lease, and reports what it is told to when the fault is there."""

    channels = ("X4", "X6")

    def __init__(self, name: str, report: Callable[[World], None] = lambda world: None) -> None:
        self.name, self._report = name, report
        self.runs = 0

    def run(self, world: World) -> None:
        self.runs += 1
        world.attempts += 2
        lease = world.scratch.lease()
        try:
            self._report(world)
        except Exception:  # noqa: BLE001 - as a check of anybody's may
            raise AssertionError("a check that catches everything caught the end") from None
        world.scratch.release(lease)


def sees(world: World) -> None:
    if world.scratch.lent[-1]["client"]["secret"] == "leaks":
        world.report(Finding("X4", "sees", "a witness", "detail"))


def sees_in_another_channel(world: World) -> None:
    world.report(Finding("X6", "other", "something else", "detail"))


def breaks(world: World) -> None:
    raise AssertionError("no control passed")


def _hunt(*checks: Check, **named: Any) -> tuple[FakeScratch, Any, list[Event]]:
    fake, told = FakeScratch(), []
    return fake, hunt(fake.as_scratch(), MUTANT, checks, told.append, **named), told


def test_the_first_finding_in_its_channel_ends_the_hunt() -> None:
    """Counted up to it; what comes after is not run, and the lease it was stopped with goes."""
    first, second = _Looks("sees", sees), _Looks("never run")
    fake, planted, told = _hunt(first, second)
    assert (planted.killed_by, planted.witness) == ("sees", "a witness")
    assert (planted.attempts, planted.rounds) == (2, 1)
    assert second.runs == 0
    assert fake.living == set()
    assert fake.secret == ""
    assert told == []


def test_a_finding_in_another_channel_or_of_the_stock_system_is_none_of_it() -> None:
    """Only what the fault adds, where it is said to show, kills it."""
    other, same = _Looks("other", sees_in_another_channel), _Looks("sees", sees)
    _, planted, _ = _hunt(other, same, stock={"X4:a witness"})
    assert planted.killed_by == ""
    assert planted.attempts == 4


def test_where_one_check_is_there_for_it_no_other_is_asked() -> None:
    """What comes with the fault, and shows elsewhere in its channel, is no sight of it."""
    beside, there_for_it = _Looks("beside", sees), _Looks("there for it")
    fake, told = FakeScratch(), list[Event]()
    mutant = replace(MUTANT, seen_by="there for it")
    planted = hunt(fake.as_scratch(), mutant, (beside, there_for_it), told.append)
    assert planted.killed_by == ""
    assert (beside.runs, there_for_it.runs) == (0, 1)


def test_a_check_that_breaks_has_seen_nothing_and_is_told() -> None:
    """Unless another one sees the fault."""
    _, planted, told = _hunt(_Looks("breaks", breaks))
    assert planted.killed_by == ""
    assert [event.where for event in told if isinstance(event, Trouble)] == ["mutant Z1"]
    _, planted, told = _hunt(_Looks("breaks", breaks), _Looks("sees", sees))
    assert planted.killed_by == "sees"
    assert told == []


def test_a_stealth_form_is_looked_for_again_and_again() -> None:
    """Up to the form's limit."""
    look = _Looks("sees nothing")
    _, planted, _ = _hunt(look, form=ONE_IN_TEN)
    assert look.runs == planted.rounds == ROUNDS[ONE_IN_TEN]
