"""Holds keep their promise under every drawn accident: no process, restart or heartbeat ends one
early, and no more is held than may be."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from tests.stateful.installation import SETTINGS
from tests.stateful.machine import LeaseMachine
from tests.stateful.test_lease_machine import PROVE
from warminfra.core.errors import LeaseLost, NoCapacity, Unreachable
from warminfra.core.ids import TenantId


class HoldMachine(LeaseMachine):
    """The lease machine with one rule more."""

    @rule(
        lease=LeaseMachine.leases,
        seconds=st.sampled_from([20.0, 300.0]),
        crash=st.integers(0, 4),
    )
    def hold(self, lease: TenantId, seconds: float, crash: int) -> None:
        """A lease is kept for a look: from then on no process ends it."""
        promise = self.promises[lease]

        def call() -> Any:
            try:
                return self.world.manager.hold(lease, promise.handle, seconds)
            except (LeaseLost, NoCapacity, Unreachable):
                return None

        held = self._survive(call, crash)
        row = self.world.ledger.leases.get(lease)
        if held is not None:
            promise.deadline, promise.process = held.deadline, None
        elif row is not None and row.held_until is not None:
            # Its answer was lost: the ledger knows until when.
            promise.deadline, promise.process = min(promise.deadline, row.deadline), row.bound_to
        assert len(self.world.manager.holds.held()) <= SETTINGS.hold_max, "more than may be held"


def test_no_accident_breaks_a_hold() -> None:
    """Held leases live until their time, whatever dies in between, and go after it."""
    run_state_machine_as_test(HoldMachine, settings=PROVE)
