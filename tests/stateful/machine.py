"""The lease machine against a reference ledger, with every accident drawn by Hypothesis.

The reference knows only what holders were told. After every step it must hold that no tenant was
granted twice, that a lease nobody ended lives until its deadline with its tenant on the server, and
that no row says `gone` of a tenant that exists.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
)

from tests.stateful.installation import FOREIGN, POOL_MAX, Installation
from warminfra.core.engine import StackKind
from warminfra.core.errors import Conflict, LeaseLost, SharingRefused, Unreachable, WrongHandle
from warminfra.core.ids import TenantId
from warminfra.core.models import Granted, LeaseRequest, ProcessRef, Waiting
from warminfra.core.secret import Secret
from warminfra.core.states import InstanceKind, LeaseState, StackState, TenantState
from warminfra.leasing.settings import QUARANTINE_AFTER
from warminfra.ledger import Ledger
from warminfra.testing.fake_provider import HICCUPS, SimulatedCrash

_SHM = Path("/dev/shm")  # noqa: S108 - only folders that tempfile makes are used in it
IN_MEMORY = _SHM if _SHM.is_dir() else None
"""Where ledgers are kept: they die with the service here, never with the machine."""

TEARDOWN_HICCUPS = [point for point in HICCUPS if point.startswith(("destroy", "verify"))]


@dataclass
class Promise:
    """What one holder was told, and what has happened to it since."""

    key: str
    handle: str
    secret: str
    deadline: float
    process: ProcessRef | None
    stack: str = ""
    ended: bool = False
    """Ended by its holder, its process' death, or an accident at the server that may end it."""


def empty_ledger() -> Path:
    """Return a migrated ledger to copy, made once."""
    global _EMPTY
    if _EMPTY is None:
        _EMPTY = Path(tempfile.mkdtemp(prefix="warminfra-test-")) / "empty.db"
        Ledger.open(_EMPTY).close()
    return _EMPTY


_EMPTY: Path | None = None


