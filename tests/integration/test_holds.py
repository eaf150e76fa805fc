"""Holds on a real ledger: what is kept for a look, for how long, and within which budget."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.stateful.installation import POOL_MAX, Installation
from warminfra.core import errors
from warminfra.core.ids import mint_tenant_id
from warminfra.core.models import Granted, Lease, LeaseRequest, ProcessRef
from warminfra.core.states import LeaseState
from warminfra.leasing.holds import TENANT_MEMORY

KEY = "0123456789abcdef"
PROCESS = ProcessRef(4711, 1)


def grant(world: Installation, number: int = 0, stack: str = "") -> Granted:
    request = LeaseRequest("app", f"{KEY}{number}", bound_to=PROCESS, stack=stack)
    for _ in range(100):
        answer = world.manager.acquire(request)
        if isinstance(answer, Granted):
            return answer
        world.step()
    raise AssertionError("no lease")


def hold(world: Installation, granted: Granted, seconds: float) -> Lease:
    return world.manager.hold(granted.lease.id, granted.handle.reveal(), seconds)


def state(world: Installation, granted: Granted) -> LeaseState:
    row = world.ledger.leases.get(granted.lease.id)
    assert row is not None
    return row.state


def test_a_held_lease_outlives_its_process_and_ends_with_the_hold(world: Installation) -> None:
    """Neither the death of its process nor its ttl ends it; the end of its time does."""
    granted = grant(world)
    hold(world, granted, 300.0)
    world.processes.dead.add(PROCESS)
    world.clock.advance(299.0)
    assert world.reaper.step() == 0
    assert granted.lease.id in world.server.realms
    world.clock.advance(2.0)
    assert world.reaper.step() == 1
    ended = world.ledger.leases.get(granted.lease.id)
    assert ended is not None
    assert (ended.state, ended.end_reason) == (LeaseState.EXPIRED, "its hold is over")
    world.settle()
    assert granted.lease.id not in world.server.realms


def test_a_heartbeat_never_shortens_a_hold(world: Installation) -> None:
    """Who renews a held lease has it to the end of the hold, and beyond it only while renewing."""
    granted = grant(world)
    held = hold(world, granted, 300.0)
    handle = granted.handle.reveal()
    assert world.manager.renew(granted.lease.id, handle).expires_at == held.held_until
    world.clock.advance(290.0)
    renewed = world.manager.renew(granted.lease.id, handle)
    assert renewed.deadline == world.clock.boot() + renewed.ttl
    world.clock.advance(renewed.ttl + 1.0)
    assert world.reaper.step() == 1


def test_holds_survive_a_restart_of_the_service(world: Installation) -> None:
    """The hold's end stays where it was; no grace cuts or lengthens it."""
    granted = grant(world)
    deadline = hold(world, granted, 400.0).deadline
    world.processes.dead.add(PROCESS)
    world.restart()
    world.settle()
    kept = world.ledger.leases.get(granted.lease.id)
    assert kept is not None
    assert (kept.state, kept.deadline) == (LeaseState.ACTIVE, deadline)
    assert [lease.id for lease in world.manager.holds.held()] == [kept.id]


def test_holds_survive_a_reboot_in_wall_time(world: Installation) -> None:
    """A held lease is bound to no process that a reboot could have ended."""
    granted = grant(world)
    hold(world, granted, 500.0)
    world.clock.reboot(100.0)
    world.server.kill()
    world.restart()
    kept = world.ledger.leases.get(granted.lease.id)
    assert kept is not None
    assert kept.state is LeaseState.ACTIVE
    assert 0 < kept.deadline - world.clock.boot() <= 400.0


