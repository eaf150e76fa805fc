"""What Prometheus is told: every known state, at zero too, from the ledger as it is."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.stateful.installation import POOL_MAX, Installation
from warminfra.core.models import Granted, LeaseRequest
from warminfra.core.states import InstanceKind, InstanceState, LeaseState, TenantState
from warminfra.service.metrics import Metrics
from warminfra.service.views import quarantined_stacks


def scraped(world: Installation) -> dict[tuple[str, ...], float]:
    """Return name and label values → value."""
    parts: Any = SimpleNamespace(ledger=world.ledger, manager=world.manager)
    text = generate_latest(Metrics(parts).registry).decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_state_has_a_sample(migrated_ledger: Path, tmp_path: Path) -> None:
    """Counts are those of the ledger; what there is none of is zero, not absent."""
    world = Installation(migrated_ledger, tmp_path)
    world.settle()
    world.manager.acquire(LeaseRequest("app", "0123456789abcdef"))
    world.ledger.sharing.say("revert", "", "rev", "why", world.clock.wall())
    world.manager.acquire(LeaseRequest("app", "fedcba9876543210"))
    found = scraped(world)
    for kind in InstanceKind:
        for state in InstanceState:
            there = (kind, state) == (InstanceKind.WARM, InstanceState.READY)
            assert found["warminfra_instances", kind, state] == there
    assert found["warminfra_waiting_requests", InstanceKind.DEDICATED] == 1
    assert found["warminfra_waiting_requests", InstanceKind.WARM] == 0
    assert {state: found["warminfra_leases", state] for state in LeaseState} == {
        state: float(state is LeaseState.ACTIVE) for state in LeaseState
    }
    ready = found["warminfra_tenants", TenantState.READY]
    assert ready + found["warminfra_tenants", TenantState.LEASED] == POOL_MAX
    assert found["warminfra_tenants", TenantState.CREATING] == 0
    assert found["warminfra_quarantined_tenants",] == 0
    assert found["warminfra_quarantined_stacks",] == 0
    world.ledger.close()


def test_a_stack_that_cannot_be_removed_is_in_quarantine(
    migrated_ledger: Path, tmp_path: Path
) -> None:
    """After six failed tries it is told as such; the next try that works takes it out."""
    world = Installation(migrated_ledger, tmp_path)
    world.settle()
    granted = world.manager.acquire(LeaseRequest("app", "0123456789abcdef", stack="run-1"))
    assert isinstance(granted, Granted)
    world.swarm.deploy("run-1")
    world.manager.release(granted.lease.id, granted.handle.reveal())
    world.swarm.up = False
    parts: Any = SimpleNamespace(ledger=world.ledger, manager=world.manager)
    for _ in range(200):
        assert scraped(world)["warminfra_quarantined_stacks",] == len(quarantined_stacks(parts))
        if quarantined_stacks(parts):
            break
        world.step()
        world.clock.advance(5.0)
    (stuck,) = quarantined_stacks(parts)
    assert (stuck.name, stuck.lease, stuck.attempts) == ("run-1", granted.lease.id, 6)
    assert stuck.reason
    world.swarm.up = True
    assert world.ledger.stacks.hurry() == 1
    world.settle()
    assert quarantined_stacks(parts) == []
    world.ledger.close()
