"""What Prometheus is told: every known state, at zero too, from the ledger as it is."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.stateful.installation import POOL_MAX, Installation
from warminfra.core.models import LeaseRequest
from warminfra.core.states import InstanceKind, InstanceState, LeaseState, TenantState
from warminfra.service.metrics import Metrics


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
    world.ledger.close()
