"""The one hand that works on an instance: brings it up, keeps it up, puts it down.

Everything that creates or deletes on a server goes through its worker, one step after the other;
what may go on beside that, an eye beside it does (see `verifier`).
`step` does one thing and says what, so that a test can drive it; a thread calls it in a loop. What
there is to do on a server that is up depends on its kind: see `warm` and `dedicated`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

import structlog

from warminfra.core.clock import Clock
from warminfra.core.errors import IdentityRefused, StorageFull, Unreachable, WarminfraError
from warminfra.core.ids import InstanceId
from warminfra.core.models import Recipe, RunningInstance
from warminfra.core.ports import Launcher, Provider
from warminfra.core.states import InstanceKind, InstanceState
from warminfra.leasing.backoff import backoff
from warminfra.leasing.builder import Builder, doubt
from warminfra.leasing.demand import Demand, Ticket
from warminfra.leasing.server import Server
from warminfra.leasing.settings import LeasingSettings
from warminfra.leasing.sweeper import Sweeper
from warminfra.leasing.teardown import Teardown
from warminfra.leasing.verifier import Verifier
from warminfra.ledger import Ledger

log = structlog.get_logger()

IDLE = 0.5
"""Seconds between two looks at what may be due by the clock: retries, sweep, health."""

_LONGEST_PAUSE = 60.0
"""Seconds at most between two starts that fail."""

_REFUSALS = 2
"""Starts in a row that must be refused until what the server has of us is given up."""

Connect = Callable[[RunningInstance], Provider]


@dataclass(slots=True, kw_only=True)
class Worker(ABC):
    """Owns one instance while the service runs."""

    kind: ClassVar[InstanceKind]

    instance: InstanceId
    ledger: Ledger
    clock: Clock
    launcher: Launcher
    connect: Connect
    builder: Builder
    teardown: Teardown
    sweeper: Sweeper
    demand: Demand
    settings: LeasingSettings
    server: Server | None = None
    """The reconciled server; None while it is down or not yet trusted."""
    trouble: WarminfraError | None = None
    """Why the last start failed; None once it has started."""
    _next_start: float = 0.0
    _next_make: float = 0.0
    _failed_starts: int = 0
    _refused_starts: int = 0
    """How many of the last starts in a row ended with our identities refused."""
    _last_answer: float = 0.0
    _next_health: float = 0.0
    _parked: bool = False
    """Whether the process is known to be stopped for the time being."""
    _broke_off: bool = False
    """Whether a step ended in its middle, as when the ledger could not be written."""

    def step(self) -> str:
        """Do the next thing; return its name, or "" if there is nothing to do now."""
        if self.server is not None and not self.launcher.alive(self.server.running):
            self._lost("its process died")
        state = self._state()
        if state is InstanceState.PARKED:
            return self._park()
        if state in (InstanceState.STOPPING, InstanceState.STOPPED):
            return ""
        if self.server is None:
            return self._bring_up()
        try:
            if self._broke_off:
                # What a service that died in that step would have left, the same look mends.
                self.sweeper.reconcile(self.server)
                self._broke_off = False
            return self._work(self.server, state)
        except Unreachable as error:
            self._doubt(error)
            return "trouble"
        except IdentityRefused as error:
            self._lost(str(error))
            self._shut_out(found=True)
            return "trouble"
        except Exception:
            self._broke_off = True
            raise

    def idle(self) -> float:
        """Return the seconds after which to look again if no bell rings."""
        return IDLE

    @property
    def eye(self) -> Verifier | None:
        """Who works beside the hand; None where destroying leaves nothing to see."""
        return None

    @abstractmethod
    def _work(self, server: Server, state: InstanceState) -> str:
        """Do the next thing on a server that is up; return its name, or ""."""

    def _greet(self, server: Server) -> None:  # noqa: B027 - most kinds have nothing to ask
        """Ask a server that is up whether it will do, before it is reconciled."""

    def _begin(self, server: Server) -> None:  # noqa: B027 - most kinds have nothing to do
        """Do what is due once for a server that has just been reconciled."""

    # ------------------------------------------------------------ up and down

    def _bring_up(self) -> str:
        now = self.clock.boot()
        if now < self._next_start:
            return ""
        running = None
        try:
            running = self.launcher.adopt(self.instance)
            found = running is not None
            if running is None:
                self._parked = False
                self.launcher.prepare(self._progress)
                running = self.launcher.start(self.instance, self._progress)
            server = Server(running, self.connect(running))
            self._greet(server)
            self._progress("reconciling")
            # Of a boot before this one, by whose clock they may be days away.
            latest = max(doubt(server.provider), self.settings.grace)
            self.ledger.tenants.cap_waits(self.instance, self.clock.boot() + latest)
            self.sweeper.reconcile(server)
            self._begin(server)
            # What could not be taken down on the server as it was is tried at once on this one.
            self.ledger.tenants.hurry(instance=self.instance)
            self.server = server
            self.ledger.instances.move(
                self.instance, InstanceState.READY, incarnation=running.incarnation
            )
        except WarminfraError as error:
            self.server = None
            self._failed_starts += 1
            self.trouble = error
            if isinstance(error, IdentityRefused) and running is not None:
                self._shut_out(found=found)
            else:
                self._refused_starts = 0
            delay = backoff(self._failed_starts, _LONGEST_PAUSE)
            self._next_start = self.clock.boot() + delay
            self._progress(f"failed, next try in {delay:.0f} s: {error}")
            log.error("instance did not start", instance=self.instance, error=error.message)
            return "start failed"
        self._failed_starts, self._refused_starts, self.trouble = 0, 0, None
        self._broke_off = self._parked = False
        self._last_answer = self.clock.boot()
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

    def _shut_out(self, *, found: bool) -> None:
        """The server refuses our identities for good, so what we have of them is of no use.

        One that was `found` running may know them again once it is started anew on its data, or
        reached anew. One that has just been started will not; but what answered may not have been
        it: another server that took its port meanwhile, or one that `start` found running. So two
        such starts in a row must end alike.
        """
        if not found:
            self._refused_starts += 1
        try:
            if self._refused_starts < _REFUSALS:
                self.launcher.stop(self.instance, discard=False)
            else:
                self._refused_starts = 0
                log.error("our identities are given up", instance=self.instance)
                self.launcher.renounce(self.instance)
        except WarminfraError as error:
            log.error("not ended as it should", instance=self.instance, error=error.message)

    def _park(self) -> str:
        """Let go of the process and keep the data."""
        if self._parked:
            return ""
        self.server = None
        self.launcher.stop(self.instance, discard=False)
        self._parked = True
        self._progress("stopped to save memory: nobody can use it now")
        return "parked"

    def stop(self, *, discard: bool) -> None:
        """Stop the server's process; with `discard` for good, data and all.

        Without, the instance stays in the ledger and the next service starts it again.
        """
        self.server = None
        if not discard:
            # First: a ledger that cannot be written keeps no server alive.
            self.launcher.stop(self.instance, discard=False)
            if self._state() is not InstanceState.PARKED:
                self.ledger.instances.move(self.instance, InstanceState.UNHEALTHY)
            return
        for state in (InstanceState.DRAINING, InstanceState.STOPPING):
            self.ledger.instances.move(self.instance, state)
        self.launcher.stop(self.instance, discard=True)
        self.ledger.instances.move(self.instance, InstanceState.STOPPED)

    # ------------------------------------------------------------ pieces

    def _make(self, server: Server, recipe: Recipe, reserved_for: str = "") -> str:
        """Make a tenant; return why that failed for now, or "". Raises `StorageFull`."""
        try:
            self.builder.make(server, recipe, reserved_for)
        except WarminfraError as error:
            self._could_not_make(error)
            return f"a tenant could not be made: {error.message}"
        self._last_answer = self.clock.boot()
        return ""

    def _make_for(self, server: Server, ticket: Ticket, begun: float) -> str:
        """Make the tenant that a request waits for; the work for it began at `begun`."""
        if self.ledger.leases.by_key(ticket.key_hash) is not None:
            # It has its lease, and has not come to say that it waits no more.
            self.demand.unclaim(ticket)
            return ""
        recipe = self.ledger.recipes.get(ticket.recipe)
        if recipe is None:
            self.demand.done(ticket.key_hash)
            return "unenrolled"
        trouble = ""
        try:
            trouble = self._make(server, recipe, ticket.key_hash)
        finally:
            self.demand.unclaim(ticket, trouble)
        if trouble:
            return "trouble"
        self.demand.made(self.kind, self.clock.boot() - begun)
        if self.demand.recipe_of(ticket.key_hash) != ticket.recipe:
            # It was served otherwise, or went away, meanwhile: then the tenant is for anybody.
            self.ledger.tenants.unreserve(ticket.key_hash)
        return "made for a request"

    def _could_not_make(self, error: WarminfraError) -> None:
        """Wait a moment before the next try; a dead server is found at the next step."""
        if isinstance(error, StorageFull):
            raise error  # The ledger's, not the server's: its row may say `creating` for good.
        if isinstance(error, IdentityRefused):
            raise error  # Nothing can be made until we are let in again.
        self._next_make = self.clock.boot() + 1.0
        self._progress(f"a tenant could not be made: {error.message}")
        if isinstance(error, Unreachable):
            self._doubt(error)

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
