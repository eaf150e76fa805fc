"""Who waits, when to ask again, and when a rush is over."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from testbed.installation import wait_until
from warminfra.core.states import InstanceKind
from warminfra.leasing.demand import LATEST, SOON, Demand, Ticket
from warminfra.leasing.settings import LONGEST_RUSH, TICKET_PATIENCE
from warminfra.ledger import Ledger
from warminfra.testing.clock import ManualClock

WARM, DEDICATED = InstanceKind.WARM, InstanceKind.DEDICATED

PAUSE = 0.0625


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def demand(clock: ManualClock, ledger: Ledger) -> Demand:
    return Demand(clock, ledger.tickets)


def claim(demand: Demand, kind: InstanceKind) -> Ticket:
    """Take the first ticket, as a worker does that makes its tenant."""
    ticket = demand.claim(kind, served=())
    assert ticket is not None
    return ticket


def await_listener(ticket: Ticket) -> None:
    """Wait until a question for it is held."""
    wait_until(lambda: ticket.listening, 10.0, "somebody who listens", poll=0.001)


def test_first_come_first_served(demand: Demand) -> None:
    """A place is kept while its client asks, and whoever has a tenant is not made another."""
    assert [demand.ask(key, "docs", WARM)[0] for key in ("a", "b", "a", "c")] == [1, 2, 1, 3]
    ticket = demand.claim(WARM, served={"a"})
    assert ticket is not None
    assert ticket.key_hash == "b"
    second = demand.claim(WARM, served={"a"})
    assert second is not None
    assert second.key_hash == "c", "what one worker serves no other one does"
    demand.unclaim(ticket)
    assert demand.claim(WARM, served={"a"}) is ticket
    assert demand.claim(DEDICATED, served=()) is None


def test_places_outlive_the_service(demand: Demand, ledger: Ledger, clock: ManualClock) -> None:
    """After a restart each has its old place, and its time anew to ask again; then it is lost."""
    for key in ("a", "b", "c"):
        demand.ask(key, "docs", WARM)
    demand.done("a")
    clock.advance(TICKET_PATIENCE * 2)
    restarted = Demand(clock, ledger.tickets)
    restarted.resume()
    assert restarted.ask("d", "docs", WARM)[0] == 3
    assert restarted.ask("c", "docs", WARM)[0] == 2
    assert restarted.ahead("d", "docs") == ["b", "c"]
    clock.advance(TICKET_PATIENCE / 2)
    restarted.ask("c", "docs", WARM)
    clock.advance(TICKET_PATIENCE * 0.75)
    assert restarted.alive() == {"c"}
    assert [row.key_hash for row in ledger.tickets] == ["c"]


def test_a_client_is_told_to_come_when_its_tenant_should_be_there(
    demand: Demand, clock: ManualClock
) -> None:
    """By the median of the last creates, times the place; later and later once it is overdue."""
    assert demand.ask("a", "docs", WARM)[1] == SOON, "nothing is known yet"
    for seconds in (0.25, 0.125, 5.0):
        demand.made(WARM, seconds)
    assert demand.ask("a", "docs", WARM)[1] == pytest.approx(0.25)
    assert demand.ask("b", "docs", WARM)[1] == pytest.approx(0.5)
    clock.advance(0.125)
    assert demand.ask("a", "docs", WARM)[1] == pytest.approx(0.125)
    clock.advance(0.125)
    assert demand.ask("a", "docs", WARM)[1] == pytest.approx(0.025)
    clock.advance(60)
    assert demand.ask("a", "docs", WARM)[1] == LATEST


def test_whose_turn_it_is_hears_of_its_tenant_at_once(demand: Demand) -> None:
    """The first in the queue, and whoever's tenant is being made, is held until it is."""
    for key in ("first", "second", "third"):
        demand.ask(key, "docs", DEDICATED)
    assert demand.listen("first", 0.01) == SOON, "nothing has come of it yet"
    assert demand.listen("second", 60) is None, "it is not next, and not held"
    claimed = [claim(demand, DEDICATED) for _ in range(2)]
    with ThreadPoolExecutor() as pool:
        held = [pool.submit(demand.listen, key, 60) for key in ("first", "second")]
        for ticket in claimed:
            await_listener(ticket)
        for ticket in claimed:
            demand.unclaim(ticket)
        assert [one.result(LATEST) for one in held] == [0, 0]


def test_a_tenant_made_before_anybody_listened_is_heard_of(demand: Demand) -> None:
    """Between the question and the wait for its answer, nothing is missed; trouble is news too."""
    demand.ask("a", "docs", WARM)
    for trouble in ("", "the server is busy"):
        demand.unclaim(claim(demand, WARM), trouble)
        assert demand.listen("a", 60) == 0


def test_a_withdrawn_request_hears_of_nothing(demand: Demand) -> None:
    """It is let go at once and told nothing; nor is who listens for it beside another."""
    demand.ask("a", "docs", WARM)
    ticket = claim(demand, WARM)
    with ThreadPoolExecutor() as pool:
        held = pool.submit(demand.listen, "a", 60)
        await_listener(ticket)
        assert demand.listen("a", 60) is None
        demand.done("a")
        assert held.result(LATEST) is None
    assert demand.listen("a", 60) is None


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
