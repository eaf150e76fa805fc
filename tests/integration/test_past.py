"""What ended long ago is forgotten, and nothing that anybody still needs."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import func, select, update

from tests.integration.test_manager import grant
from tests.stateful.installation import Installation
from warminfra.core.models import LeaseRequest
from warminfra.core.states import LeaseState, StackState, TenantState
from warminfra.ledger.past import forget
from warminfra.ledger.tables import instances, leases, stacks, templates, tenants


def rows(world: Installation) -> dict[str, int]:
    with world.ledger.database.read() as tx:
        return {
            table.name: tx.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (instances, leases, stacks, templates, tenants)
        }


def ended(world: Installation, key: str, stack: str = "") -> str:
    granted = grant(world, LeaseRequest("app", key, stack=stack))
    world.manager.release(granted.lease.id, granted.handle.reveal())
    world.settle()
    return granted.lease.id


def test_what_is_gone_is_forgotten_and_what_lives_is_not(world: Installation) -> None:
    """After its time; some at a time; with its lease and its stack. The pool and a lease stay."""
    world.settle()
    began = world.clock.wall()
    old = [ended(world, f"0123456789abcde{number}", f"run-{number}") for number in range(3)]
    middle = world.clock.wall() + timedelta(seconds=1)
    world.clock.advance(10.0)
    later = ended(world, "0123456789abcdef")
    living = grant(world, LeaseRequest("app", "fedcba9876543210"))
    world.settle()
    before = rows(world)
    assert forget(world.ledger.database, began) == 0
    assert rows(world) == before
    assert [forget(world.ledger.database, middle, at_once=2) for _ in range(3)] == [2, 1, 0]
    after = rows(world)
    assert {name: before[name] - after[name] for name in before} == {
        "instances": 0, "leases": 3, "stacks": 3, "templates": 0, "tenants": 3,
    }  # fmt: skip
    assert all(world.ledger.leases.get(one) is None for one in old)  # type: ignore[arg-type]
    assert world.ledger.leases.get(later) is not None  # type: ignore[arg-type]
    assert world.ledger.leases.counts()[LeaseState.ACTIVE] == 1
    assert world.manager.show(living.lease.id, living.handle.reveal()).lease == living.lease
    assert world.ledger.tenants.counts()[TenantState.READY] > 0


def test_a_stack_that_is_not_removed_yet_keeps_its_lease(world: Installation) -> None:
    """Else nobody would know that it is ours to remove."""
    lease = ended(world, "0123456789abcdef", "run-1")
    with world.ledger.database.write() as tx:
        tx.execute(update(stacks).values(state=StackState.REMOVING))
    world.ledger.forget(world.clock.wall() + timedelta(days=1))
    assert world.ledger.leases.get(lease) is not None  # type: ignore[arg-type]
