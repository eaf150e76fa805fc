"""The eye beside the hand: what was destroyed is looked for while the hand goes on, and what waits
for the hand is condemned."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.stateful.installation import Installation
from warminfra.config import load
from warminfra.core.errors import Unreachable
from warminfra.core.ids import InstanceId, TenantId
from warminfra.core.models import Tenant, TenantRef
from warminfra.core.states import InstanceKind, TenantState
from warminfra.leasing.server import Server
from warminfra.leasing.verifier import Verifier
from warminfra.leasing.warm import WarmWorker
from warminfra.service.composition import compose

PATIENCE = 30.0


class Watched:
    """A provider that counts destroys and can hold a call: a look once it has seen what there is,
    the others before they are made."""

    def __init__(self, real: Any) -> None:
        self.real = real
        self.destroyed: list[TenantId] = []
        self.looks = threading.Event()
        self.may_tell = threading.Event()
        self.may_tell.set()
        self.fails = False
        self.condemns = threading.Event()
        self.may_condemn = threading.Event()
        self.may_condemn.set()
        self.destroys = threading.Event()
        self.may_destroy = threading.Event()
        self.may_destroy.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def condemn(self, ref: TenantRef) -> None:
        self.condemns.set()
        assert self.may_condemn.wait(PATIENCE)
        if self.fails:
            raise Unreachable("no answer")
        self.real.condemn(ref)

    def destroy_tenant(self, ref: TenantRef) -> None:
        self.destroyed.append(ref.id)
        self.destroys.set()
        assert self.may_destroy.wait(PATIENCE)
        self.real.destroy_tenant(ref)

    def verify_gone(self, ref: TenantRef) -> Sequence[str]:
        if self.fails:
            raise Unreachable("no answer")
        found = cast(Sequence[str], self.real.verify_gone(ref))
        self.looks.set()
        assert self.may_tell.wait(PATIENCE)
        return found


class Hand:
    """The only worker of a settled installation, its eye, and one tenant that is to go."""

    def __init__(self, world: Installation) -> None:
        world.settle()
        (worker,) = world.fleet.workers.values()
        assert isinstance(worker, WarmWorker)
        assert worker.server is not None
        self.world, self.worker = world, worker
        self.provider = Watched(worker.server.provider)
        self.work_with(self.provider)
        self.tenant = self.retire()

    def work_with(self, provider: Any) -> None:
        """Put this provider in the place of the server's."""
        assert self.worker.server is not None
        self.worker.server = Server(self.worker.server.running, provider)

    def retire(self) -> TenantId:
        """Have a tenant of the pool taken down."""
        tenant = self.world.ledger.tenants.in_states((TenantState.READY,))[0].id
        assert self.world.ledger.tenants.retire(tenant, "test", self.world.clock.wall())
        return tenant

    @property
    def eye(self) -> Verifier:
        return self.worker.eye

    def row(self) -> Tenant:
        found = self.world.ledger.tenants.get(self.tenant)
        assert found is not None
        return found

    def state(self) -> TenantState:
        return self.row().state

    def shut(self, tenant: TenantId) -> bool:
        """Say whether the credentials of a tenant that is there are dead."""
        realm = self.world.realm(tenant)
        assert realm is not None
        return realm.shut

    def starts_anew_beside(self, eye: threading.Thread, may_go_on: threading.Event) -> None:
        """Let the hand bring its server up while the eye is held in a call; then let both end."""
        start = threading.Thread(target=self.worker.step)
        start.start()
        start.join(1.0)  # it waits for the eye; if it did not, it would be through by now
        may_go_on.set()
        for thread in (eye, start):
            thread.join(PATIENCE)
            assert not thread.is_alive()


@pytest.fixture
def hand(world: Installation) -> Hand:
    return Hand(world)


def test_the_hand_makes_the_next_while_the_last_is_looked_for(hand: Hand) -> None:
    """Nothing is destroyed twice, and nothing is gone before the look."""
    assert hand.worker.step() == "destroyed"
    assert hand.worker.step() == "refilled"
    assert hand.worker.step() != "destroyed"
    assert hand.provider.destroyed == [hand.tenant]
    assert hand.state() is TenantState.RETIRING
    assert hand.eye.step() == "torn down"
    assert hand.state() is TenantState.GONE
    assert hand.eye.step() == ""


def test_a_look_without_an_answer_is_a_teardown_put_off(hand: Hand) -> None:
    """The hand begins anew when its time has come."""
    hand.provider.fails = True
    assert hand.worker.step() == "destroyed"
    assert hand.eye.step() == "teardown put off"
    hand.provider.fails = False
    hand.world.clock.advance(60.0)
    assert hand.worker.step() == "destroyed"
    assert hand.eye.step() == "torn down"
    assert hand.provider.destroyed == [hand.tenant] * 2


def test_what_was_not_looked_for_on_a_server_that_died_is_destroyed_again(hand: Hand) -> None:
    """The server may have lost the delete that it acknowledged."""
    assert hand.worker.step() == "destroyed"
    hand.world.server.kill(lost_commits=1)
    assert hand.tenant in hand.world.realms()
    assert hand.worker.step() == "started"
    assert hand.eye.step() == ""
    hand.world.settle()
    assert hand.state() is TenantState.GONE
    assert hand.tenant not in hand.world.realms()


