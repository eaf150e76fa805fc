"""Programs: drawn among what is legal, told in steps of our own, run again from those."""

from __future__ import annotations

from typing import Any

import pytest

from isolation_checks.blocks import Block, draws
from isolation_checks.events import CHANNELS, Event, Finding, Program, Tried
from isolation_checks.plan import PROFILES, blocks
from isolation_checks.sampler import run_life
from isolation_checks.stage import Illegal, Stage, run_steps
from isolation_checks.steps import (
    KILL_PROVIDER,
    LEASE,
    MINT,
    RELEASE,
    TRY,
    Step,
    from_json,
    needed_for,
    of_one_try,
    to_json,
)
from isolation_checks.world import World
from tests.fake_scratch import READ, FakeScratch


def at_a_living_neighbour(fake: FakeScratch, credential: Any, place: str) -> bool:
    """Tokens work everywhere where something lives."""
    return place in fake.living


def after_a_restart(fake: FakeScratch, credential: Any, place: str) -> bool:
    """A dead lease's credentials come back with the server."""
    return fake.restarts > 0 and credential.tenant not in fake.living


def of(fake: FakeScratch, *steps: Step) -> World:
    world = World(fake.as_scratch(), lambda _: None)
    run_steps(world, steps)
    return world


def test_a_program_that_crosses_is_found_with_the_steps_that_show_it() -> None:
    """The finding carries a program, and that program shows it again from its JSON."""
    events: list[Event] = []
    fake = FakeScratch(at_a_living_neighbour)
    world = World(fake.as_scratch(), events.append)
    programs = [run_life(world, number, seed=number) for number in range(1, 6)]
    assert any(program.crossed for program in programs)
    finding = next(event for event in events if isinstance(event, Finding))
    kept = from_json(to_json(finding.steps))
    assert kept == finding.steps
    again = of(FakeScratch(at_a_living_neighbour), *kept)
    assert finding.name in {found.name for found in again.found}


def test_a_sound_system_shows_nothing() -> None:
    """Five lives without a leak: no finding, and every lease is given back."""
    fake = FakeScratch()
    world = World(fake.as_scratch(), lambda _: None)
    programs = [run_life(world, number, seed=number) for number in range(1, 6)]
    assert not any(program.crossed for program in programs)
    assert (world.found, fake.living) == ([], set())


def test_the_same_seed_draws_the_same_program() -> None:
    """A program can be drawn again from its seed."""
    first, again = (
        run_life(World(FakeScratch().as_scratch(), lambda _: None), 1, seed=7) for _ in range(2)
    )
    assert first.steps == again.steps


def test_a_trace_is_cut_down_to_what_its_last_step_stands_on() -> None:
    """Other leases and earlier tries go; leases, their ends and kills stay."""
    steps = (
        Step(LEASE, "C"),
        Step(LEASE, "A"),
        Step(LEASE, "B"),
        Step(MINT, "A"),
        Step(TRY, "A", READ, "master"),
        Step(RELEASE, "A"),
        Step(KILL_PROVIDER),
        Step(TRY, "A", READ, "B"),
    )
    cut = needed_for(steps, 7)
    assert [step.do for step in cut] == [LEASE, LEASE, MINT, RELEASE, KILL_PROVIDER, TRY]
    assert of(FakeScratch(after_a_restart), *cut).found
    assert not of(FakeScratch(after_a_restart), *cut[:4], cut[5]).found


@pytest.mark.parametrize("when", ["alive", "released", "after restart"])
def test_the_shortest_program_of_a_try_can_be_run(when: str) -> None:
    """For each time there is a program that tries one cell at B, and it is legal."""
    assert of(FakeScratch(), *of_one_try(READ, "B", when)).attempts == 1


@pytest.mark.parametrize(
    "step",
    [
        Step(LEASE, "A"),
        Step(MINT, "B"),
        Step(TRY, "A", READ, "its own dead lease"),
        Step(TRY, "A", READ, "B"),
        Step(TRY, "A"),
    ],
)
def test_what_is_not_possible_now_is_said(step: Step) -> None:
    """A shrinker may cut anything out: what then makes no sense is illegal, not a crash."""
    stage = Stage(World(FakeScratch().as_scratch(), lambda _: None))
    stage.do(Step(LEASE, "A"))
    stage.do(Step(MINT, "A"))
    with pytest.raises(Illegal):
        stage.do(step)


def test_a_trace_with_an_unknown_step_is_refused() -> None:
    """A counterexample of another version is not run half."""
    with pytest.raises(ValueError, match="no such step: 'dance'"):
        from_json([{"do": "dance"}])


def test_a_block_tries_at_every_time_and_gives_everything_back() -> None:
    """With a kill halfway there are credentials alive, released, and older than the server."""
    events: list[Event] = []
    troubles: list[str] = []
    fake = FakeScratch()
    block = Block(
        fake.as_scratch(), events.append, lambda where, error: troubles.append(f"{where} {error}"),
        killed=True,
    )  # fmt: skip
    block.run(draws(60, 12, 6, seed=1))
    assert troubles == []
    assert {event.when for event in events if isinstance(event, Tried)} == {
        "alive",
        "released",
        "after restart",
    }
    assert fake.living == set()
    assert fake.restarts == 1
    programs = [event for event in events if isinstance(event, Program)]
    assert len(programs) == 60
    assert sum(program.kind == "life" for program in programs) == 12


def test_a_program_that_breaks_is_trouble() -> None:
    """A server that goes away in the middle: each program that it hits is told."""
    troubles: list[str] = []

    class Away(FakeScratch):
        def mint(self, lease: Any) -> Any:
            raise ConnectionError("gone")

    Block(Away().as_scratch(), lambda _: None, lambda where, _: troubles.append(where)).run(
        draws(3, 3, 0, seed=1)
    )
    assert troubles == ["program 1", "program 2", "program 3"]


def test_profiles_are_as_promised() -> None:
    """Standard: at least 300 programs, 60 of them lives; soak: at least 3000; all are planned."""
    standard, soak = PROFILES["standard"], PROFILES["soak"]
    assert standard.programs >= 300
    assert standard.lives >= 60
    assert soak.programs >= 3000
    assert standard.channels == soak.channels == set(CHANNELS)
    for profile in PROFILES.values():
        drawn = [draw for block in blocks(profile, 5) for draw in block]
        assert sorted(draw.number for draw in drawn) == list(range(1, profile.programs + 1))
        assert sum(draw.life for draw in drawn) == profile.lives
        assert sum(bool(draw.strikes) for draw in drawn) == profile.strikes
