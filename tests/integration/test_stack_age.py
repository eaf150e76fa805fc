"""A stack is a lease's only if it was made after it, as finely as the engine tells; and one that
cannot be removed keeps no other from it."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from tests.stateful.installation import Installation
from warminfra.core.errors import Conflict
from warminfra.core.models import Granted, LeaseRequest
from warminfra.core.states import StackState
from warminfra.ledger.tables import stacks
from warminfra.testing.fake_stacks import FakeStacks


@pytest.mark.parametrize(("moment", "is_older"), [(0.25, True), (0.0, False)])
def test_a_moment_older_is_older(world: Installation, moment: float, is_older: bool) -> None:
    """In the same second, too; only an engine's time in whole seconds gets the benefit of doubt."""
    now = world.clock.wall()
    world.clock.advance(1.0 - now.microsecond / 1e6 + moment)
    world.swarm.deploy("run-3")
    world.clock.advance(0.5)
    granted = world.manager.acquire(LeaseRequest("app", "0123456789abcdef"))
    assert isinstance(granted, Granted)
    try:
        world.manager.attach(granted.lease.id, granted.handle.reveal(), "run-3")
        refused = False
    except Conflict:
        refused = True
    assert refused == is_older


def test_a_stack_that_cannot_be_removed_keeps_no_other(
    world: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever an engine raises, and however often it has: the others go, and it is tried again."""
    ended = []
    for name in ("run-1", "run-2"):
        granted = world.manager.acquire(LeaseRequest("app", f"0123456789{name}", stack=name))
        assert isinstance(granted, Granted)
        world.swarm.deploy(name)
        world.manager.release(granted.lease.id, granted.handle.reveal())
        ended.append(granted.lease.id)
    with world.ledger.database.write() as tx:
        tx.execute(update(stacks).where(stacks.c.lease == ended[0]).values(attempts=1100))
    real = FakeStacks.objects

    def objects(self: FakeStacks, stack: str) -> Any:
        if stack == "run-1":
            raise ValueError("an answer that nobody has thought of")
        return real(self, stack)

    monkeypatch.setattr(FakeStacks, "objects", objects)
    for _ in range(20):
        world.clock.advance(400.0)
        world.stacks.step()
    (stuck,) = world.ledger.stacks.of(ended[0])
    assert (stuck.state, stuck.attempts > 1100) == (StackState.REMOVING, True)
    assert "nobody has thought of" in stuck.reason
    (other,) = world.ledger.stacks.of(ended[1])
    assert other.state is StackState.GONE
