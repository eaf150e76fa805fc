"""Ends the leases that nobody holds any more: past the deadline, or their process is dead."""

from __future__ import annotations

from dataclasses import dataclass

from warminfra.core.clock import Clock
from warminfra.core.models import Lease
from warminfra.core.ports import Processes
from warminfra.core.states import LeaseState
from warminfra.leasing.settings import LeasingSettings
from warminfra.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Reaper:
    """Looks at every active lease; a few hundred cost a millisecond."""

    ledger: Ledger
    clock: Clock
    processes: Processes
    settings: LeasingSettings

    def step(self) -> int:
        """End what has run out; return how many leases that were."""
        now = self.clock.boot()
        ended = 0
        active = self.ledger.leases.active()
        self.processes.watch({lease.bound_to for lease in active if lease.bound_to is not None})
        for lease in active:
            reason = self._over(lease, now)
            if reason:
                ended += self.ledger.leases.end(
                    lease.id, LeaseState.EXPIRED, reason, self.clock.wall()
                )
        return ended

    def resume(self) -> None:
        """After a restart of the service: one grace period for all, none for the rebooted."""
        boot_id = self.clock.boot_id()
        for lease in self.ledger.leases.active():
            if lease.bound_to is not None and lease.boot_id != boot_id:
                self.ledger.leases.end(
                    lease.id,
                    LeaseState.REVOKED,
                    "the machine was rebooted under its process",
                    self.clock.wall(),
                )
        self.ledger.leases.resume(
            self.clock.boot(), boot_id, self.clock.wall(), self.settings.grace
        )

    def _over(self, lease: Lease, now: float) -> str:
        if lease.deadline < now:
            held = lease.held_until == lease.expires_at
            return "its hold is over" if held else "its deadline passed"
        if lease.bound_to is not None and not self.processes.alive(lease.bound_to):
            return f"its process {lease.bound_to.pid} died"
        return ""
