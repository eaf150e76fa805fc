"""The lease machine under every accident: rules are drawn by Hypothesis, `Promises` judges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, multiple, rule

from tests.stateful.installation import FOREIGN
from tests.stateful.promises import Promises
from warminfra.core.errors import Conflict, LeaseLost, SharingRefused, Unreachable, WrongHandle
from warminfra.core.ids import TenantId
from warminfra.core.models import Granted, LeaseRequest, ProcessRef, Waiting
from warminfra.core.secret import Secret
from warminfra.testing.fake_provider import HICCUPS

TEARDOWN_HICCUPS = [
    point for point in HICCUPS if point.startswith(("condemn", "destroy", "verify"))
]


class LeaseMachine(Promises):
    """Rules are what clients, operators, time and bad luck do."""

    leases = Bundle("leases")

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

    @rule(lost=st.integers(1, 3), steps=st.integers(1, 8))
    def server_forgets_a_condemned(self, lost: int, steps: int) -> None:
        """A run ends and is condemned; before it is destroyed its server dies and forgets that."""
        lease = self._run_asks(asks=4)
        if isinstance(lease, MultipleResults):
            return
        self.release(lease, 0)
        for worker in self.world.fleet.workers.values():
            if worker.eye:
                self._survive(worker.eye.step, 0)
        self.server_dies(lost)
        self.work(steps, 0)

    # ------------------------------------------------------------ parts of rules

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
