"""A server that is called otherwise after a restart: what was made under its old name ends."""

from __future__ import annotations

import pytest

from tests.stateful.installation import Installation
from warminfra.core.errors import LeaseLost
from warminfra.core.models import Granted, LeaseRequest
from warminfra.core.states import TenantState

KEY = "0123456789abcdef"


def test_nobody_is_sent_to_an_address_that_is_no_more(world: Installation) -> None:
    """Ready tenants are replaced, leases under the old issuer are revoked, new ones have the new.

    Under the same name a restart ends nothing.
    """
    lease = world.manager.acquire(LeaseRequest("app", KEY))
    assert isinstance(lease, Granted)
    world.settle()
    world.server.up = False
    world.settle()
    assert world.manager.show(lease.lease.id, lease.handle.reveal())
    old = {tenant.id for tenant in world.ledger.tenants.in_states((TenantState.READY,))}
    world.server.up, world.server.url = False, "https://fake:8443"
    world.settle()
    with pytest.raises(LeaseLost, match="https://fake:8443"):
        world.manager.show(lease.lease.id, lease.handle.reveal())
    ready = world.ledger.tenants.in_states((TenantState.READY,))
    assert ready
    assert not {tenant.id for tenant in ready} & old
    assert all(t.facts and t.facts.issuer.startswith("https://fake:8443/") for t in ready)
