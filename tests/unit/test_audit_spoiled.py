"""A prover that is spoiled ends inconclusive, with the reason; the same one unspoiled approves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from isolation_checks.events import Event, Rehearsed
from isolation_checks.mutants.base import Mutant
from isolation_checks.spoiled import SPOILED, Rehearsal, Spoiled, rehearse
from tests.fake_scratch import FakeScratch


@contextmanager
def one_secret(server: Any) -> Iterator[None]:
    server.secret = "the same for all"
    try:
        yield
    finally:
        server.secret = ""


MUTANT = Mutant("M12", "one client secret for all", "X4", one_secret)


def rehearsal() -> Rehearsal:
    return Rehearsal(FakeScratch().as_scratch(), MUTANT)


def test_a_prover_as_it_is_approves_a_sound_system() -> None:
    """Else the nine below would prove nothing."""
    outcome = rehearsal().run()
    assert (outcome.outcome, outcome.reasons) == ("approve", ())


@pytest.mark.parametrize("spoiled", SPOILED, ids=lambda one: one.id)
def test_a_spoiled_prover_never_approves(spoiled: Spoiled) -> None:
    """P1–P9: whatever it has lost, it says so."""
    outcome = rehearsal().run(spoiled)
    assert outcome.outcome == "inconclusive"
    assert outcome.reasons


def test_a_rehearsal_of_all_says_whether_they_are_as_they_must_be() -> None:
    """The prover as it is first; then nine that are inconclusive, each told with its reason."""
    told: list[Event] = []
    assert rehearse(FakeScratch().as_scratch(), MUTANT, told.append)
    rehearsed = [one for one in told if isinstance(one, Rehearsed)]
    assert [one.outcome for one in rehearsed] == ["approve", *["inconclusive"] * 9]
    assert all(one.reason for one in rehearsed[1:])


def test_all_nine_are_there() -> None:
    """The list is that of the design."""
    assert [one.id for one in SPOILED] == [f"P{number}" for number in range(1, 10)]
