"""Which instances there are: replaced, parked, found again, and no more than are wanted."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

from tests.integration.test_manager import KEY, grant, grant_soon, held
from tests.stateful.installation import POOL_MAX, SETTINGS, TEMPLATE, Installation
from warminfra.core.errors import Unreachable
from warminfra.core.ids import InstanceId
from warminfra.core.models import Recipe, RunningInstance
from warminfra.core.ports import Provider
from warminfra.core.states import InstanceKind, InstanceState, TenantState


def test_an_instance_is_replaced_after_so_many_tenants(
    migrated_ledger: Path, tmp_path: Path
) -> None:
    """The successor is ready before the old one drains; that one goes when it is empty."""
    world = Installation(migrated_ledger, tmp_path)
    world.fleet.settings = replace(world.fleet.settings, replace_after=POOL_MAX + 1)
    for _ in range(3):
        world.step()
    granted = grant_soon(world, KEY)
    for _ in range(30):
        world.step()
    states = {row.id: row.state for row in world.ledger.instances.current()}
    old = granted.tenant.instance
    assert states.pop(old) is InstanceState.DRAINING
    assert InstanceState.READY in states.values()
    world.manager.release(*held(world))
    world.settle()
    assert old not in [row.id for row in world.ledger.instances.current()]
    world.ledger.close()


def test_the_least_loaded_instance_makes_the_next(migrated_ledger: Path, tmp_path: Path) -> None:
    """Of two warm instances each gets its share."""
    world = Installation(migrated_ledger, tmp_path, settings=replace(SETTINGS, warm=2))
    for _ in range(3):
        world.step()
    granted = [grant_soon(world, f"{KEY}{number}") for number in range(6)]
    loads = Counter(one.tenant.instance for one in granted)
    assert sorted(loads.values()) == [3, 3]
    world.ledger.close()


def test_a_warm_instance_is_parked_while_nobody_may_use_it(world: Installation) -> None:
    """Its process ends, its data stays; whoever may share finds it back. Somebody who needs the
    memory has it at once."""
    world.ledger.sharing.say("revert", "", "rev", "why", world.clock.wall())
    world.settle()
    (warm,) = (r for r in world.ledger.instances.current() if r.kind is InstanceKind.WARM)
    assert warm.state is InstanceState.READY, "not at once"
    world.clock.advance(SETTINGS.park_after)
    world.settle()
    assert world.ledger.instances.get(warm.id) == replace(
        warm, state=InstanceState.PARKED, note="stopped to save memory: nobody can use it now"
    )
    assert not world.server.up
    world.restart()
    world.settle()
    assert not world.server.up, "a new service starts it"
    world.ledger.sharing.lift(world.clock.wall())
    world.settle()
    assert world.server.up
    assert grant(world).tenant.instance == warm.id
    world.ledger.sharing.say("revert", "", "rev", "why", world.clock.wall())
    world.manager.release(*held(world))
    world.settle()
    requests = [f"{KEY} own {number}" for number in range(4)]
    for key in requests:
        grant_soon(world, key)
    assert not world.server.up, "four of one's own fit only without the warm one"


def test_a_server_that_the_ledger_does_not_know_is_taken_in(
    world: Installation, migrated_ledger: Path
) -> None:
    """A ledger that was lost: the server serves on, what lies on it has its grace period."""
    (known,) = world.ledger.instances.current()
    before = set(world.server.realms)
    assert before
    world.ledger.close()
    shutil.copy(migrated_ledger, world.path)
    world.restart()
    assert world.ledger.instances.current() == []
    world.ledger.recipes.enroll(
        Recipe("app", "/recipe", TEMPLATE.hash, {}, {}, 1, 1, world.clock.wall()), TEMPLATE
    )
    world.fleet.take_in(InstanceKind.WARM, [known.id])
    world.fleet.take_in(InstanceKind.WARM, [known.id])
    assert grant_soon(world, KEY).tenant.instance == known.id
    assert before <= set(world.server.realms), "the grace period was not kept"
    world.clock.advance(SETTINGS.grace)
    world.settle()
    assert not before & set(world.server.realms)
    assert [row.id for row in world.ledger.instances.current()] == [known.id]


def test_a_warm_instance_too_many_drains(migrated_ledger: Path, tmp_path: Path) -> None:
    """Two were wanted, now it is one: the other goes when its last tenant is gone."""
    world = Installation(migrated_ledger, tmp_path, settings=replace(SETTINGS, warm=2))
    for _ in range(3):
        world.step()
    leases = [grant_soon(world, f"{KEY}{number}") for number in range(2)]
    assert len({one.tenant.instance for one in leases}) == 2
    world.fleet.settings = SETTINGS
    world.fleet.tend()
    (drains,) = (
        row for row in world.ledger.instances.current() if row.state is InstanceState.DRAINING
    )
    world.settle()
    assert len(world.ledger.instances.current()) == 2
    (its,) = (one for one in leases if one.tenant.instance == drains.id)
    world.manager.release(its.lease.id, its.handle.reveal())
    world.settle()
    assert drains.id not in [row.id for row in world.ledger.instances.current()]
    world.ledger.close()


def test_a_lost_ledgers_servers_come_to_their_ends(migrated_ledger: Path, tmp_path: Path) -> None:
    """One of two warm ones stays; a dedicated one ends. What lay on them had its grace period."""
    world = Installation(migrated_ledger, tmp_path, settings=replace(SETTINGS, warm=2))
    world.settle()
    world.ledger.sharing.say("revert", "", "rev", "why", world.clock.wall())
    alone = grant_soon(world, KEY).tenant
    world.ledger.sharing.lift(world.clock.wall())
    world.settle()
    kinds = {row.id: row.kind for row in world.ledger.instances.current()}
    before = world.realms()
    assert Counter(kinds.values()) == {InstanceKind.WARM: 2, InstanceKind.DEDICATED: 1}
    world.ledger.close()
    shutil.copy(migrated_ledger, world.path)
    world.settings = SETTINGS
    world.restart()
    world.ledger.recipes.enroll(
        Recipe("app", "/recipe", TEMPLATE.hash, {}, {}, 1, 1, world.clock.wall()), TEMPLATE
    )
    for instance, kind in kinds.items():
        world.fleet.take_in(kind, [instance])
    for _ in range(20):
        world.step()
    assert before <= world.realms(), "the grace period was not kept"
    assert alone.id in world.realms()
    world.clock.advance(SETTINGS.grace)
    world.settle()
    assert not before & world.realms()
    (left,) = world.ledger.instances.current()
    assert kinds[left.id] is InstanceKind.WARM
    assert not world.ledger.tenants.in_states((TenantState.RETIRING,))
    world.ledger.close()


def test_a_dedicated_server_without_its_tenant_ends(world: Installation) -> None:
    """A lost ledger's that had none yet, or has none any more, is no spare."""
    found = InstanceId("kc-stranger")
    world.fleet.take_in(InstanceKind.DEDICATED, [found])
    world.settle()
    row = world.ledger.instances.get(found)
    assert row is not None
    assert row.state is InstanceState.STOPPED


