"""A lease for which no tenant is ready: one is made for it, and none is lost on the way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.stateful.installation import POOL_MAX, SETTINGS, TEMPLATE, Installation
from warminfra.core.errors import ProviderRefused
from warminfra.core.models import Granted, LeaseRequest, Recipe, TenantPlan, Waiting
from warminfra.core.states import InstanceKind, InstanceState, TenantState
from warminfra.core.template import ClientSpec
from warminfra.leasing.dedicated import DedicatedWorker
from warminfra.leasing.demand import Demand
from warminfra.leasing.room import Room
from warminfra.leasing.warm import BACKLOG
from warminfra.testing.fake_provider import FakeServer

REQUEST = LeaseRequest("app", "0123456789abcdef")


def pool(world: Installation, size: int) -> None:
    recipe = world.ledger.recipes.get("app")
    assert recipe is not None
    world.ledger.recipes.enroll(replace(recipe, pool_min=size, pool_max=size), TEMPLATE)


def reservations(world: Installation) -> set[str]:
    return world.ledger.tenants.reserved()


def test_a_recipe_without_a_pool_gets_its_leases_on_demand(world: Installation) -> None:
    """With a pool of 0 the tenant made for a request stays until the request has it."""
    pool(world, 0)
    world.settle()
    assert isinstance(world.manager.acquire(REQUEST), Waiting)
    for _ in range(5):
        world.step()
    assert isinstance(world.manager.acquire(REQUEST), Granted)


def test_a_request_whose_tenant_was_lost_gets_another(world: Installation) -> None:
    """A server that dies with the tenant made for a request does not leave the request waiting."""
    pool(world, 0)
    world.settle()
    assert isinstance(world.manager.acquire(REQUEST), Waiting)
    world.step()
    (made,) = world.ledger.tenants.in_states((TenantState.READY,))
    world.ledger.tenants.retire(made.id, "lost by its server", world.clock.wall())
    for _ in range(5):
        world.step()
    assert isinstance(world.manager.acquire(REQUEST), Granted)


def test_a_request_served_otherwise_leaves_no_reserved_tenant(world: Installation) -> None:
    """What is made for a request that got a pooled tenant meanwhile serves anybody."""
    pool(world, 0)
    world.settle()
    assert isinstance(world.manager.acquire(REQUEST), Waiting)
    world.step()
    assert reservations(world)
    (made,) = world.ledger.tenants.in_states((TenantState.READY,))
    world.ledger.tenants.unreserve()  # as if it were the pool's
    assert world.demand.unserved(InstanceKind.WARM, reservations(world))
    world.step()  # another one is made for the request
    assert reservations(world)
    world.ledger.tenants.retire(made.id, "makes room", world.clock.wall())
    pool(world, POOL_MAX)
    assert isinstance(world.manager.acquire(REQUEST), Granted)
    world.settle()
    assert not reservations(world)
    assert world.ledger.tenants.counts()[TenantState.READY] == POOL_MAX


def test_nobody_overtakes(world: Installation) -> None:
    """A tenant that is free goes to whoever waits longest, although another asks first; over a
    restart of the service, too."""
    pool(world, 0)
    world.settle()
    first, second = REQUEST, replace(REQUEST, key="the key of who came second")
    for request in (first, second):
        assert isinstance(world.manager.acquire(request), Waiting)
    world.step()
    world.ledger.tenants.unreserve()
    assert world.ledger.tenants.counts()[TenantState.READY] == 1
    world.restart()
    row = world.ledger.instances.current()[0]
    world.ledger.instances.move(row.id, InstanceState.READY)  # adopted, and nothing else done yet
    waiting = world.manager.acquire(second)
    assert isinstance(waiting, Waiting)
    assert waiting.place == 2
    assert isinstance(world.manager.acquire(first), Granted)


def test_requests_without_end_do_not_starve_teardown(world: Installation) -> None:
    """While clients take and return leases without a pause, the teardowns keep up."""
    pool(world, 0)
    world.settle()
    served = [0, 0]
    for _ in range(200):
        for client in (0, 1):
            request = replace(REQUEST, key=f"client {client} lease {served[client]:06d}")
            outcome = world.manager.acquire(request)
            if isinstance(outcome, Granted):
                world.manager.release(outcome.lease.id, outcome.handle.reveal())
                served[client] += 1
        world.step()
        for worker in world.fleet.workers.values():
            while worker.eye and worker.eye.step():
                pass  # as soon as there is something to look for, as its thread does
        assert world.ledger.tenants.counts()[TenantState.RETIRING] <= BACKLOG + 2
    assert sum(served) > 5 * BACKLOG


def test_who_waits_is_told_what_the_server_refused(
    world: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tenant that cannot be made is no secret of the log."""
    pool(world, 0)
    world.settle()
    world.manager.acquire(REQUEST)
    monkeypatch.setattr(FakeServer, "create", refuse)
    world.step()
    waiting = world.manager.acquire(REQUEST)
    assert isinstance(waiting, Waiting)
    assert waiting.reason == "a tenant could not be made: no such flow"


