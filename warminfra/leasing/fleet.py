"""The instances and their workers: which there are, which is replaced, which serves whom.

Of warm instances there are always so many that take new tenants. After `replace_after` tenants made
one gets a successor; once that is ready the old one drains, and stops when its last tenant is gone.
So does one too many, of another setting or of a ledger that was lost.
While no recipe may share, they are parked. Of dedicated instances there is one for each request
that waits, as far as there is room, and the spares.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field

import structlog

from warminfra.core.clock import Clock
from warminfra.core.entropy import Entropy
from warminfra.core.ids import InstanceId, TemplateHash, mint_instance_id
from warminfra.core.models import Instance, Recipe
from warminfra.core.ports import Provider
from warminfra.core.states import InstanceKind, InstanceState, TenantState
from warminfra.leasing.bell import Bell
from warminfra.leasing.room import Room
from warminfra.leasing.settings import LeasingSettings
from warminfra.leasing.worker import Worker
from warminfra.ledger import Ledger

log = structlog.get_logger()

NewWorker = Callable[[InstanceId, InstanceKind], Worker]

LEAVING = (InstanceState.DRAINING, InstanceState.STOPPING)


@dataclass(slots=True)
class Fleet:
    """Keeps a worker for each instance of the ledger."""

    provider_name: str
    ledger: Ledger
    clock: Clock
    entropy: Entropy
    settings: LeasingSettings
    room: Room
    new_worker: NewWorker
    workers: dict[InstanceId, Worker] = field(default_factory=dict)
    bell: Bell = field(default_factory=Bell)
    """Rings when instances are to be tended at once."""
    _useless_since: float | None = None
    """Boot time since which no recipe may share."""
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def tend(self) -> None:
        """Bring the set of workers to what it should be. Cheap; called often."""
        with self._lock:
            rows = self.ledger.instances.current()
            for gone in self.workers.keys() - {row.id for row in rows}:
                del self.workers[gone]
            for row in rows:
                if row.id not in self.workers:
                    self.workers[row.id] = self.new_worker(row.id, row.kind)
                if row.state is InstanceState.DRAINING:
                    self._empty(row)
            staying = [row for row in rows if row.state not in LEAVING]
            recipes = self.ledger.recipes.all()
            alone = self.room.alone(recipes)
            self._tend_warm(
                [row for row in staying if row.kind is InstanceKind.WARM],
                # A recipe may share, or none is known yet.
                useful=not recipes or len(alone) < len(recipes),
            )
            self._tend_dedicated(
                [row for row in staying if row.kind is InstanceKind.DEDICATED], alone
            )

    def take_in(self, kind: InstanceKind, found: Iterable[InstanceId]) -> None:
        """Enter the servers that the ledger does not know, as when it was lost.

        What is on them has its grace period like all else that the ledger did not know; a dedicated
        one ends with that.
        """
        for instance in found:
            if self.ledger.instances.get(instance) is None:
                log.warning("a server that the ledger did not know", instance=instance)
                self.ledger.instances.found(instance, self.provider_name, kind, self.clock.wall())

    def finished(self) -> list[Worker]:
        """Return the workers of drained warm instances; the caller shuts them down and drops them.

        A dedicated one ends by itself.
        """
        with self._lock:
            return [
                self.workers[row.id]
                for row in self.ledger.instances.current()
                if row.state in LEAVING
                and row.kind is InstanceKind.WARM
                and row.id in self.workers
                and self.ledger.instances.live_tenants(row.id) == 0
            ]

    def drop(self, instance: InstanceId) -> None:
        """Forget the worker of a stopped instance."""
        with self._lock:
            self.workers.pop(instance, None)

    def provider(self, instance: InstanceId) -> Provider | None:
        """Return the provider of an instance that is up and reconciled, or None."""
        worker = self.workers.get(instance)
        return worker.server.provider if worker and worker.server else None

    def any_provider(self) -> Provider | None:
        """Return the provider of some instance that is up, or None."""
        with self._lock:
            servers = [worker.server for worker in self.workers.values()]
        return next((server.provider for server in servers if server), None)

    def trouble(self, kind: InstanceKind = InstanceKind.WARM) -> str:
        """Return why nothing can be made now on an instance of the kind, "" if something can."""
        rows = [row for row in self.ledger.instances.current() if row.kind is kind]
        ready = [row for row in rows if row.state is InstanceState.READY]
        if kind is InstanceKind.DEDICATED:
            begun = [row for row in rows if not row.made]
            if len(begun) < self.room.waiting():
                return self.room.lack(self.ledger.instances.current()) or _told(begun)
            return _told(begun)
        if not ready:
            return _told(rows) or "no instance yet"
        cap = self.settings.hard_cap
        if all(self.ledger.instances.live_tenants(row.id) >= cap for row in ready):
            return f"{cap} live tenants, the hard cap of the instance"
        return ""

    # ------------------------------------------------------------ warm

    def _tend_warm(self, staying: Sequence[Instance], *, useful: bool) -> None:
        fresh = [row for row in staying if row.made < self.settings.replace_after]
        for _ in range(self.settings.warm - len(fresh)):
            self._add(InstanceKind.WARM)
        serving = [row for row in fresh if row.state is InstanceState.READY][: self.settings.warm]
        if len(serving) == self.settings.warm:
            for row in staying:
                # One too many may hold what the ledger has yet to be told.
                if row not in fresh or (row.state is InstanceState.READY and row not in serving):
                    self._drain(row)
        if useful:
            self._useless_since = None
            for row in staying:
                if row.state is InstanceState.PARKED:
                    self.ledger.instances.move(row.id, InstanceState.UNHEALTHY)
        else:
            self._park_useless(staying)

    def _park_useless(self, staying: Sequence[Instance]) -> None:
        now = self.clock.boot()
        if self._useless_since is None:
            self._useless_since = now
        # Somebody who waits for the memory has it at once.
        needed = self.room.waiting() and self.room.lack(self.ledger.instances.current())
        if needed or now - self._useless_since >= self.settings.park_after:
            for row in staying:
                if not self.ledger.instances.live_tenants(row.id):
                    self.ledger.instances.move(row.id, InstanceState.PARKED)

    # ------------------------------------------------------------ dedicated

    def _tend_dedicated(self, staying: Sequence[Instance], alone: Sequence[Recipe]) -> None:
        if self.settings.no_dedicated:
            alone = ()  # any more: what is there ends
        free = [row for row in staying if not row.made]
        waiting = 0 if self.settings.no_dedicated else self.room.waiting()
        wanted = waiting + (1 if self.room.spare_among(alone) else 0)
        coming = len(free)
        while coming < wanted and self.room.fits(
            InstanceKind.DEDICATED, self.ledger.instances.current()
        ):
            self._add(InstanceKind.DEDICATED)
            coming += 1
        for row in free[wanted:]:
            # Its worker may have made the tenant since the row was read: then it serves.
            self.ledger.instances.move(row.id, InstanceState.DRAINING, unused=True)
        if staying:
            self._give_up_spares(waiting - coming, {recipe.template_hash for recipe in alone})

    def _give_up_spares(self, short: int, needed: Container[TemplateHash]) -> None:
        """End spares: those of a recipe that needs none now, those beyond as many as are wanted,
        and as many as others wait for."""
        lack = self.room.lack(self.ledger.instances.current())
        spares = self.room.spares()
        surplus = {tenant.id for tenant in spares[: max(len(spares) - self.settings.spares, 0)]}
        for tenant in spares:
            if tenant.template_hash not in needed or tenant.id in surplus:
                self.ledger.tenants.retire(
                    tenant.id, "no recipe needs it as a spare", self.clock.wall()
                )
            elif lack and short > 0 and tenant.state is TenantState.READY:
                short -= 1
                self.ledger.tenants.retire(
                    tenant.id, "its memory is needed for a request that waits", self.clock.wall()
                )

    # ------------------------------------------------------------ both

    def _add(self, kind: InstanceKind) -> None:
        instance = mint_instance_id(self.entropy)
        self.ledger.instances.add(instance, self.provider_name, kind, self.clock.wall())
        self.workers[instance] = self.new_worker(instance, kind)

    def _drain(self, row: Instance) -> None:
        if self.ledger.instances.move(row.id, InstanceState.DRAINING):
            self._empty(row)

    def _empty(self, row: Instance) -> None:
        """Retire what nobody has on an instance that drains: made before, or in that moment."""
        self.ledger.tenants.retire_where(
            "its instance is being replaced",
            self.clock.wall(),
            states=(TenantState.READY,),
            instance=row.id,
        )


def _told(rows: Sequence[Instance]) -> str:
    return "; ".join(
        f"{row.id} is {row.state}" + (f": {row.note}" if row.note else "") for row in rows
    )
