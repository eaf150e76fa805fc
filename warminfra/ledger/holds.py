"""Queries on held leases: active ones that are kept for a look, their holder living or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection, select, update

from warminfra.core.ids import TenantId
from warminfra.core.models import Lease
from warminfra.core.states import LeaseState
from warminfra.ledger import rows
from warminfra.ledger.database import Database
from warminfra.ledger.tables import leases

Allow = Callable[[Sequence[Lease]], None]
"""Is shown the other held leases; raises what forbids one more."""


class Holds:
    """The leases that are held now."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def hold(
        self,
        lease: TenantId,
        until: datetime,
        deadline: float,
        memory: int,
        now: datetime,
        allow: Allow,
    ) -> bool:
        """Keep an active lease until then, bound to no process; False if it has ended.

        The budget is looked at in the same transaction: two holds cannot both take its last place.
        """
        with self._db.write() as tx:
            allow([other for other in _held(tx, now) if other.id != lease])
            done = tx.execute(
                update(leases)
                .where(leases.c.id == lease, leases.c.state == LeaseState.ACTIVE)
                .values(
                    held_until=until,
                    held_memory=memory,
                    deadline=deadline,
                    expires_at=until,
                    bound_pid=None,
                    bound_start=None,
                )
            )
            return done.rowcount == 1

    def all(self, now: datetime) -> list[Lease]:
        """Return the leases that are held now, the one that ends first before the others."""
        with self._db.read() as tx:
            return _held(tx, now)


def _held(tx: Connection, now: datetime) -> list[Lease]:
    query = (
        select(leases)
        .where(leases.c.state == LeaseState.ACTIVE, leases.c.held_until > now)
        .order_by(leases.c.held_until)
    )
    return [rows.lease(row) for row in tx.execute(query).mappings()]
