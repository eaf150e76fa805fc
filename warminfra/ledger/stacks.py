"""Queries on `stacks`. A stack is owned from the transaction on in which its lease begins, or is
told of it; it is to be removed from the one on in which its lease ends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, func, insert, select, update

from warminfra.core.ids import TenantId
from warminfra.core.models import OwnedStack
from warminfra.core.states import STACK_MOVES, LeaseState, StackState, sources
from warminfra.ledger import rows
from warminfra.ledger.database import Database
from warminfra.ledger.tables import leases, stacks


def standing(tx: Connection, name: str) -> OwnedStack | None:
    """Return who owns the stack of that name, or owned it and it is not gone yet."""
    query = select(stacks).where(stacks.c.name == name, stacks.c.state != StackState.GONE)
    row = tx.execute(query).mappings().first()
    return rows.stack(row) if row else None


def own_in(tx: Connection, lease: TenantId, name: str, since: datetime) -> None:
    """Enter a stack as its lease's."""
    tx.execute(insert(stacks).values(lease=lease, name=name, state=StackState.OWNED, since=since))


def remove_in(tx: Connection, lease: TenantId) -> None:
    """Have what a lease owns removed, from the caller's transaction on."""
    tx.execute(
        update(stacks)
        .where(
            stacks.c.lease == lease,
            stacks.c.state.in_(sources(STACK_MOVES, StackState.REMOVING)),
        )
        .values(state=StackState.REMOVING, next_attempt=0.0)
    )


class Stacks:
    """Every stack that a lease ever owned."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def own(self, lease: TenantId, name: str, since: datetime) -> OwnedStack | None:
        """Give an active lease a stack; None if the lease has ended.

        Returns the row that has the name: the lease's own, or another's that is in the way.
        """
        with self._db.write() as tx:
            state = tx.execute(select(leases.c.state).where(leases.c.id == lease)).scalar()
            if state != LeaseState.ACTIVE:
                return None
            found = standing(tx, name)
            if found is None:
                own_in(tx, lease, name, since)
                found = standing(tx, name)
            return found

    def of(self, lease: TenantId) -> list[OwnedStack]:
        """Return what a lease owns or owned."""
        query = select(stacks).where(stacks.c.lease == lease).order_by(stacks.c.name)
        with self._db.read() as tx:
            return [rows.stack(row) for row in tx.execute(query).mappings()]

    def due(self, boot: float) -> Sequence[OwnedStack]:
        """Return those to be removed whose attempt is due, longest first."""
        query = (
            select(stacks)
            .where(stacks.c.state == StackState.REMOVING, stacks.c.next_attempt <= boot)
            .order_by(stacks.c.next_attempt, stacks.c.since)
        )
        with self._db.read() as tx:
            return [rows.stack(row) for row in tx.execute(query).mappings()]

    def put_off(self, stack: OwnedStack, next_attempt: float, why: str, *, count: bool) -> None:
        """Try again at `next_attempt`; with `count` this attempt has failed."""
        with self._db.write() as tx:
            tx.execute(
                update(stacks)
                .where(
                    stacks.c.lease == stack.lease,
                    stacks.c.name == stack.name,
                    stacks.c.state == StackState.REMOVING,
                )
                .values(
                    attempts=stacks.c.attempts + (1 if count else 0),
                    next_attempt=next_attempt,
                    reason=why,
                )
            )

    def gone(self, stack: OwnedStack) -> bool:
        """`removing → gone`: looked for and not found."""
        with self._db.write() as tx:
            done = tx.execute(
                update(stacks)
                .where(
                    stacks.c.lease == stack.lease,
                    stacks.c.name == stack.name,
                    stacks.c.state.in_(sources(STACK_MOVES, StackState.GONE)),
                )
                .values(state=StackState.GONE, reason="")
            )
            return done.rowcount == 1

    def hurry(self) -> int:
        """Make every removal due now; return how many were waiting."""
        with self._db.write() as tx:
            return tx.execute(
                update(stacks)
                .where(stacks.c.state == StackState.REMOVING, stacks.c.next_attempt > 0)
                .values(next_attempt=0.0)
            ).rowcount

    def counts(self) -> dict[StackState, int]:
        """Count the stacks by state, every state named."""
        query = select(stacks.c.state, func.count()).group_by(stacks.c.state)
        with self._db.read() as tx:
            found = {StackState(state): count for state, count in tx.execute(query)}
        return {state: found.get(state, 0) for state in StackState}

    def in_state(self, state: StackState) -> list[OwnedStack]:
        """Return the stacks in `state`, oldest first."""
        query = select(stacks).where(stacks.c.state == state).order_by(stacks.c.since)
        with self._db.read() as tx:
            return [rows.stack(row) for row in tx.execute(query).mappings()]
