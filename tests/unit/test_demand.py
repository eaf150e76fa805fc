"""Who waits, when to ask again, and when a rush is over."""

from __future__ import annotations

import pytest

from warminfra.leasing.demand import LATEST, SOON, Demand
from warminfra.leasing.settings import LONGEST_RUSH
from warminfra.testing.clock import ManualClock

PAUSE = 0.0625


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def demand(clock: ManualClock) -> Demand:
    return Demand(clock)


def test_first_come_first_served(demand: Demand) -> None:
    """A place is kept while its client asks, and whoever has a tenant is not made another."""
    assert [demand.ask(key, "docs")[0] for key in ("a", "b", "a", "c")] == [1, 2, 1, 3]
    ticket = demand.next(served={"a"})
    assert ticket is not None
    assert ticket.key_hash == "b"


def test_a_client_is_told_to_come_when_its_tenant_should_be_there(
    demand: Demand, clock: ManualClock
) -> None:
    """By the median of the last creates, times the place; later and later once it is overdue."""
    assert demand.ask("a", "docs")[1] == SOON, "nothing is known yet"
    for seconds in (0.25, 0.125, 5.0):
        demand.made(seconds)
    assert demand.ask("a", "docs")[1] == pytest.approx(0.25)
    assert demand.ask("b", "docs")[1] == pytest.approx(0.5)
    clock.advance(0.125)
    assert demand.ask("a", "docs")[1] == pytest.approx(0.125)
    clock.advance(0.125)
    assert demand.ask("a", "docs")[1] == pytest.approx(0.025)
    clock.advance(60)
    assert demand.ask("a", "docs")[1] == LATEST


def test_a_rush_ends_with_a_pause(demand: Demand, clock: ManualClock) -> None:
    """While leases follow one another there is a rush; after a pause there is none."""
    assert not demand.rush(PAUSE)
    assert demand.took(PAUSE), "the first one wakes whoever refills"
    assert not demand.took(PAUSE)
    assert demand.rush(PAUSE)
    clock.advance(PAUSE)
    assert not demand.rush(PAUSE)


def test_no_rush_is_endless(demand: Demand, clock: ManualClock) -> None:
    """Leases that never pause do not keep the pool from being refilled."""
    seconds = 0.0
    demand.took(PAUSE)
    while demand.rush(PAUSE):
        clock.advance(PAUSE / 2)
        seconds += PAUSE / 2
        demand.took(PAUSE)
    assert seconds == LONGEST_RUSH
    clock.advance(PAUSE)
    demand.took(PAUSE)
    assert demand.rush(PAUSE), "the next one begins anew"