class LeaseMachine(RuleBasedStateMachine):
    """Rules are what clients, operators, time and bad luck do."""

    leases = Bundle("leases")
    installation_class: type[Installation] = Installation

    @initialize(seed=st.integers(0, 2**16), warm=st.booleans())
    def begin(self, seed: int, warm: bool) -> None:
        """Begin with nothing, or with a server that runs and a full pool."""
        self.folder = tempfile.TemporaryDirectory(prefix="warminfra-test-", dir=IN_MEMORY)
        self.world = self.installation_class(empty_ledger(), Path(self.folder.name), seed)
        self.promises: dict[TenantId, Promise] = {}
        self.keys = 0
        self.reverted = False
        if warm:
            self.world.settle()

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.converges()
        finally:
            self.world.ledger.close()
            self.folder.cleanup()

    # ------------------------------------------------------------ what clients do

    @rule(
        target=leases,
        bound=st.booleans(),
        domain=st.sampled_from(["", "a.example"]),
        stack=st.sampled_from(["", "", "run-1", "run-2"]),
        crash=st.integers(0, 12),
        asks=st.integers(1, 12),
        withdraws=st.booleans(),
    )
    def acquire(
        self, bound: bool, domain: str, stack: str, crash: int, asks: int, withdraws: bool
    ) -> TenantId | MultipleResults[TenantId]:
        """A client asks, again and again with the same key, whatever dies in between.

        In the end it gives up, with a word or without.
        """
        self.keys += 1
        process = ProcessRef(100 + self.keys, 1) if bound else None
        request = LeaseRequest(
            "app", f"key-{self.keys:016}", domain=domain, bound_to=process, stack=stack
        )
        for ask in range(asks):
            answer = self._survive(lambda: self._ask(request), crash if ask == 0 else 0)
            if isinstance(answer, Granted):
                shared = answer.lease.mode == "shared"
                assert not (shared and self.reverted), "a shared lease under a standing revert"
                return self._promised(answer, request)
            self._survive(self.world.step, 0)
        if withdraws:
            self._survive(lambda: self.world.manager.withdraw(request.key), crash)
        return multiple()

    @rule(lease=leases, crash=st.integers(0, 4))
    def renew(self, lease: TenantId, crash: int) -> None:
        """A heartbeat moves the deadline, or says that the lease is lost."""
        promise = self.promises[lease]
        alive = self._alive(promise)
        renewed = self._survive(
            lambda: self._or_lost(lambda: self.world.manager.renew(lease, promise.handle)), crash
        )
        if renewed is not None and not isinstance(renewed, LeaseLost):
            promise.deadline = renewed.deadline
        assert not (alive and isinstance(renewed, LeaseLost)), "a live lease was taken away"

    @rule(lease=leases, crash=st.integers(0, 4))
    def release(self, lease: TenantId, crash: int) -> None:
        """A release is final, however often it is said."""
        promise = self.promises[lease]
        promise.ended = True
        self._survive(lambda: self.world.manager.release(lease, promise.handle), crash)

    @rule(lease=leases, point=st.sampled_from(TEARDOWN_HICCUPS), steps=st.integers(1, 6))
    def teardown_has_no_answer(self, lease: TenantId, point: str, steps: int) -> None:
        """A lease is released, and a call of its teardown times out."""
        self.release(lease, 0)
        self.world.server.hiccup = point
        self.work(steps, 0)

    @rule(lease=leases)
    def steal(self, lease: TenantId) -> None:
        """Another handle opens nothing."""
        for verb in (self.world.manager.renew, self.world.manager.release):
            try:
                verb(lease, "0" * 64)
            except WrongHandle:
                continue
            raise AssertionError("a wrong handle was accepted")

    @rule(lease=leases)
    def process_dies(self, lease: TenantId) -> None:
        """The process that a lease is bound to is killed."""
        promise = self.promises[lease]
        if promise.process:
            promise.ended = True
            self.world.processes.dead.add(promise.process)

    @rule(lease=leases)
    def deploy(self, lease: TenantId) -> None:
        """The holder deploys its stack, and may be given secrets for it."""
        promise = self.promises[lease]
        if not promise.stack or not self._alive(promise):
            return
        if not self.world.swarm.stacks.get(promise.stack):
            self.world.swarm.deploy(promise.stack)

    @rule(lease=leases, name=st.sampled_from(["run-3", FOREIGN]), crash=st.integers(0, 6))
    def attach(self, lease: TenantId, name: str, crash: int) -> None:
        """A holder gives its lease another stack; never one that is older than the lease."""
        promise = self.promises[lease]
        world = self.world

        def call() -> Any:
            try:
                return world.manager.attach(lease, promise.handle, name)
            except (Conflict, LeaseLost, Unreachable):
                return None

        if self._survive(call, crash):
            assert name != FOREIGN, "a stack that is older than the lease was taken"
            if self._alive(promise):
                world.swarm.deploy(name)

    @rule(lease=leases, crash=st.integers(0, 6))
    def hand_over(self, lease: TenantId, crash: int) -> None:
        """Secrets are made for a stack that the lease owns."""
        promise = self.promises[lease]
        if not promise.stack:
            return

        def call() -> Any:
            try:
                secrets = {f"{promise.stack}_oidc_v1": Secret("value")}
                self.world.stacks.make_secrets(lease, promise.stack, secrets)
            except (LeaseLost, Unreachable):
                return None

        self._survive(call, crash)

    # ------------------------------------------------------------ what time and operators do

    @rule(steps=st.integers(1, 6), crash=st.integers(0, 20))
    def work(self, steps: int, crash: int) -> None:
        """The background makes progress, and may die anywhere in it."""

        def steps_of_work() -> None:
            for _ in range(steps):
                self.world.step()

        self._survive(steps_of_work, crash)

    @rule(seconds=st.sampled_from([0.5, 5.0, 31.0, 70.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.clock.advance(seconds)

    @rule()
    def revert(self) -> None:
        """A reviewer ends sharing."""
        self.world.ledger.sharing.say("revert", "", "rev", "why", self.world.clock.wall())
        self.reverted = True

    @rule()
    def lift(self) -> None:
        self.world.ledger.sharing.lift(self.world.clock.wall())
        self.reverted = False

    # ------------------------------------------------------------ what bad luck does

    @rule()
    def service_dies(self) -> None:
        self._restart()

    @rule(lost=st.integers(0, 3))
    def server_dies(self, lost: int) -> None:
        """Kill -9 of the server; commits that it acknowledged may be lost."""
        before = self.world.realms()
        self.world.server.kill(lost)
        self._excuse(before - self.world.realms())

    @rule(lost=st.integers(0, 3))
    def own_servers_die(self, lost: int) -> None:
        """The same for those that are one lease's own."""
        before = self.world.realms()
        for server in self.world.own.values():
            server.kill(lost)
        self._excuse(before - self.world.realms())

    @rule()
    def machine_reboots(self) -> None:
        for server in (self.world.server, *self.world.own.values()):
            server.kill()
        self.world.clock.reboot(60.0)
        for promise in self.promises.values():
            promise.ended = True  # bound ones are revoked, the others' time is wall time now
        self._restart()

    @rule()
    def reply_is_lost(self) -> None:
        """The next create is taken by the server, but its answer never comes."""
        self.world.server.lose_next_reply = True

    @rule(point=st.sampled_from(HICCUPS))
    def call_has_no_answer(self, point: str) -> None:
        """The next call of that kind times out, before or after it took effect."""
        self.world.server.hiccup = point

    @rule(up=st.booleans())
    def engine_comes_and_goes(self, up: bool) -> None:
        self.world.swarm.up = up

    @rule()
    def create_arrives_late(self) -> None:
        self.world.server.arrive_late()

    @rule(steps=st.integers(2, 8))
    def refill_arrives_late(self, steps: int) -> None:
        """A lease is taken; the create that fills its place is answered to nobody, done late."""
        self._run_asks()
        self.reply_is_lost()
        self.work(steps, 0)
        self.create_arrives_late()

    @rule(steps=st.integers(4, 12))
    def two_want_servers_of_their_own(self, steps: int) -> None:
        """Nobody may share, and two ask at once."""
        self.revert()
        for _ in range(2):
            self._run_asks()
        self.work(steps, 0)

    @rule(stack=st.sampled_from(["run-1", "run-2"]), steps=st.integers(1, 8))
    def a_run_with_a_stack(self, stack: str, steps: int) -> None:
        """A whole run: a lease, its stack, and somebody else's that it asks for; then its end."""
        lease = self._run_asks(stack, asks=4)
        if isinstance(lease, MultipleResults):
            return
        self.deploy(lease)
        self.attach(lease, FOREIGN, 0)
        self.release(lease, 0)
        self.work(steps, 0)

    # ------------------------------------------------------------ what must always hold

    @invariant()
    def no_row_lies(self) -> None:
        """A tenant that the ledger calls gone does not exist, while its server has not lost
        commits that nobody reconciled yet."""
        if not hasattr(self, "world"):
            return
        gone = {tenant.id for tenant in self.world.ledger.tenants.in_states((TenantState.GONE,))}
        if self._reconciled():
            there = gone & set(self.world.server.realms)
            assert not there, "gone in the ledger, alive at the server"
        for server in self.world.own.values():
            assert not gone & set(server.realms), "gone in the ledger, alive at its own server"

    @invariant()
    def a_server_of_ones_own_has_one_tenant(self) -> None:
        """No lease is served by another kind of instance than it was told, nobody is beside it."""
        if not hasattr(self, "world"):
            return
        for server in self.world.own.values():
            assert len(server.realms) <= 1, "two tenants on a dedicated server"
        for lease in self.world.ledger.leases.active():
            tenant = self.world.ledger.tenants.get(lease.id)
            assert tenant is not None
            own = self.world.kinds.get(tenant.instance) is InstanceKind.DEDICATED
            assert own == (lease.mode == "dedicated"), f"{lease.mode} on the other kind"

    @invariant()
    def stacks_go_first_and_only_ours(self) -> None:
        """What is not ours stays whole; no stack is called gone that is there; a tenant goes only
        after its stack, or when that could not be removed again and again."""
        if not hasattr(self, "world"):
            return
        world = self.world
        assert len(world.swarm.stacks[FOREIGN]) == len(StackKind), "somebody else's stack"
        removing = world.ledger.stacks.in_state(StackState.REMOVING)
        standing = {stack.name for stack in removing}
        standing |= {stack.name for stack in world.ledger.stacks.in_state(StackState.OWNED)}
        there = {name for name, objects in world.swarm.stacks.items() if objects}
        assert there <= standing | {FOREIGN}, "gone in the ledger, there in the swarm"
        for stack in removing:
            tenant = world.ledger.tenants.get(stack.lease)
            assert tenant is not None
            if tenant.state is TenantState.GONE:
                assert stack.attempts >= QUARANTINE_AFTER, "the tenant went before its stack"

    @invariant()
    def live_leases_have_their_tenant(self) -> None:
        """Nobody's tenant is taken down under a lease that nobody ended."""
        if not hasattr(self, "world"):
            return
        for lease, promise in self.promises.items():
            if self._alive(promise):
                row = self.world.ledger.leases.get(lease)
                assert row is not None
                assert row.state is LeaseState.ACTIVE, f"ended early: {row.end_reason}"
                assert lease in self.world.realms(), "its tenant is gone"

    def converges(self) -> None:
        """After the last accident everything comes to rest and to agreement."""
        world = self.world
        self._restart()
        world.server.arrive_late()
        world.server.hiccup = ""
        world.swarm.up = True
        self.lift()
        world.clock.advance(700.0)
        world.settle()
        assert world.ledger.leases.active() == []
        assert world.realms() == world.live_rows()
        assert world.ledger.tenants.counts()[TenantState.READY] == POOL_MAX
        assert world.demand.waiting() == 0
        assert [name for name, objects in world.swarm.stacks.items() if objects] == [FOREIGN]

    # ------------------------------------------------------------ helpers

    def _run_asks(self, stack: str = "", asks: int = 1) -> TenantId | MultipleResults[TenantId]:
        return self.acquire(
            bound=False, domain="", stack=stack, crash=0, asks=asks, withdraws=False
        )

    def _ask(self, request: LeaseRequest) -> Granted | Waiting | None:
        try:
            return self.world.manager.acquire(request)
        except SharingRefused as refused:
            raise AssertionError("there is room for a server of one's own") from refused
        except (Unreachable, LeaseLost):
            pass
        except Conflict:
            assert request.stack, "only a stack can be in the way"
        return None

    def _or_lost(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except LeaseLost as lost:
            return lost

    def _promised(self, granted: Granted, request: LeaseRequest) -> TenantId:
        lease = granted.lease
        material = granted.tenant.material
        assert material is not None
        assert lease.id not in self.promises, "one tenant for two leases"
        for other in self.promises.values():
            assert material.client_secret != other.secret, "one secret for two leases"
        if request.domain:
            realm = self.world.realm(lease.id)
            if realm is not None:
                assert realm.redirect_uris == (f"https://{request.domain}/*",)
        promise = Promise(
            request.key,
            granted.handle.reveal(),
            material.client_secret,
            lease.deadline,
            request.bound_to,
            request.stack,
        )
        self.promises[lease.id] = promise
        if lease.id not in self.world.realms():
            promise.ended = True  # lost by the server a moment ago; reconciliation revokes it
        return lease.id

    def _alive(self, promise: Promise) -> bool:
        return not promise.ended and promise.deadline >= self.world.clock.boot()

    def _reconciled(self) -> bool:
        workers = self.world.fleet.workers.values()
        return self.world.server.up and any(
            worker.server is not None
            and worker.server.running.incarnation == str(self.world.server.incarnation)
            for worker in workers
        )

    def _excuse(self, lost: set[TenantId]) -> None:
        for lease in lost:
            if lease in self.promises:
                self.promises[lease].ended = True

    def _survive(self, action: Callable[[], Any], crash: int) -> Any:
        """Run `action`; if `crash`, the service dies at the crash-th point in it and restarts."""
        if crash:
            self.world.faults.arm(crash)
        try:
            return action()
        except SimulatedCrash:
            self._restart()
            return None
        finally:
            self.world.faults.crash_at = 0

    def _restart(self) -> None:
        """The next start gives every active lease its grace; promises get longer, never shorter."""
        self.world.restart()
        for lease in self.world.ledger.leases.active():
            promise = self.promises.get(lease.id)
            if promise:
                promise.deadline = max(promise.deadline, lease.deadline)