def test_a_look_at_a_server_that_dies_meanwhile_makes_no_row_lie(hand: Hand) -> None:
    """A look saw nothing, then the server died and lost the delete: what the look has to tell is
    told before the next start is reconciled."""
    assert hand.worker.step() == "destroyed"
    hand.provider.may_tell.clear()
    look = threading.Thread(target=hand.eye.step)
    look.start()
    assert hand.provider.looks.wait(PATIENCE)
    hand.world.server.kill(lost_commits=1)
    hand.starts_anew_beside(look, hand.provider.may_tell)
    assert not (hand.state() is TenantState.GONE and hand.tenant in hand.world.realms())


def test_credentials_die_while_the_hand_is_busy(hand: Hand) -> None:
    """A second tenant is condemned while the first is destroyed; that one the eye leaves alone."""
    second = hand.retire()
    hand.provider.may_destroy.clear()
    busy = threading.Thread(target=hand.worker.step)
    busy.start()
    assert hand.provider.destroys.wait(PATIENCE)
    assert hand.eye.step() == "condemned"
    assert hand.eye.step() == ""
    (first,) = hand.provider.destroyed
    condemned = {hand.tenant, second} - {first}
    assert [hand.shut(tenant) for tenant in (first, *condemned)] == [False, True]
    hand.provider.may_destroy.set()
    busy.join(PATIENCE)
    assert not busy.is_alive()
    hand.world.settle()
    assert not {hand.tenant, second} & hand.world.realms()


def test_the_hand_leaves_what_is_being_condemned(hand: Hand) -> None:
    """It makes another tenant meanwhile, is rung when the eye is through, and destroys then."""
    hand.provider.may_condemn.clear()
    eye = threading.Thread(target=hand.eye.step)
    eye.start()
    assert hand.provider.condemns.wait(PATIENCE)
    assert hand.worker.step() == "refilled"
    assert hand.provider.destroyed == []
    heard = hand.worker.bell.wait(-1, 0.0)
    hand.provider.may_condemn.set()
    assert hand.worker.bell.wait(heard, PATIENCE) > heard
    eye.join(PATIENCE)
    before = len(hand.world.faults.passed)
    assert hand.worker.step() == "destroyed"
    assert hand.provider.destroyed == [hand.tenant]
    assert "condemn:before" not in hand.world.faults.passed[before:]
    assert hand.eye.step() == "torn down"


def test_a_condemn_that_fails_costs_no_attempt(hand: Hand) -> None:
    """It is not tried again before the hand has had its turn, and the hand does all of it."""
    hand.provider.fails = True
    assert hand.eye.step() == "not condemned"
    assert hand.eye.step() == ""
    assert hand.row().attempts == 0
    hand.provider.fails = False
    assert hand.worker.step() == "destroyed"
    assert hand.eye.step() == "torn down"
    assert not hand.world.server.deleted_open


def test_a_teardown_that_was_put_off_is_condemned_anew(hand: Hand) -> None:
    """A condemn is good for one destroy."""
    assert hand.eye.step() == "condemned"
    hand.world.server.hiccup = "destroy:after"
    assert hand.worker.step() == "teardown put off"
    assert hand.eye.step() == ""
    hand.world.clock.advance(60.0)
    before = len(hand.world.faults.passed)
    assert hand.worker.step() == "destroyed"
    assert "condemn:before" in hand.world.faults.passed[before:]
    assert hand.eye.step() == "torn down"


def test_a_server_that_died_may_have_forgotten_a_condemn(hand: Hand) -> None:
    """On the next start the tenant is condemned anew before it is destroyed."""
    assert hand.eye.step() == "condemned"
    assert hand.shut(hand.tenant)
    hand.world.server.kill(lost_commits=1)
    assert not hand.shut(hand.tenant)
    assert hand.worker.step() == "started"
    assert hand.worker.step() == "destroyed"
    assert not hand.world.server.deleted_open
    assert hand.eye.step() == "torn down"


def test_a_condemn_under_way_ends_before_its_server_comes_again(hand: Hand) -> None:
    """What the eye does never meets the next start of its server."""
    hand.provider.may_condemn.clear()
    eye = threading.Thread(target=hand.eye.step)
    eye.start()
    assert hand.provider.condemns.wait(PATIENCE)
    hand.world.server.kill()
    hand.starts_anew_beside(eye, hand.provider.may_condemn)
    passed = hand.world.faults.passed
    assert passed.index("condemn:before") < len(passed) - passed[::-1].index("start:before")
    hand.world.settle()
    assert hand.state() is TenantState.GONE
    assert not hand.world.server.deleted_open


def test_a_provider_that_cannot_condemn_is_worked_as_ever(hand: Hand) -> None:
    """The eye looks, and does nothing else."""
    real = hand.provider.real
    methods = ("destroy_tenant", "verify_gone", "list_tenants", "health")
    hand.work_with(SimpleNamespace(**{name: getattr(real, name) for name in methods}))
    assert hand.eye.step() == ""
    assert hand.worker.step() == "destroyed"
    assert hand.eye.step() == "torn down"


def test_the_end_of_a_lease_wakes_hand_and_eye(tmp_path: Path) -> None:
    """In the service they hear one bell, which is rung by whoever ends a lease."""
    flags = {"service.state_dir": str(tmp_path), "reach.mode": "host"}
    parts = compose(load(flags=flags, environ={"HOME": str(tmp_path)}, cwd=tmp_path).settings)
    worker = parts.fleet.new_worker(InstanceId("kc-1"), InstanceKind.WARM)
    assert isinstance(worker, WarmWorker)
    assert worker.bell is worker.eye.bell is parts.manager.bell
    parts.ledger.close()
