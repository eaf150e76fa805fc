"""A server that no longer lets us in: what we have of it is dropped, and made anew if it can be."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.stateful.installation import SETTINGS, TEMPLATE, Installation
from warminfra.core.errors import IdentityRefused
from warminfra.core.ids import InstanceId
from warminfra.core.models import (
    FoundTenant,
    RunningInstance,
    ServerAccess,
    TenantFacts,
    TenantPlan,
)
from warminfra.core.ports import Progress
from warminfra.core.secret import Secret
from warminfra.core.states import InstanceKind
from warminfra.instances.external import ExternalLauncher
from warminfra.leasing.sharing import SharingPolicy
from warminfra.leasing.worker import Worker
from warminfra.testing.fake_provider import FakeLauncher, FakeProvider


class Gate:
    """Which secret of ours the server knows, and whether its admin makes us another."""

    def __init__(self) -> None:
        self.known = ""
        self.made = 0
        self.admin_is_good = True

    def renew(self) -> Secret:
        if not self.admin_is_good:
            raise IdentityRefused("the server does not let 'admin' in", hint="see keycloak.admin_…")
        self.made += 1
        self.known = f"secret-{self.made}"
        return Secret(self.known)


class Visitor(FakeProvider):
    """A provider that is let in only with the secret that the server knows."""

    gate: Gate
    secret: str

    def list_tenants(self) -> Sequence[FoundTenant]:
        self._enter()
        return super().list_tenants()

    def create_tenant(self, plan: TenantPlan) -> TenantFacts:
        self._enter()
        return super().create_tenant(plan)

    def health(self) -> None:
        self._enter()
        super().health()

    def _enter(self) -> None:
        if self.secret != self.gate.known:
            raise IdentityRefused("the server does not let 'maker' in (401 invalid_client)")


def admit(world: Installation, worker: Worker, gate: Gate) -> None:
    """Have the worker's server ask for the secret that comes with the access to it."""

    def connect(running: RunningInstance) -> Visitor:
        visitor = Visitor(world.server, world.id, world.faults)
        visitor.gate, visitor.secret = gate, running.access.identity["maker_secret"].reveal()
        return visitor

    worker.connect, worker.server = connect, None


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def worker(world: Installation, gate: Gate) -> Worker:
    """Who works on an external server that knows us."""

    def access() -> ServerAccess:
        return ServerAccess(world.server.url, {"maker_secret": gate.renew()})

    (worker,) = world.fleet.workers.values()
    worker.launcher = ExternalLauncher(world.server.url, access, lambda: None)
    admit(world, worker, gate)
    world.settle()
    assert gate.made == 1
    return worker


def state(world: Installation) -> tuple[str, str]:
    (row,) = world.ledger.instances.current()
    return row.state, row.note


def test_an_external_server_that_forgot_us_gets_to_know_us_again(
    world: Installation, gate: Gate, worker: Worker
) -> None:
    """As one does that was restored from a backup: the admin's credentials make us new ones."""
    gate.known = "of the backup"
    world.clock.advance(SETTINGS.health_every + 1)
    world.settle()
    assert gate.made == 2
    assert state(world) == ("ready", "")
    world.ledger.tenants.retire_where("used", world.clock.wall())
    world.settle()
    assert world.ledger.tenants.pooled(TEMPLATE.hash) > 0


def test_a_tenant_that_cannot_be_made_for_that_reason_shows_it_at_once(
    world: Installation, gate: Gate, worker: Worker
) -> None:
    """Whoever waits for it is not kept until the next look at the server's health."""
    gate.known = "of the backup"
    world.ledger.tenants.retire_where("used", world.clock.wall())
    for _ in range(20):
        world.step()
    assert gate.made == 2


def test_what_was_kept_of_a_server_is_not_tried_again(
    world: Installation, gate: Gate, worker: Worker
) -> None:
    """The first look at a server found again may be the one that is refused."""
    worker.server = None
    gate.known = "of the backup"
    world.settle()
    assert gate.made == 2
    assert state(world) == ("ready", "")


