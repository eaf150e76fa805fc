"""The warm instances and their workers: which there are, which is replaced, which serves whom.

There is always one instance that takes new tenants. After `replace_after` tenants made it gets a
successor; once that is ready the old one drains, and stops when its last tenant is gone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from warminfra.core.clock import Clock
from warminfra.core.entropy import Entropy
from warminfra.core.ids import InstanceId, mint_instance_id
from warminfra.core.models import Instance
from warminfra.core.ports import Provider
from warminfra.core.states import InstanceState, TenantState
from warminfra.leasing.settings import LeasingSettings
from warminfra.leasing.worker import Worker
from warminfra.ledger import Ledger

NewWorker = Callable[[InstanceId], Worker]


@dataclass(slots=True)
class Fleet:
    """Keeps a worker for each instance of the ledger."""

    provider_name: str
    ledger: Ledger
    clock: Clock
    entropy: Entropy
    settings: LeasingSettings
    new_worker: NewWorker
    workers: dict[InstanceId, Worker] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def tend(self) -> None:
        """Bring the set of workers to what it should be. Cheap; called often."""
        with self._lock:
            rows = self.ledger.instances.current()
            for row in rows:
                if row.id not in self.workers:
                    self.workers[row.id] = self.new_worker(row.id)
            leaving = (InstanceState.DRAINING, InstanceState.STOPPING)
            taking = [row for row in rows if row.state not in leaving]
            fresh = [row for row in taking if row.made < self.settings.replace_after]
            if not fresh:
                self._add()
            elif any(row.state is InstanceState.READY for row in fresh):
                for row in taking:
                    if row not in fresh:
                        self._drain(row)

    def finished(self) -> list[Worker]:
        """Return the workers of drained instances; the caller shuts them down and drops them."""
        with self._lock:
            return [
                self.workers[row.id]
                for row in self.ledger.instances.current()
                if row.state in (InstanceState.DRAINING, InstanceState.STOPPING)
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

    def trouble(self) -> str:
        """Return why nothing can be made now, "" if something can."""
        rows = self.ledger.instances.current()
        ready = [row for row in rows if row.state is InstanceState.READY]
        if not ready:
            notes = [
                f"{row.id} is {row.state}" + (f": {row.note}" if row.note else "") for row in rows
            ]
            return "; ".join(notes) or "no instance yet"
        cap = self.settings.hard_cap
        if all(self.ledger.instances.live_tenants(row.id) >= cap for row in ready):
            return f"{cap} live tenants, the hard cap of the instance"
        return ""

    def _add(self) -> None:
        instance = mint_instance_id(self.entropy)
        self.ledger.instances.add(instance, self.provider_name, "warm", self.clock.wall())
        self.workers[instance] = self.new_worker(instance)

    def _drain(self, row: Instance) -> None:
        if self.ledger.instances.move(row.id, InstanceState.DRAINING):
            self.ledger.tenants.retire_where(
                "its instance is being replaced",
                self.clock.wall(),
                states=(TenantState.READY,),
                instance=row.id,
            )