def test_the_number_of_holds_is_bounded_and_a_release_makes_room(world: Installation) -> None:
    """One more is refused with the names of those held; a hold that is prolonged is none more."""
    world.manager.settings = replace(world.manager.settings, hold_max=1)
    first, second = grant(world, 1), grant(world, 2)
    hold(world, first, 100.0)
    hold(world, first, 200.0)
    with pytest.raises(errors.NoCapacity, match=first.lease.id):
        hold(world, second, 100.0)
    assert state(world, second) is LeaseState.ACTIVE
    world.manager.release(first.lease.id, first.handle.reveal())
    hold(world, second, 100.0)


def test_the_memory_of_holds_is_bounded_stacks_included(world: Installation) -> None:
    """What the containers of its stack take counts; a refusal names both sides of the sum."""
    world.manager.settings = replace(world.manager.settings, hold_memory=600 << 20)
    first, second = grant(world, 1, "run-1"), grant(world, 2, "run-2")
    world.swarm.memory = {"run-1": 400 << 20, "run-2": 300 << 20}
    assert hold(world, first, 100.0).held_memory == (400 << 20) + TENANT_MEMORY
    with pytest.raises(errors.NoCapacity, match=r"302 MiB and the 402 MiB .* 600 MiB"):
        hold(world, second, 100.0)
    world.swarm.memory["run-2"] = 100 << 20
    hold(world, second, 100.0)


def test_a_hold_has_a_longest_time_and_needs_a_living_lease(world: Installation) -> None:
    """Too long is a wrong call, a lease that has ended is lost, another's handle opens nothing."""
    granted, handle = grant(world), "0" * 64
    with pytest.raises(errors.Usage, match="86400"):
        hold(world, granted, 90000.0)
    with pytest.raises(errors.WrongHandle):
        world.manager.hold(granted.lease.id, handle, 10.0)
    world.manager.release(granted.lease.id, granted.handle.reveal())
    with pytest.raises(errors.LeaseLost):
        hold(world, granted, 10.0)


def test_a_held_stack_stays_and_goes_with_the_hold(world: Installation) -> None:
    """The stack is kept as its tenant is, and both go in order afterwards."""
    granted = grant(world, stack="run-1")
    world.swarm.deploy("run-1")
    hold(world, granted, 100.0)
    world.processes.dead.add(PROCESS)
    world.settle()
    assert world.swarm.stacks["run-1"]
    world.clock.advance(101.0)
    world.settle()
    assert not world.swarm.stacks["run-1"]
    assert granted.lease.id not in world.server.realms


def test_the_runner_s_own_release_lets_a_held_lease_be(world: Installation) -> None:
    """What a person held during the run stays when the run gives its lease back."""
    granted = grant(world)
    handle = granted.handle.reveal()
    hold(world, granted, 100.0)
    world.manager.release(granted.lease.id, handle, unless_held=True)
    assert state(world, granted) is LeaseState.ACTIVE
    world.manager.release(granted.lease.id, handle)
    assert state(world, granted) is LeaseState.RELEASED


def test_holds_do_not_count_against_the_pool(world: Installation) -> None:
    """Others are served while something is held."""
    for number in range(POOL_MAX):
        hold(world, grant(world, number), 100.0)
    world.settle()
    assert state(world, grant(world, 99)) is LeaseState.ACTIVE


def test_an_admin_ends_a_hold_whose_handle_is_lost(world: Installation) -> None:
    """Its holder hears whose word it was; the tenant goes as any other; twice is fine."""
    granted = grant(world)
    hold(world, granted, 100.0)
    lease, _ = world.manager.revoke(granted.lease.id, "revoked by ops: its pipeline is gone")
    assert lease.state is LeaseState.REVOKED
    world.manager.revoke(granted.lease.id, "again")
    with pytest.raises(errors.LeaseLost, match="revoked by ops: its pipeline is gone"):
        world.manager.show(granted.lease.id, granted.handle.reveal())
    world.settle()
    assert granted.lease.id not in world.realms()
    with pytest.raises(errors.NotFound):
        world.manager.revoke(mint_tenant_id(world.id, world.entropy), "nobody's")
