"""A run's leases and its key: one lease a slot, and all of them ended by the same key."""

from __future__ import annotations

import pytest

from tests.stateful.installation import Installation
from warminfra.core import errors
from warminfra.core.models import Granted, LeaseRequest
from warminfra.core.states import LeaseState

KEY, OTHER_KEY = "0123456789abcdef", "fedcba9876543210"


def grant(world: Installation, run: str, slot: str = "", key: str = KEY, **more: str) -> Granted:
    for _ in range(100):
        answer = world.manager.acquire(LeaseRequest("app", key, run=run, slot=slot, **more))
        if isinstance(answer, Granted):
            return answer
        world.step()
    raise AssertionError("no lease")


def test_one_key_serves_each_slot_of_a_run(world: Installation) -> None:
    """Same key, run and slot: the same lease, after a restart of the service too. Another slot or
    run: another lease."""
    first = grant(world, "7", "a")
    world.restart()
    world.settle()
    assert grant(world, "7", "a").lease.id == first.lease.id
    others = {grant(world, "7", "b").lease.id, grant(world, "8", "a").lease.id}
    assert len({first.lease.id, *others}) == 3


def test_a_key_used_for_another_recipe_is_a_conflict(world: Installation) -> None:
    """79, and nothing is leased or ended by it."""
    grant(world, "7", "a")
    with pytest.raises(errors.Conflict, match="app"):
        world.manager.acquire(LeaseRequest("other", KEY, run="7", slot="a"))
    assert world.ledger.leases.counts()[LeaseState.ACTIVE] == 1


def test_a_run_is_released_by_its_key_and_nothing_else_is(world: Installation) -> None:
    """All slots of the run end, other runs of the same key and other keys of the run live on."""
    mine = [grant(world, "7", "a"), grant(world, "7", "b")]
    kept = [grant(world, "8", "a"), grant(world, "7", "a", OTHER_KEY)]
    ended = world.manager.runs.release("7", KEY)
    assert {lease.id for lease in ended} == {one.lease.id for one in mine}
    assert {lease.state for lease in ended} == {LeaseState.RELEASED}
    assert {lease.id for lease in world.ledger.leases.active()} == {one.lease.id for one in kept}
    again = world.manager.runs.release("7", KEY)
    assert [lease.id for lease in again] == [lease.id for lease in ended]


def test_a_wrong_key_ends_nothing(world: Installation) -> None:
    """77 for a run that has leases under other keys; a run without leases has nothing to end."""
    grant(world, "7", "a")
    with pytest.raises(errors.NotAllowed, match="'7'"):
        world.manager.runs.release("7", OTHER_KEY)
    assert world.ledger.leases.counts()[LeaseState.ACTIVE] == 1
    assert world.manager.runs.release("no such run", KEY) == []


def test_a_lease_may_have_a_key_of_its_own_beside_the_runs(world: Installation) -> None:
    """What draws a key for each request still ends with its run."""
    granted = grant(world, "7", key=OTHER_KEY, run_key=KEY)
    assert [lease.id for lease in world.manager.runs.release("7", KEY)] == [granted.lease.id]


def test_held_leases_of_a_run_stay_unless_they_are_meant(world: Installation) -> None:
    """The clean-up at the end of a pipeline does not take away what its failure left to look at."""
    held, other = grant(world, "7", "a"), grant(world, "7", "b")
    world.manager.hold(held.lease.id, held.handle.reveal(), 100.0)
    states = {lease.id: lease.state for lease in world.manager.runs.release("7", KEY)}
    assert states == {held.lease.id: LeaseState.ACTIVE, other.lease.id: LeaseState.RELEASED}
    ended = world.manager.runs.release("7", KEY, held=True)
    assert {lease.state for lease in ended} == {LeaseState.RELEASED}


def test_the_ledger_tells_no_key(world: Installation) -> None:
    """Neither the key nor its plain hash is in the ledger's file."""
    import hashlib

    granted = grant(world, "7", "a")
    row = world.ledger.leases.get(granted.lease.id)
    assert row is not None
    plain = hashlib.sha256(KEY.encode()).hexdigest()
    assert plain not in (row.key_hash, row.run_key)
    assert KEY.encode() not in world.path.read_bytes()