def test_without_a_good_admin_it_is_told_and_tried_at_growing_intervals(
    world: Installation, gate: Gate, worker: Worker
) -> None:
    """One line with what is wrong and the remedy; once the admin is let in all goes on."""
    gate.known, gate.admin_is_good = "of the backup", False
    world.clock.advance(SETTINGS.health_every + 1)
    world.step()
    pauses = []
    for _ in range(4):
        world.clock.advance(60.0)
        assert worker.step() == "start failed"
        assert worker.step() == ""
        told = state(world)
        assert told[0] == "unhealthy"
        assert "'admin'" in told[1]
        assert "see keycloak.admin_" in told[1]
        pauses.append(told[1].partition(" s: ")[0])
    assert pauses == [f"failed, next try in {seconds}" for seconds in (2, 4, 8, 16)]
    assert isinstance(worker.trouble, IdentityRefused)
    gate.admin_is_good = True
    world.clock.advance(60.0)
    world.settle()
    assert state(world) == ("ready", "")


class TakenOver(FakeLauncher):
    """One whose servers keep what they know of us in their data."""

    gate: Gate
    kept: Secret

    def start(self, instance: InstanceId, progress: Progress) -> RunningInstance:
        self.calls.append("start")
        if not self.kept.reveal():
            self.kept = self.gate.renew()
        return super().start(instance, progress)

    def stop(self, instance: InstanceId, *, discard: bool) -> None:
        self.calls.append("discard" if discard else "stop")
        self._server.kill()

    def renounce(self, instance: InstanceId) -> None:
        self.calls.append("renounce")
        self._server.kill()
        self.kept = Secret("")

    def _running(self, instance: InstanceId) -> RunningInstance:
        access = ServerAccess(self._server.url, {"maker_secret": self.kept})
        return RunningInstance(instance, access, str(self._server.incarnation))

    calls: list[str]


@pytest.fixture
def launcher(world: Installation, gate: Gate) -> TakenOver:
    """Who starts the warm server, which knows us."""
    (worker,) = world.fleet.workers.values()
    assert worker.kind is InstanceKind.WARM
    launcher = TakenOver(world.server)
    launcher.gate, launcher.kept, launcher.calls = gate, gate.renew(), []
    worker.launcher = launcher
    admit(world, worker, gate)
    world.settle()
    assert launcher.calls == []
    return launcher


def test_a_server_of_ours_that_lost_its_take_over_begins_anew(
    world: Installation, gate: Gate, launcher: TakenOver
) -> None:
    """Not before it was started twice more on the data that it has."""
    gate.known = "nobody"
    world.clock.advance(SETTINGS.health_every + 1)
    world.settle()
    assert launcher.calls == ["stop", "start", "stop", "start", "renounce", "start"]
    assert state(world) == ("ready", "")


@pytest.mark.parametrize("between", ["up", "silent"])
def test_a_server_of_ours_keeps_its_data_if_only_one_start_is_refused(
    world: Installation, gate: Gate, launcher: TakenOver, between: str
) -> None:
    """Another server may have answered in its place. Two starts with something else between them,
    a server that is up or one that does not answer, are not two in a row."""
    ours = launcher.kept
    for _ in range(2):
        gate.known = "another server's"
        world.server.kill()
        world.step()
        assert launcher.calls == ["start", "stop"]
        gate.known = ours.reveal()
        world.clock.advance(60.0)
        if between == "silent":
            world.server.hiccup = "list"
            world.step()
            assert world.server.hiccup == ""
            world.server.kill()
        else:
            world.settle()
            assert state(world) == ("ready", "")
        launcher.calls.clear()
        world.clock.advance(60.0)
    world.settle()
    assert "renounce" not in launcher.calls
    assert launcher.kept is ours
    assert state(world) == ("ready", "")


class HalfKnown(FakeProvider):
    """One whose server lets in who makes, but not who looks."""

    def health(self) -> None:
        raise IdentityRefused("the server does not let 'looker' in (401 invalid_client)")


def test_a_dedicated_server_that_refuses_one_of_two_identities_is_not_up(
    world: Installation,
) -> None:
    """It is told as one that does not start, and tried at growing intervals."""
    world.policy = SharingPolicy("never")
    world.restart()
    world.settle()
    (worker,) = (one for one in world.fleet.workers.values() if one.kind is InstanceKind.DEDICATED)
    assert worker.server is not None
    worker.connect = lambda _: HalfKnown(world.server_of(worker.instance), world.id, world.faults)
    worker.server, before = None, len(world.faults.passed)
    for _ in range(120):
        assert worker.step() in ("start failed", "")
        world.clock.advance(1.0)
    assert world.faults.passed[before:].count("start:before") <= 6
    assert isinstance(worker.trouble, IdentityRefused)
    row = world.ledger.instances.get(worker.instance)
    assert row is not None
    assert row.note.startswith("failed, next try in 60 s: the server does not let 'looker' in")
