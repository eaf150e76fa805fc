"""Queries on `tickets`: who waits for a lease, in the order of coming. They survive a restart."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select

from warminfra.ledger.database import Database
from warminfra.ledger.tables import tickets


@dataclass(frozen=True, slots=True)
class TicketRow:
    """One waiting request, named by the hash of its key."""

    key_hash: str
    recipe: str
    mode: str


class Tickets:
    """The queue as it is written down."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def enter(self, ticket: TicketRow, now: datetime) -> None:
        """Write a new ticket down, behind all others."""
        with self._db.write() as tx:
            tx.execute(
                tickets.insert().values(
                    key_hash=ticket.key_hash,
                    recipe=ticket.recipe,
                    mode=ticket.mode,
                    entered_at=now,
                )
            )

    def leave(self, key_hashes: Collection[str]) -> None:
        """Forget tickets; fine if there are none of these."""
        with self._db.write() as tx:
            tx.execute(delete(tickets).where(tickets.c.key_hash.in_(key_hashes)))

    def __iter__(self) -> Iterator[TicketRow]:
        """Yield all, first come first."""
        query = select(tickets.c.key_hash, tickets.c.recipe, tickets.c.mode)
        with self._db.read() as tx:
            found = tx.execute(query.order_by(tickets.c.number)).all()
        return iter([TicketRow(*row) for row in found])
