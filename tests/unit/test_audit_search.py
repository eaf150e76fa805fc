"""The search finds what needs a history, and tells the shortest program that shows it."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from types import SimpleNamespace
from typing import Any

import pytest

from isolation_checks.minimise import minimised
from isolation_checks.search import search
from isolation_checks.stage import Illegal, run_steps
from isolation_checks.steps import Step
from isolation_checks.world import World
from tests.fake_scratch import FakeScratch
from warminfra.core.audit import Cell, Credential, Reply


def after_two_lives(fake: FakeScratch, credential: Any, place: str) -> bool:
    """A dead lease's token works at any living one once three were made."""
    return fake.taken >= 3 and credential.tenant not in fake.living and place in fake.living


def test_a_leak_that_needs_a_history_is_found_and_shrunk() -> None:
    """Three leases, one minted and released, one try: no step more."""
    finding = search(
        lambda: World(FakeScratch(after_two_lives).as_scratch(), lambda _: None), 200, 1, 60.0
    )
    assert finding is not None

    def shows(steps: tuple[Step, ...]) -> bool:
        world = World(FakeScratch(after_two_lives).as_scratch(), lambda _: None)
        with suppress(Illegal):
            run_steps(world, steps)
        return finding.name in {one.name for one in world.found}

    steps = minimised(finding.steps, shows, 50)
    assert steps is not None
    assert sorted(step.do for step in steps) == [
        "lease", "lease", "lease", "mint", "release", "try",
    ]  # fmt: skip


def test_a_leak_that_is_there_only_once_is_told() -> None:
    """What cannot be repeated is a finding to be confirmed, not a fault of the search."""
    leaked: list[str] = []

    def once(fake: FakeScratch, credential: Any, place: str) -> bool:
        first = not leaked and place in fake.living
        leaked.extend([place] * first)
        return first

    finding = search(lambda: World(FakeScratch(once).as_scratch(), lambda _: None), 200, 1, 60.0)
    assert leaked
    assert finding is not None


def test_a_server_that_yields_now_this_now_that_does_not_break_it() -> None:
    """A repeated example may find other credentials and other cells than it found before."""

    class Fickle(FakeScratch):
        def mint(self, lease: Any) -> Sequence[Credential]:
            return [one for one in super().mint(lease) if one.one_shot or chance.random() < 0.5]

        def cells(self, kind: str) -> list[Cell]:
            return super().cells(kind)[: chance.randint(1, 2)]

    chance = random.Random(1)
    assert search(lambda: World(Fickle().as_scratch(), lambda _: None), 300, 1, 60.0) is None


def test_it_gives_back_the_bystanders_too() -> None:
    """A denial is compared with that at a lease that does nothing, which ends with its example."""
    made: list[FakeScratch] = []

    class Denies(FakeScratch):
        def attempt(self, cell: Cell, credential: Credential, target: Any) -> Reply:
            answer = super().attempt(cell, credential, target)
            denied = answer.status == 401 and credential.value.reveal() != "forged"
            return Reply(403, "not yours") if denied else answer

    def world() -> World:
        made.append(Denies())
        return World(made[-1].as_scratch(), lambda _: None)

    assert search(world, 60, 1, 60.0) is None
    assert max(fake.taken for fake in made) > 1
    assert all(not fake.living for fake in made)


def test_a_search_that_breaks_says_so() -> None:
    """Without a finding an error is an error."""

    def breaks(fake: FakeScratch, credential: Any, place: str) -> bool:
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        search(lambda: World(FakeScratch(breaks).as_scratch(), lambda _: None), 50, 1, 60.0)


def test_a_sound_system_yields_nothing_and_time_is_kept() -> None:
    """Nothing is found where nothing crosses; with no time left nothing is tried."""
    made: list[FakeScratch] = []

    def world() -> World:
        made.append(FakeScratch())
        return World(made[-1].as_scratch(), lambda _: None)

    assert search(world, 30, 1, 60.0) is None
    assert all(not fake.living for fake in made)
    count = len(made)
    assert search(world, 30, 1, 0.0) is None
    assert len(made) == count


@pytest.mark.parametrize("breaks", [False, True])
def test_time_that_is_over_in_the_middle_hides_nothing(
    monkeypatch: pytest.MonkeyPatch, breaks: bool
) -> None:
    """Examples have run when the time ends: that is no fault, what broke before stays one."""
    clock = itertools.count()
    ours = SimpleNamespace(monotonic=lambda: float(next(clock)))  # Hypothesis keeps its own
    monkeypatch.setattr("isolation_checks.search.time", ours)
    made: list[FakeScratch] = []

    def gone(fake: FakeScratch, credential: Any, place: str) -> bool:
        if breaks:
            raise ConnectionError("gone")
        return False

    def world() -> World:
        made.append(FakeScratch(gone))
        return World(made[-1].as_scratch(), lambda _: None)

    with pytest.raises(ConnectionError) if breaks else nullcontext():
        assert search(world, 300, 1, 20.0) is None
    assert len(made) == 20
