"""The verbs on a lease, on a real ledger: what a holder may rely on."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from tests.stateful.installation import POOL_MAX, TEMPLATE, Installation
from warminfra.core import errors
from warminfra.core.ids import TenantId, VerdictId, mint_tenant_id
from warminfra.core.models import Granted, LeaseRequest, ProcessRef, Recipe, Verdict, Waiting
from warminfra.core.secret import Secret
from warminfra.core.states import LeaseState, TenantState
from warminfra.core.template import ClientSpec
from warminfra.leasing.handle import handle_of
from warminfra.leasing.settings import QUARANTINE_AFTER, TICKET_PATIENCE
from warminfra.leasing.sharing import SharingPolicy
from warminfra.ledger.tables import tenants

KEY = "0123456789abcdef"


def grant(world: Installation, request: LeaseRequest | None = None) -> Granted:
    answer = world.manager.acquire(request or LeaseRequest("app", KEY))
    assert isinstance(answer, Granted)
    return answer


def grant_soon(world: Installation, key: str) -> Granted:
    """Ask until there is a lease, and let the workers work in between."""
    for _ in range(50):
        answer = world.manager.acquire(LeaseRequest("app", key))
        if isinstance(answer, Granted):
            return answer
        world.step()
    raise AssertionError(f"no lease: {answer.reason}")


def held(world: Installation) -> tuple[TenantId, str]:
    """Return id and handle of the only lease."""
    (lease,) = world.ledger.leases.active()
    return lease.id, handle_of(lease.id, world.manager.seal).reveal()


def test_the_same_key_is_the_same_lease(world: Installation) -> None:
    """A lost reply costs nothing: asking again gives the lease that is there, handle and all."""
    first, second = grant(world), grant(world)
    assert first.lease.id == second.lease.id
    assert first.handle == second.handle
    assert world.ledger.leases.counts()[LeaseState.ACTIVE] == 1


def test_a_key_belongs_to_one_recipe_and_dies_with_its_lease(world: Installation) -> None:
    """A key used for another recipe is a conflict; after the end it is a lost lease."""
    granted = grant(world)
    with pytest.raises(errors.Conflict):
        world.manager.acquire(LeaseRequest("other", KEY))
    world.manager.release(granted.lease.id, granted.handle.reveal())
    with pytest.raises(errors.LeaseLost):
        grant(world)


def test_release_is_final_and_twice_is_fine(world: Installation) -> None:
    """The holder hears the same twice; then nothing works with the lease but asking for it."""
    granted = grant(world)
    lease, handle = granted.lease.id, granted.handle.reveal()
    assert world.manager.release(lease, handle).state is LeaseState.RELEASED
    assert world.manager.release(lease, handle).state is LeaseState.RELEASED
    for verb in (world.manager.renew, world.manager.show):
        with pytest.raises(errors.LeaseLost):
            verb(lease, handle)
    world.settle()
    assert world.manager.whereabouts(lease, handle)[1].state is TenantState.GONE
    assert world.manager.whereabouts(lease, handle)[1].material is None, (
        "secrets outlive the tenant"
    )


def test_no_tenant_means_a_place_in_the_queue(world: Installation) -> None:
    """More requests than tenants: each gets its place, and then its own tenant."""
    requests = [LeaseRequest("app", f"{KEY}{number}") for number in range(POOL_MAX + 3)]
    places = [
        answer.place
        for answer in map(world.manager.acquire, requests)
        if isinstance(answer, Waiting)
    ]
    assert places == [1, 2, 3]
    while world.step():
        pass
    leases = {grant(world, request).lease.id for request in requests}
    assert len(leases) == len(requests)


def test_who_stops_asking_loses_the_place_not_the_tenant(world: Installation) -> None:
    """The tenant made for a client that went away serves the next one."""
    for number in range(POOL_MAX):
        grant(world, LeaseRequest("app", f"{KEY}{number}"))
    assert isinstance(world.manager.acquire(LeaseRequest("app", KEY + "gone")), Waiting)
    world.step()
    world.clock.advance(TICKET_PATIENCE + 1)
    world.step()
    assert world.demand.waiting() == 0
    grant(world, LeaseRequest("app", KEY + "next"))


def test_who_withdraws_leaves_the_queue_and_no_tenant_behind(world: Installation) -> None:
    """Whether it still waits, its tenant is ready, or its lease was granted in that moment."""
    recipe = world.ledger.recipes.get("app")
    assert recipe is not None
    world.ledger.recipes.enroll(replace(recipe, pool_min=0, pool_max=0), TEMPLATE)
    world.settle()
    for steps in range(4):
        key = f"{KEY}{steps}"
        answer = world.manager.acquire(LeaseRequest("app", key))
        for _ in range(steps):
            world.step()
        if steps == 3:
            answer = world.manager.acquire(LeaseRequest("app", key))
        assert isinstance(answer, Granted) == (steps == 3)
        world.manager.withdraw(key)
        world.manager.withdraw(key)
        assert world.demand.waiting() == 0
        world.settle()
        assert world.ledger.leases.active() == []
        assert world.realms() == set()


def test_wrong_requests_are_told_so(world: Installation) -> None:
    """A ttl over the maximum, an unknown recipe with the nearest name, a wrong handle."""
    with pytest.raises(errors.Usage, match="600"):
        world.manager.acquire(LeaseRequest("app", KEY, ttl=601))
    with pytest.raises(errors.NotFound) as unknown:
        world.manager.acquire(LeaseRequest("apq", KEY))
    assert "did you mean app?" in unknown.value.hint
    with pytest.raises(errors.WrongHandle):
        world.manager.release(grant(world).lease.id, "no")
    nobody = mint_tenant_id(world.id, world.entropy)
    handle = handle_of(nobody, world.manager.seal).reveal()
    with pytest.raises(errors.NotFound):
        world.manager.show(nobody, handle)


def test_a_domain_that_cannot_be_applied_leaves_no_lease(world: Installation) -> None:
    """Nothing is half done: the tenant is retired, and the same key may ask anew."""
    world.server.up = False
    with pytest.raises(errors.Unreachable):
        world.manager.acquire(LeaseRequest("app", KEY, domain="a.example"))
    assert world.ledger.leases.active() == []
    world.settle()
    assert grant(world, LeaseRequest("app", KEY, domain="a.example")).lease.domain == "a.example"


def test_a_lease_that_is_out_survives_a_request_for_it_that_fails(world: Installation) -> None:
    """Asked for again, with a domain or secrets that cannot be had now: its holder keeps it."""
    granted = grant(world)
    world.manager.attach(granted.lease.id, granted.handle.reveal(), "run-1")
    world.server.up = False
    with pytest.raises(errors.Unreachable):
        world.manager.acquire(LeaseRequest("app", KEY, domain="a.example"))
    again = grant(world)
    world.swarm.up = False
    with pytest.raises(errors.Unreachable):
        world.manager.hand_over(again, "run-1", {"run-1_oidc_v1": Secret("value")})
    handle = granted.handle.reveal()
    assert world.manager.show(granted.lease.id, handle).lease.state is LeaseState.ACTIVE


def test_secrets_that_cannot_be_made_leave_no_new_lease(world: Installation) -> None:
    """Nobody has it yet: the tenant is retired, and the same key may ask anew."""
    granted = grant(world, LeaseRequest("app", KEY, stack="run-1"))
    world.swarm.up = False
    with pytest.raises(errors.Unreachable):
        world.manager.hand_over(granted, "run-1", {"run-1_oidc_v1": Secret("value")})
    assert world.ledger.leases.active() == []


def test_one_key_asked_twice_at_once_is_one_lease(world: Installation) -> None:
    """Who finds nothing by the key may find that another took a lease with it meanwhile."""
    world.settle()
    both, by_key = threading.Barrier(2), world.ledger.leases.by_key

    def slowly(key_hash: str) -> Any:
        found = by_key(key_hash)
        both.wait(10.0)
        return found

    world.ledger.leases.by_key = slowly  # type: ignore[method-assign]
    request = LeaseRequest("app", KEY, stack="run-1")
    with ThreadPoolExecutor(2) as clients:
        asked = [clients.submit(world.manager.acquire, request) for _ in range(2)]
    first, second = (one.result() for one in asked)
    assert isinstance(first, Granted)
    assert isinstance(second, Granted)
    assert first.lease.id == second.lease.id
    assert sorted([first.fresh, second.fresh]) == [False, True]
    assert world.ledger.leases.counts()[LeaseState.ACTIVE] == 1


def test_a_full_disk_stops_new_leases_not_releases(world: Installation) -> None:
    """Below the reserve nothing new is taken on; what is there can be given back."""
    granted = grant(world)
    world.manager.settings = replace(world.manager.settings, disk_reserve=1 << 62)
    with pytest.raises(errors.StorageFull):
        world.manager.acquire(LeaseRequest("app", KEY + "2"))
    world.manager.release(granted.lease.id, granted.handle.reveal())


def test_the_default_policy_shares_nothing_without_a_verdict(world: Installation) -> None:
    """Under `proven` nothing is shared unproven: the same request gets a server of its own, and the
    pool is emptied; once approved it is filled again, and a lease names its verdict."""
    world.policy = SharingPolicy()
    world.restart()
    assert isinstance(world.manager.acquire(LeaseRequest("app", KEY + "own")), Waiting)
    while world.step():
        pass
    own = grant(world, LeaseRequest("app", KEY + "own"))
    assert own.lease.mode == "dedicated"
    assert "no audit has approved" in own.lease.mode_reason
    assert own.lease.id not in world.server.realms
    world.manager.release(own.lease.id, own.handle.reveal())
    world.settle()
    assert world.realms() == world.live_rows()
    assert not world.server.realms
    verdict = Verdict(
        VerdictId("v1"),
        "approve",
        "standard",
        "user",
        "fingerprint",
        frozenset(),
        (),
        world.clock.wall(),
    )
    world.ledger.sharing.record(verdict)
    world.ledger.sharing.say("approve", "v1", "rev", "", world.clock.wall())
    world.settle()
    assert grant(world).lease.verdict == "v1"


def test_a_revert_in_the_moment_of_a_lease_is_not_missed(world: Installation) -> None:
    """However a revert and a hundred requests interleave, none is shared after the revert."""
    after: list[Granted] = []
    said = threading.Event()

    def ask(number: int) -> None:
        late = said.is_set()
        answer = world.manager.acquire(LeaseRequest("app", f"{KEY}{number}"))
        if late and isinstance(answer, Granted) and answer.lease.mode == "shared":
            after.append(answer)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(100)]
    for number, thread in enumerate(threads):
        thread.start()
        if number == 50:
            world.ledger.sharing.say("revert", "", "rev", "why", world.clock.wall())
            said.set()
    for thread in threads:
        thread.join()
    assert after == []


def test_a_dead_process_ends_its_lease_at_the_next_look(world: Installation) -> None:
    """No deadline is waited for when the process that a lease is bound to has died."""
    process = ProcessRef(4711, 1)
    lease = grant(world, LeaseRequest("app", KEY, bound_to=process)).lease
    assert world.reaper.step() == 0
    world.processes.dead.add(process)
    assert world.reaper.step() == 1
    ended = world.ledger.leases.get(lease.id)
    assert ended is not None
    assert (ended.state, ended.end_reason) == (LeaseState.EXPIRED, "its process 4711 died")


def test_what_cannot_be_taken_down_goes_to_quarantine_and_comes_back(world: Installation) -> None:
    """Six failures are quarantine; the tries go on, ever slower, and one success is enough."""
    granted = grant(world)
    world.manager.release(granted.lease.id, granted.handle.reveal())
    world.server.stuck = True
    for _ in range(200):
        world.step()
        world.clock.advance(5.0)
    row = world.ledger.tenants.get(granted.lease.id)
    assert row is not None
    assert row.attempts >= QUARANTINE_AFTER
    assert row.attempts < 40, "the tries do not get slower"
    world.server.stuck = False
    world.ledger.tenants.hurry(granted.lease.id)
    world.settle()
    assert granted.lease.id not in world.server.realms


def test_a_failure_that_lasts_for_days_stops_nothing_else(world: Installation) -> None:
    """After a thousand tries of one teardown the pool is still filled, and leases still end."""
    stuck = grant(world)
    world.manager.release(stuck.lease.id, stuck.handle.reveal())
    world.server.stuck = True
    world.step()
    with world.ledger.database.write() as tx:
        tx.execute(update(tenants).where(tenants.c.id == stuck.lease.id).values(attempts=1100))
    for _ in range(50):
        world.clock.advance(400.0)
        world.step()
    row = world.ledger.tenants.get(stuck.lease.id)
    assert row is not None
    assert row.attempts > 1100
    assert world.ledger.tenants.counts()[TenantState.READY] == POOL_MAX


def test_what_waited_for_a_time_of_an_earlier_boot_waits_no_longer_than_from_now(
    world: Installation,
) -> None:
    """The boot clock begins at zero: a doubt written after weeks of uptime would last for weeks."""
    granted = grant(world)
    world.manager.release(granted.lease.id, granted.handle.reveal())
    with world.ledger.database.write() as tx:
        tx.execute(
            update(tenants)
            .where(tenants.c.id == granted.lease.id)
            .values(uncertain_until=1e7, next_attempt=1e7)
        )
    world.ledger.tenants.cap_waits(granted.tenant.instance, 100.0)
    row = world.ledger.tenants.get(granted.lease.id)
    assert row is not None
    assert row.uncertain_until == 100.0
    world.clock.advance(101.0)
    world.settle()
    assert granted.lease.id not in world.server.realms


def test_a_changed_recipe_gets_new_tenants(world: Installation) -> None:
    """Pooled tenants of yesterday's template are retired, never handed out."""
    changed = replace(TEMPLATE, client=ClientSpec(redirect_uris=("https://{domain}/new/*",)))
    recipe = Recipe("app", "/recipe", changed.hash, {}, {}, 1, 2, world.clock.wall())
    world.ledger.recipes.enroll(recipe, changed)
    assert isinstance(world.manager.acquire(LeaseRequest("app", KEY)), Waiting)
    world.settle()
    assert grant(world).tenant.template_hash == changed.hash


def test_a_reboot_ends_bound_leases_and_counts_the_others_in_wall_time(
    world: Installation,
) -> None:
    """The boot clock starts anew; what was bound to a process is over, the rest has its grace."""
    bound = grant(world, LeaseRequest("app", KEY, bound_to=ProcessRef(1, 1))).lease
    free = grant(world, LeaseRequest("app", KEY + "2")).lease
    world.clock.reboot(50.0)
    world.server.kill()
    world.restart()
    ended = world.ledger.leases.get(bound.id)
    assert ended is not None
    assert ended.state is LeaseState.REVOKED
    kept = world.ledger.leases.get(free.id)
    assert kept is not None
    assert kept.state is LeaseState.ACTIVE
    assert timedelta(0) < kept.expires_at - world.clock.wall() <= timedelta(seconds=30)
