"""A stack is a lease's only if it was made after it, as finely as the engine tells."""

from __future__ import annotations

import pytest

from tests.stateful.installation import Installation
from warminfra.core.errors import Conflict
from warminfra.core.models import Granted, LeaseRequest


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
