"""Holds: a lease kept for a look after its run, within a budget in number, memory and time.

A held lease is an active one: its tenant and its stack stay as they are. It is bound to no process,
its deadline is the hold's end, and no heartbeat brings that nearer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from warminfra.core.clock import Clock
from warminfra.core.errors import LeaseLost, NoCapacity, Usage
from warminfra.core.models import Lease
from warminfra.leasing.settings import LeasingSettings
from warminfra.leasing.stacks import StackKeeper
from warminfra.ledger import Ledger

TENANT_MEMORY = 2 << 20
"""Bytes that a tenant of a shared server counts for: 0.7 to 2.3 MiB were seen."""

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class HoldKeeper:
    """Grants holds. Safe to call from many threads."""

    ledger: Ledger
    clock: Clock
    settings: LeasingSettings
    stacks: StackKeeper

    def hold(self, lease: Lease, seconds: float) -> Lease:
        """Keep an active lease for `seconds` from now.

        Raises `Usage` (longer than any hold may be), `NoCapacity` (the budget is used up),
        `LeaseLost`, and `Unreachable` if its stack's memory cannot be told.
        """
        longest = self.settings.hold_longest
        if not 1 <= seconds <= longest:
            raise Usage(
                f"a hold of {seconds:g} s is not within 1 s and {longest:g} s",
                hint="ask for less, or raise hold.max_time",
            )
        memory = self._memory(lease)
        now = self.clock.wall()
        until = now + timedelta(seconds=seconds)
        done = self.ledger.holds.hold(
            lease.id,
            until,
            self.clock.boot() + seconds,
            memory,
            now,
            lambda others: self._allow(others, memory),
        )
        held = self.ledger.leases.get(lease.id)
        if not done or held is None:
            raise LeaseLost(f"lease {lease.id} has ended")
        return held

    def held(self) -> list[Lease]:
        """Return the leases that are held now."""
        return self.ledger.holds.all(self.clock.wall())

    def _memory(self, lease: Lease) -> int:
        server = self.settings.dedicated_memory if lease.mode == "dedicated" else TENANT_MEMORY
        names = [stack.name for stack in self.ledger.stacks.of(lease.id)]
        return server + sum(self.stacks.memory(name) for name in names)

    def _allow(self, others: Sequence[Lease], memory: int) -> None:
        free = "release one (`warminfra leases` lists them)"
        if len(others) >= self.settings.hold_max:
            names = ", ".join(other.id for other in others) or "none"
            raise NoCapacity(
                f"no more than {self.settings.hold_max} leases may be held, and held are: {names}",
                hint=f"{free}, or raise hold.max",
            )
        taken = sum(other.held_memory for other in others)
        if taken + memory > self.settings.hold_memory:
            raise NoCapacity(
                f"its {_mib(memory)} and the {_mib(taken)} of what is held already are over the "
                f"{_mib(self.settings.hold_memory)} that held leases may take",
                hint=f"{free}, or raise hold.memory",
            )


def _mib(size: int) -> str:
    return f"{-(-size // _MIB)} MiB"
