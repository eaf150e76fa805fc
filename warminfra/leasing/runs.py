"""Runs: all leases of one pipeline, ended by the key that they were taken with."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from warminfra.core.clock import Clock
from warminfra.core.errors import NotAllowed
from warminfra.core.models import Lease
from warminfra.core.secret import Secret
from warminfra.core.states import LeaseState
from warminfra.leasing.bell import Bell
from warminfra.leasing.handle import hash_run
from warminfra.ledger import Ledger


@dataclass(frozen=True, slots=True)
class RunKeeper:
    """Ends runs. Safe to call from many threads."""

    ledger: Ledger
    clock: Clock
    seal: Secret
    bell: Bell

    def release(self, run: str, key: str, *, held: bool = False) -> list[Lease]:
        """End all leases of a run that were made with its key, with `held` those that are held too.

        Returns them, ended before or now; twice is fine, and a run without any lease has none.
        Raises `NotAllowed` if there are leases of that run, but none with that key.
        """
        every = self.ledger.leases.of_run(run)
        run_key = hash_run(key, run, self.seal)
        mine = [lease for lease in every if hmac.compare_digest(lease.run_key, run_key)]
        if every and not mine:
            raise NotAllowed(
                f"run {run!r} has {len(every)} leases, none of them with the key given",
                hint="set WARMINFRA_KEY as it was when they were taken",
            )
        now = self.clock.wall()
        for lease in mine:
            if held or not lease.is_held(now):
                self.ledger.leases.end(lease.id, LeaseState.RELEASED, "released with its run", now)
        self.bell.ring()
        return [lease for lease in self.ledger.leases.of_run(run) if lease.run_key == run_key]
