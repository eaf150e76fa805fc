"""The lease machine holds under every drawn accident, and the test sees it when it does not."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.stateful.installation import Installation
from tests.stateful.machine import LeaseMachine
from warminfra.core.engine import StackKind, StackObject
from warminfra.core.errors import LeaseLost, OutcomeUnknown, WarminfraError
from warminfra.core.ids import TenantId, tenant_name
from warminfra.core.models import (
    Granted,
    LeaseRequest,
    OwnedStack,
    Tenant,
    TenantRef,
    Waiting,
)
from warminfra.core.states import InstanceState
from warminfra.leasing.dedicated import DedicatedWorker
from warminfra.leasing.handle import handle_of
from warminfra.leasing.manager import LeaseManager
from warminfra.leasing.server import Server
from warminfra.leasing.stacks import StackKeeper
from warminfra.leasing.teardown import Teardown
from warminfra.ledger import NotTaken
from warminfra.testing.fake_provider import FakeProvider

QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
PROVE = settings(
    max_examples=int(os.environ.get("WARMINFRA_TEST_EXAMPLES", "80")),
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=QUIET,
)
HUNT = settings(
    max_examples=400,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=QUIET,
    phases=[Phase.generate],
    database=None,
    derandomize=True,
)


def test_no_accident_breaks_a_promise() -> None:
    """Acquire, renew, release, time, kills, lost replies, late creates: no promise is broken."""
    run_state_machine_as_test(LeaseMachine, settings=PROVE)


def test_a_create_that_was_under_way_ends_with_its_server() -> None:
    """Found by the test above: a server taken for hung was stopped, its tenant was looked for on
    the next start, and the stand-in for a server applied the old one's create after that."""
    machine = LeaseMachine()
    machine.begin(seed=0, warm=True)
    machine.time_passes(70.0)
    machine.refill_arrives_late(3)
    machine.no_row_lies()
    machine.teardown()


class DoubleLease(LeaseManager):
    """Planted: a request that finds no ready tenant is given one that somebody has."""

    def _wait(self, request: LeaseRequest, key_hash: str, outcome: NotTaken) -> Granted | Waiting:  # type: ignore[override]
        waiting = super()._wait(request, key_hash, outcome)
        for lease in self.ledger.leases.active():
            tenant = self.ledger.tenants.get(lease.id)
            if tenant is not None and outcome.recipe is not None:
                handle = handle_of(lease.id, self.seal)
                return Granted(lease, tenant, outcome.recipe, handle)
        return waiting


class LostTeardown(Teardown):
    """Planted: an unknown outcome is taken for success."""

    def destroy(self, server: Server, tenant: Tenant) -> bool:
        try:
            server.provider.destroy_tenant(TenantRef(tenant.id, tenant_name(tenant.id)))
        except WarminfraError:
            return not self.ledger.tenants.gone(tenant.id, self.clock.wall())
        return True


class LongMemory(FakeProvider):
    """Planted: what was condemned stays so for good, though its server died and forgot it."""

    condemned: ClassVar[set[TenantId]] = set()

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._condemned = self.condemned


class LateCreate(Teardown):
    """Planted: a tenant that is not there is gone, although its create may be under way."""

    def verify(self, server: Server, tenant: Tenant) -> bool:
        return super().verify(server, replace(tenant, uncertain_until=0.0))


class AnyAge(StackKeeper):
    """Planted: a stack is the lease's, whenever it was made."""

    def adopt(self, lease: TenantId, name: str, since: datetime) -> OwnedStack:
        found = self.ledger.stacks.own(lease, name, datetime(2000, 1, 1, tzinfo=UTC))
        if found is None or found.lease != lease:
            raise LeaseLost("not ours")
        return found


class HalfGone(StackKeeper):
    """Planted: what was told to go is taken to be gone."""

    def _wait(self, stack: OwnedStack, left: list[StackObject]) -> None:
        self.ledger.stacks.gone(stack)

    def _take_down(self, stack: OwnedStack) -> list[StackObject]:
        for found in self.engine.objects(stack.name) if self.engine else []:
            if found.kind is StackKind.SERVICE and self.engine:
                self.engine.remove(found)
        return []


class LeftRunning(DedicatedWorker):
    """Planted: a dedicated server is called ended and left as it is."""

    def stop(self, *, discard: bool) -> None:
        if discard:
            self.ledger.tenants.gone_with(self.instance, self.clock.wall())
            for state in (
                InstanceState.DRAINING,
                InstanceState.STOPPING,
                InstanceState.STOPPED,
            ):
                self.ledger.instances.move(self.instance, state)


class Crowded(DedicatedWorker):
    """Planted: a dedicated server takes in whoever waits."""

    def _work(self, server: Server, state: InstanceState) -> str:
        return self._serve(server) or DedicatedWorker._work(self, server, state)


@pytest.mark.parametrize(
    ("part", "broken"),
    [
        ("manager_class", DoubleLease),
        ("teardown_class", LostTeardown),
        ("provider_class", LongMemory),
        ("teardown_class", LateCreate),
        ("stacks_class", AnyAge),
        ("stacks_class", HalfGone),
        ("dedicated_class", LeftRunning),
        ("dedicated_class", Crowded),
    ],
    ids=[
        "double lease",
        "lost teardown",
        "condemned for good",
        "late create",
        "stack of any age",
        "half a stack",
        "server left running",
        "two on a dedicated server",
    ],
)
def test_a_planted_fault_is_found(part: str, broken: type) -> None:
    """The test that finds nothing above is not blind: each planted fault breaks a promise."""
    world = type("BrokenInstallation", (Installation,), {part: broken})
    machine = type("BrokenMachine", (LeaseMachine,), {"installation_class": world})
    with pytest.raises((AssertionError, ExceptionGroup)):
        run_state_machine_as_test(machine, settings=HUNT)


def test_unknown_outcomes_are_a_kind_of_unreachable() -> None:
    """Whoever treats `Unreachable` as `nothing happened` must look at the narrower class first."""
    assert issubclass(OutcomeUnknown, WarminfraError)
