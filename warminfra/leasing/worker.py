"""The one hand that works on an instance: brings it up, makes, destroys, sweeps.

Everything that creates or deletes on a server goes through its worker, one step after the other:
a request that waits goes before teardown, teardown before refill; but requests without end do not
keep teardown from its turn, for every realm that lives makes the next one dearer. `step` does one
thing and says what, so that a test can drive it; a thread calls it in a loop.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import structlog

from warminfra.core.clock import Clock
from warminfra.core.errors import StorageFull, Unreachable, WarminfraError
from warminfra.core.ids import InstanceId
from warminfra.core.models import RunningInstance
from warminfra.core.ports import Launcher, Provider
from warminfra.core.states import InstanceState, TenantState
from warminfra.leasing.builder import Builder
from warminfra.leasing.demand import Demand
from warminfra.leasing.pool import Pool
from warminfra.leasing.server import Server
from warminfra.leasing.settings import QUARANTINE_AFTER, LeasingSettings
from warminfra.leasing.sweeper import Sweeper
from warminfra.leasing.teardown import Teardown
from warminfra.leasing.watch import Watch
from warminfra.ledger import Ledger

log = structlog.get_logger()

BACKLOG = 8
"""Tenants in teardown from which on every second step is a teardown, however many requests wait."""

IDLE = 0.5
"""Seconds between two looks at what may be due by the clock: retries, sweep, health."""

Connect = Callable[[RunningInstance], Provider]


@dataclass(slots=True)
class Worker:
    """Owns one instance while the service runs."""

    instance: InstanceId
    ledger: Ledger
    clock: Clock
    launcher: Launcher
    connect: Connect
    builder: Builder
    teardown: Teardown
    pool: Pool
    sweeper: Sweeper
    watch: Watch
    demand: Demand
    settings: LeasingSettings
    server: Server | None = None
    """The reconciled server; None while it is down or not yet trusted."""
    trouble: WarminfraError | None = None
    """Why the last start failed; None once it has started."""
    _next_sweep: float = 0.0
    _next_start: float = 0.0
    _next_make: float = 0.0
    _failed_starts: int = 0
    _last_answer: float = 0.0
    _next_health: float = 0.0
    _served: bool = False
    """Whether the last step made a tenant for a request."""
    _broke_off: bool = False
    """Whether a step ended in its middle, as when the ledger could not be written."""

    def step(self) -> str:
        """Do the next thing; return its name, or "" if there is nothing to do now."""
        if self.server is not None and not self.launcher.alive(self.server.running):
            self._lost("its process died")
        if self._state() in (InstanceState.STOPPING, InstanceState.STOPPED):
            return ""
        if self.server is None:
            return self._bring_up()
        try:
            return self._work(self.server)
        except Unreachable as error:
            self._doubt(error)
            return "trouble"
        except Exception:
            self._broke_off = True
            raise

    def idle(self) -> float:
        """Return the seconds after which to look again if no bell rings."""
        pause = self.settings.refill_pause
        return pause if self.demand.rush(pause) else IDLE

    def _work(self, server: Server) -> str:
        if self._broke_off:
            # What a service that died in that step would have left, the same look mends.
            self.sweeper.reconcile(server)
            self._broke_off = False
        state = self._state()
        if state is InstanceState.DRAINING:
            return self._tear_down(server)
        return (
            self._take_turns(server)
            or self._serve(server)
            or self._tear_down(server)
            or self._refill(server)
            or self._sweep(server)
            or self._check_health(server)
        )

    # ------------------------------------------------------------ up and down

    def _bring_up(self) -> str:
        now = self.clock.boot()
        if now < self._next_start:
            return ""
        try:
            running = self.launcher.adopt(self.instance)
            if running is None:
                self.launcher.prepare(self._progress)
                running = self.launcher.start(self.instance, self._progress)
            server = Server(running, self.connect(running))
            self._progress("reconciling")
            self.sweeper.reconcile(server)
            self.watch.begin(server)
            # What could not be taken down on the server as it was is tried at once on this one.
            self.ledger.tenants.hurry()
            self.server = server
            self.ledger.instances.move(
                self.instance, InstanceState.READY, incarnation=running.incarnation
            )
        except WarminfraError as error:
            self.server = None
            self._failed_starts += 1
            self.trouble = error
            delay = min(2.0**self._failed_starts, 60.0)
            self._next_start = self.clock.boot() + delay
            self._progress(f"failed, next try in {delay:.0f} s: {error}")
            log.error("instance did not start", instance=self.instance, error=error.message)
            return "start failed"
        self._failed_starts, self.trouble, self._broke_off = 0, None, False
        self._last_answer = self.clock.boot()
        self._next_sweep = self.clock.boot() + self.settings.sweep_every
        self._progress("")
        return "started"

    def _lost(self, why: str) -> None:
        log.warning("instance lost", instance=self.instance, why=why)
        self.ledger.instances.move(self.instance, InstanceState.UNHEALTHY)
        self._progress(why)
        self.server = None

    def _doubt(self, error: Unreachable) -> None:
        """A call failed: dead, hung, or a hiccup? The process, then its health decide."""
        if self.server is None or not self.launcher.alive(self.server.running):
            self._lost("its process died")
            return
        log.warning("provider call failed", instance=self.instance, error=error.message)
        if self.clock.boot() - self._last_answer > self.settings.hung_after:
            self._lost(f"no answer for {self.settings.hung_after:.0f} s")
            with suppress(WarminfraError):
                self.launcher.stop(self.instance, discard=False)

    def stop(self, *, discard: bool) -> None:
        """Stop the server's process; with `discard` for good, data and all.

        Without, the instance stays in the ledger and the next service starts it again.
        """
        self.server = None
        if discard:
            for state in (InstanceState.DRAINING, InstanceState.STOPPING):
                self.ledger.instances.move(self.instance, state)
        else:
            self.ledger.instances.move(self.instance, InstanceState.UNHEALTHY)
        self.launcher.stop(self.instance, discard=discard)
        if discard:
            self.ledger.instances.move(self.instance, InstanceState.STOPPED)

    # ------------------------------------------------------------ work

    def _take_turns(self, server: Server) -> str:
        """After a request was served, tear one down if many wait for that."""
        if not self._served:
            return ""
        self._served = False
        waiting = self.ledger.tenants.counts()[TenantState.RETIRING]
        return self._tear_down(server) if waiting >= BACKLOG else ""

    def _serve(self, server: Server) -> str:
        if not self.demand.waiting() or not self._may_make(server, self.settings.hard_cap):
            return ""
        ticket = self.demand.next(self.ledger.tenants.reserved())
        if ticket is None:
            return ""
        recipe = self.ledger.recipes.get(ticket.recipe)
        if recipe is None:
            self.demand.done(ticket.key_hash)
            return "unenrolled"
        begun = self.clock.boot()
        try:
            self.builder.make(server, recipe, reserved_for=ticket.key_hash)
        except WarminfraError as error:
            self._could_not_make(error)
            return "trouble"
        self.demand.made(self.clock.boot() - begun)
        if not self.demand.waits(ticket.key_hash):
            # It was served otherwise, or went away, meanwhile: then the tenant is for anybody.
            self.ledger.tenants.unreserve(ticket.key_hash)
        self._last_answer = self.clock.boot()
        self._served = True
        return "made for a request"

    def _tear_down(self, server: Server) -> str:
        tenant = self.ledger.tenants.due_for_teardown(
            self.instance, self.clock.boot(), QUARANTINE_AFTER
        )
        if tenant is None:
            return ""
        if self.teardown.attempt(server, tenant):
            self._last_answer = self.clock.boot()
            return "torn down"
        server.provider.health()
        return "teardown put off"

    def _refill(self, server: Server) -> str:
        if self.demand.rush(self.settings.refill_pause):
            return ""
        if self.pool.retire_unwanted():
            return "retired"
        if not self._may_make(server, self.settings.soft_cap):
            return ""
        recipe = self.pool.wanting(server)
        if recipe is None:
            return ""
        try:
            self.builder.make(server, recipe)
        except WarminfraError as error:
            self._could_not_make(error)
            return "trouble"
        self._last_answer = self.clock.boot()
        return "refilled"

    def _may_make(self, server: Server, cap: int) -> bool:
        return (
            self.clock.boot() >= self._next_make
            and self.ledger.instances.live_tenants(server.id) < cap
        )

    def _could_not_make(self, error: WarminfraError) -> None:
        """Wait a moment before the next try; a dead server is found at the next step."""
        if isinstance(error, StorageFull):
            raise error  # The ledger's, not the server's: its row may say `creating` for good.
        self._next_make = self.clock.boot() + 1.0
        self._progress(f"a tenant could not be made: {error.message}")
        if isinstance(error, Unreachable):
            self._doubt(error)

    def _sweep(self, server: Server) -> str:
        if self.clock.boot() < self._next_sweep:
            return ""
        self._next_sweep = self.clock.boot() + self.settings.sweep_every
        self.watch.look(server, self.sweeper.sweep(server))
        self._last_answer = self.clock.boot()
        return "swept"

    def _check_health(self, server: Server) -> str:
        if self.clock.boot() < self._next_health:
            return ""
        self._next_health = self.clock.boot() + self.settings.health_every
        server.provider.health()
        self._last_answer = self.clock.boot()
        return ""

    def _state(self) -> InstanceState:
        row = self.ledger.instances.get(self.instance)
        return row.state if row else InstanceState.STOPPED

    def _progress(self, line: str) -> None:
        self.ledger.instances.note(self.instance, line)