def test_no_second_tenant_in_the_moment_of_the_grant(
    world: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between a lease's transaction and the end of its ticket nobody makes another tenant."""
    pool(world, 0)
    world.settle()
    assert isinstance(world.manager.acquire(REQUEST), Waiting)
    world.step()
    monkeypatch.setattr(Demand, "done", lambda self, key_hash: False)
    assert isinstance(world.manager.acquire(REQUEST), Granted)
    for _ in range(3):
        world.step()
    assert world.ledger.tenants.counts()[TenantState.LEASED] == 1
    assert world.ledger.instances.current()[0].made == POOL_MAX + 1


def refuse(server: FakeServer, plan: TenantPlan) -> None:
    raise ProviderRefused("no such flow")


def test_a_request_that_cannot_be_served_holds_nobody_up(
    world: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tenant that the server refuses is tried again later and later; who came after is served."""
    pool(world, 0)
    world.settle()
    create = FakeServer.create
    refusals: list[float] = []

    def refuse_first(server: FakeServer, plan: TenantPlan) -> None:
        if world.demand.unserved(InstanceKind.WARM, ())[0].claimed:
            refusals.append(server.clock.boot())
            raise ProviderRefused("no such flow")
        create(server, plan)

    monkeypatch.setattr(FakeServer, "create", refuse_first)
    assert isinstance(world.manager.acquire(REQUEST), Waiting)
    other = replace(REQUEST, key="the key of who came second")
    assert isinstance(world.manager.acquire(other), Waiting)
    for _ in range(30):
        world.step()
        world.manager.acquire(REQUEST)
        world.clock.advance(1.0)
        if isinstance(world.manager.acquire(other), Granted):
            break
    else:
        raise AssertionError("who came second waits for the first")
    assert len(refusals) <= 3


@pytest.fixture
def sparing(migrated_ledger: Path, tmp_path: Path) -> Iterator[Installation]:
    """An installation that shares nothing and keeps no spare; a request waits."""
    made = Installation(migrated_ledger, tmp_path, settings=replace(SETTINGS, spares=0))
    made.settle()
    made.ledger.sharing.say("revert", "", "rev", "why", made.clock.wall())
    assert isinstance(made.manager.acquire(REQUEST), Waiting)
    yield made
    made.ledger.close()


def own_server(world: Installation) -> DedicatedWorker | None:
    """Return the worker of a dedicated instance that is up and has no tenant yet."""
    for row in world.ledger.instances.current():
        worker = world.fleet.workers.get(row.id)
        if isinstance(worker, DedicatedWorker) and worker.server and not row.made:
            return worker
    return None


def served(world: Installation) -> bool:
    """Ask until there is a lease, and let everybody work."""
    for _ in range(60):
        if isinstance(world.manager.acquire(REQUEST), Granted):
            return True
        world.step()
    return False


def test_a_server_that_gets_its_tenant_while_the_fleet_counts_serves(sparing: Installation) -> None:
    """The fleet reads its instances, then who waits: a tenant made in between was wanted."""
    room = sparing.fleet.room
    met: list[str] = []

    class Slow(Room):
        """A count on a loaded machine: the worker gets on meanwhile."""

        def alone(self, recipes: Sequence[Recipe]) -> list[Recipe]:
            worker = own_server(sparing)
            if worker is not None:
                met.append(worker.step())
            return Room.alone(self, recipes)

    sparing.fleet.room = Slow(room.ledger, room.settings, room.demand, room.shared)
    assert served(sparing)
    assert met == ["made for a request"]


def test_a_tenant_made_on_a_server_that_was_drained_meanwhile_keeps_nobody(
    sparing: Installation,
) -> None:
    """It is retired, and the request gets another."""
    while (worker := own_server(sparing)) is None:
        sparing.step()
    assert worker.server is not None
    sparing.ledger.instances.move(worker.instance, InstanceState.DRAINING)
    assert worker._serve(worker.server) == "made for a request"
    assert served(sparing)
    sparing.settle()
    assert len(sparing.realms()) == 1 == len(sparing.live_rows())


def test_a_spare_stays_where_the_last_room_is_for_who_waits(
    migrated_ledger: Path, tmp_path: Path
) -> None:
    """The server that is begun for the request takes the memory; nobody waits for the spare's."""
    made = Installation(migrated_ledger, tmp_path, settings=replace(SETTINGS, memory=3))
    made.ledger.sharing.say("revert", "", "rev", "why", made.clock.wall())
    made.settle()
    (spare,) = made.fleet.room.spares()
    other = replace(TEMPLATE, recipe="other")
    recipe = Recipe("other", "/other", other.hash, {}, {}, 0, 0, made.clock.wall())
    made.ledger.recipes.enroll(recipe, other)
    assert isinstance(made.manager.acquire(replace(REQUEST, recipe="other")), Waiting)
    made.fleet.tend()
    assert made.fleet.room.lack(made.ledger.instances.current())
    assert [one.id for one in made.fleet.room.spares()] == [spare.id]
    made.ledger.close()


def test_a_request_for_a_server_of_ones_own_wakes_the_fleet(sparing: Installation) -> None:
    """Once, when it comes; not each time it asks again, and not where a warm instance serves."""
    bell = sparing.fleet.bell
    rings = bell.wait(-1, 0.0)
    assert isinstance(sparing.manager.acquire(REQUEST), Waiting)
    assert bell.wait(-1, 0.0) == rings, "it asks again"
    assert isinstance(sparing.manager.acquire(replace(REQUEST, key="another")), Waiting)
    assert bell.wait(-1, 0.0) == rings + 1
    sparing.ledger.sharing.lift(sparing.clock.wall())
    pool(sparing, 0)
    sparing.settle()
    rings = bell.wait(-1, 0.0)
    assert isinstance(sparing.manager.acquire(replace(REQUEST, key="a third")), Waiting)
    assert bell.wait(-1, 0.0) == rings, "a warm instance serves it"


def test_a_key_that_waited_for_another_recipe_waits_anew(world: Installation) -> None:
    """Given up while it waited, asked again for something else: what is made for it is that."""
    other = replace(TEMPLATE, client=ClientSpec(redirect_uris=("https://{domain}/other/*",)))
    recipe = Recipe("other", "/recipe", other.hash, {}, {}, 0, 0, world.clock.wall())
    world.ledger.recipes.enroll(recipe, other)
    for number in range(POOL_MAX):
        grant = world.manager.acquire(LeaseRequest("app", f"{number:016}"))
        assert isinstance(grant, Granted)
    assert isinstance(world.manager.acquire(LeaseRequest("app", "k" * 16)), Waiting)
    for _ in range(20):
        answer = world.manager.acquire(LeaseRequest("other", "k" * 16))
        if isinstance(answer, Granted):
            break
        world.step()
    assert isinstance(answer, Granted)
    assert answer.tenant.template_hash == other.hash
    world.settle()
    assert not reservations(world)
