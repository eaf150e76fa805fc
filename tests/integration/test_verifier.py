"""The eye beside the hand: what was destroyed is looked for while the hand goes on."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, cast

import pytest

from tests.stateful.installation import Installation
from warminfra.core.errors import Unreachable
from warminfra.core.ids import TenantId
from warminfra.core.models import TenantRef
from warminfra.core.states import TenantState
from warminfra.leasing.server import Server
from warminfra.leasing.verifier import Verifier
from warminfra.leasing.warm import WarmWorker

PATIENCE = 30.0


class Watched:
    """A provider that counts destroys and can hold a look after it has seen what there is."""

    def __init__(self, real: Any) -> None:
        self.real = real
        self.destroyed: list[TenantId] = []
        self.looks = threading.Event()
        self.may_tell = threading.Event()
        self.may_tell.set()
        self.fails = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def destroy_tenant(self, ref: TenantRef) -> None:
        self.destroyed.append(ref.id)
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
        worker.server = Server(worker.server.running, cast(Any, self.provider))
        self.tenant = world.ledger.tenants.in_states((TenantState.READY,))[0].id
        world.ledger.tenants.retire(self.tenant, "test", world.clock.wall())

    @property
    def eye(self) -> Verifier:
        return self.worker.eye

    def state(self) -> TenantState:
        found = self.world.ledger.tenants.get(self.tenant)
        assert found is not None
        return found.state


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
    start = threading.Thread(target=hand.worker.step)
    start.start()
    start.join(1.0)  # it waits for the look; if it did not, it would be through by now
    hand.provider.may_tell.set()
    for thread in (look, start):
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert not (hand.state() is TenantState.GONE and hand.tenant in hand.world.realms())
