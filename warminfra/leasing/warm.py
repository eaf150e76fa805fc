"""The work on a warm instance: serve who waits, take down what has ended, refill the pool.

A request that waits goes before teardown, teardown before refill; but requests without end do not
keep teardown from its turn, for every realm that lives makes the next one dearer. Of several warm
instances the one with the fewest live tenants makes the next.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from warminfra.core.states import InstanceKind, InstanceState, TenantState
from warminfra.leasing.bell import Bell
from warminfra.leasing.pool import Pool
from warminfra.leasing.server import Server
from warminfra.leasing.verifier import Verifier
from warminfra.leasing.watch import Watch
from warminfra.leasing.worker import Worker

BACKLOG = 8
"""Tenants in teardown from which on every second step is a teardown, however many requests wait."""


@dataclass(slots=True, kw_only=True)
class WarmWorker(Worker):
    """Owns one warm instance."""

    kind: ClassVar[InstanceKind] = InstanceKind.WARM

    pool: Pool
    watch: Watch
    bell: Bell = field(default_factory=Bell)
    """Wakes whoever works here."""
    _next_sweep: float = 0.0
    _served: bool = False
    """Whether the last step made a tenant for a request."""
    _eye: Verifier = field(init=False)

    def __post_init__(self) -> None:
        self._eye = Verifier(self.instance, self.teardown, lambda: self.server, self.bell)

    def idle(self) -> float:
        """Return the seconds after which to look again if no bell rings."""
        pause = self.settings.refill_pause
        # Named: `super()` without arguments knows no class that slots have replaced.
        return pause if self.demand.rush(pause) else Worker.idle(self)

    @property
    def eye(self) -> Verifier:
        """Who condemns what will be destroyed here and looks for what was, in its own thread."""
        return self._eye

    def _bring_up(self) -> str:
        self._eye.forget()
        return Worker._bring_up(self)

    def _begin(self, server: Server) -> None:
        self.watch.begin(server)
        self._next_sweep = self.clock.boot() + self.settings.sweep_every

    def _work(self, server: Server, state: InstanceState) -> str:
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

    def _take_turns(self, server: Server) -> str:
        """After a request was served, tear one down if many wait for that."""
        if not self._served:
            return ""
        self._served = False
        waiting = self.ledger.tenants.counts()[TenantState.RETIRING]
        return self._tear_down(server) if waiting >= BACKLOG else ""

    def _serve(self, server: Server) -> str:
        if not self.demand.waiting(self.kind) or not self._may_make(server, self.settings.hard_cap):
            return ""
        ticket = self.demand.claim(self.kind, self.ledger.tenants.reserved())
        if ticket is None:
            return ""
        did = self._make_for(server, ticket, self.clock.boot())
        self._served = did == "made for a request"
        return did

    def _tear_down(self, server: Server) -> str:
        tenant = self._eye.take()
        if tenant is None:
            return ""
        if self.teardown.destroy(server, tenant):
            self._last_answer = self.clock.boot()
            self._eye.expect(server, tenant)
            return "destroyed"
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
        return "trouble" if self._make(server, recipe) else "refilled"

    def _sweep(self, server: Server) -> str:
        if self.clock.boot() < self._next_sweep:
            return ""
        self._next_sweep = self.clock.boot() + self.settings.sweep_every
        self.watch.look(server, self.sweeper.sweep(server))
        self._last_answer = self.clock.boot()
        return "swept"

    def _may_make(self, server: Server, cap: int) -> bool:
        return (
            self.clock.boot() >= self._next_make
            and self.ledger.instances.least_loaded(self.kind) == server.id
            and self.ledger.instances.live_tenants(server.id) < cap
        )
