"""One life of a lease, with the service killed at each point of it in turn."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import pytest

from tests.stateful.installation import POOL_MAX, Installation
from tests.stateful.promises import empty_ledger
from warminfra.core.errors import StorageFull
from warminfra.core.models import Granted, LeaseRequest
from warminfra.core.states import TenantState
from warminfra.testing.fake_provider import SimulatedCrash

T = TypeVar("T")
REQUEST = LeaseRequest("app", "key-of-the-client", domain="a.example")


class PatientInstallation(Installation):
    """One whose loops go on after a step that failed, as those of the service do."""

    def step(self) -> bool:
        try:
            return super().step()
        except StorageFull:
            return True


def life(world: Installation) -> None:
    """Start, fill the pool, lease, renew, release, take down, refill."""
    granted = take(world)
    lease, handle = granted.lease.id, granted.handle.reveal()
    insist(lambda: world.manager.renew(lease, handle))
    insist(lambda: world.manager.release(lease, handle))
    world.settle()


def take(world: Installation) -> Granted:
    for _ in range(50):
        answer = insist(lambda: world.manager.acquire(REQUEST))
        if isinstance(answer, Granted):
            return answer
        world.step()
        world.clock.advance(1.0)
    raise AssertionError("no lease")


def insist(call: Callable[[], T]) -> T:
    """Ask again, as a client does, while the disk is full."""
    for _ in range(20):
        with suppress(StorageFull):
            return call()
    raise AssertionError("the disk stays full")


def points(folder: Path) -> list[str]:
    """Return the names of the points of an undisturbed life."""
    world = Installation(empty_ledger(), folder)
    before = len(world.faults.passed)
    life(world)
    world.ledger.close()
    return world.faults.passed[before:]


def test_a_crash_at_any_point_loses_and_leaves_nothing(tmp_path: Path) -> None:
    """Whatever the last thing was that the service did, the next start converges: the pool is
    full, no tenant is without a row, no row without a tenant, and the same key gets an answer."""
    (tmp_path / "whole").mkdir()
    total = len(points(tmp_path / "whole"))
    assert total > 40
    for point in range(1, total + 1):
        folder = tmp_path / str(point)
        folder.mkdir()
        world = Installation(empty_ledger(), folder)
        world.faults.arm(point)
        with pytest.raises(SimulatedCrash):
            life(world)
        world.restart()
        leased = world.ledger.leases.active()
        if leased and leased[0].domain:
            assert take(world).lease.id == leased[0].id, "the same key, another lease"
        world.clock.advance(100.0)
        world.settle()
        counts = world.ledger.tenants.counts()
        assert counts[TenantState.READY] == POOL_MAX, f"point {point}"
        assert counts[TenantState.CREATING] == counts[TenantState.LEASED] == 0, f"point {point}"
        assert set(world.server.realms) == world.live_rows(), f"point {point}"
        world.ledger.close()


@pytest.mark.parametrize("points_long", [1, 6])
def test_a_full_disk_at_any_point_loses_and_leaves_nothing(
    tmp_path: Path, points_long: int
) -> None:
    """The service lives on and whoever was refused asks again: once there is room, all is as if
    the disk had never been full."""
    (tmp_path / "whole").mkdir()
    for point, name in enumerate(points(tmp_path / "whole"), 1):
        if name != "ledger:before":
            continue
        folder = tmp_path / str(point)
        folder.mkdir()
        world = PatientInstallation(empty_ledger(), folder)
        world.faults.fill(point, points_long)
        life(world)
        world.clock.advance(100.0)
        world.settle()
        counts = world.ledger.tenants.counts()
        assert counts[TenantState.READY] == POOL_MAX, f"point {point}"
        assert counts[TenantState.CREATING] == counts[TenantState.LEASED] == 0, f"point {point}"
        assert set(world.server.realms) == world.live_rows(), f"point {point}"
        world.ledger.close()


def test_a_ledger_rebuilt_from_the_server_hands_nothing_out(tmp_path: Path) -> None:
    """Tenants that only the server knows get one grace period, then they are taken down."""
    world = Installation(empty_ledger(), tmp_path)
    take(world)
    world.settle()
    known = set(world.server.realms)
    (tmp_path / "again").mkdir()
    rebuilt = Installation(empty_ledger(), tmp_path / "again", seed=5)
    rebuilt.server, rebuilt.clock = world.server, world.clock
    rebuilt.restart()
    for _ in range(20):
        rebuilt.step()
        rebuilt.clock.advance(1.0)
    rebuilt.restart()
    for _ in range(20):
        rebuilt.step()
    assert rebuilt.live_rows() >= known
    assert known <= set(rebuilt.server.realms), "the grace period was not kept"
    rebuilt.clock.advance(31.0)
    rebuilt.settle()
    assert not known & set(rebuilt.server.realms)
    world.ledger.close()
    rebuilt.ledger.close()


def test_somebody_elses_tenants_are_never_touched(tmp_path: Path) -> None:
    """Two installations on one server: each sees and destroys its own alone."""
    world = Installation(empty_ledger(), tmp_path)
    world.settle()
    (tmp_path / "other").mkdir()
    other = Installation(empty_ledger(), tmp_path / "other", seed=99)
    other.ledger.close()
    other.id = type(other.id)("aaaabbbc")
    other.server, other.clock = world.server, world.clock
    other.restart()
    other.settle()
    mine = {tenant for tenant in world.server.realms if tenant.startswith("aaaabbbb-")}
    assert len(mine) == POOL_MAX
    assert len(world.server.realms) == 2 * POOL_MAX
    assert world.live_rows() == mine
    world.ledger.close()
    other.ledger.close()