def test_spares_too_many_end(migrated_ledger: Path, tmp_path: Path) -> None:
    """Fewer are wanted than before, or none can be leased any more."""
    for fewer in (replace(SETTINGS, spares=0), replace(SETTINGS, spares=1, no_dedicated="front")):
        folder = tmp_path / str(fewer.spares)
        folder.mkdir()
        world = Installation(migrated_ledger, folder, settings=replace(SETTINGS, spares=1))
        world.ledger.sharing.say("revert", "", "rev", "why", world.clock.wall())
        world.settle()
        assert InstanceKind.DEDICATED in [row.kind for row in world.ledger.instances.current()]
        world.settings = fewer
        world.restart()
        world.settle()
        assert InstanceKind.DEDICATED not in [row.kind for row in world.ledger.instances.current()]
        world.ledger.close()


def test_a_server_that_came_up_in_vain_is_parked_all_the_same(world: Installation) -> None:
    """Its process ran, the first look at it failed; then nobody may use it: it ends."""
    world.ledger.sharing.say("revert", "", "rev", "why", world.clock.wall())
    world.settle()
    world.clock.advance(SETTINGS.park_after)
    world.settle()
    assert not world.server.up
    world.ledger.sharing.lift(world.clock.wall())
    (worker,) = [one for one in world.fleet.workers.values() if one.kind is InstanceKind.WARM]
    real = worker.connect

    def fails(running: RunningInstance) -> Provider:
        raise Unreachable("it does not answer")

    worker.connect = fails
    world.fleet.tend()
    assert worker.step() == "start failed"
    assert world.server.up
    worker.connect = real
    world.ledger.sharing.say("revert", "", "rev", "why", world.clock.wall())
    world.clock.advance(SETTINGS.park_after)
    world.fleet.tend()
    world.clock.advance(SETTINGS.park_after)
    world.fleet.tend()
    assert worker.step() == "parked"
    assert not world.server.up
