"""Queries on `instances`. Each is one transaction; a forbidden move changes nothing."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, func, insert, select, update

from warminfra.core.ids import InstanceId
from warminfra.core.models import Instance
from warminfra.core.states import (
    INSTANCE_MOVES,
    LIVE_TENANT,
    InstanceKind,
    InstanceState,
    sources,
)
from warminfra.ledger import rows
from warminfra.ledger.database import Database
from warminfra.ledger.tables import instances, tenants

# What is asked in every tick, built once.
_BY_ID = select(instances).where(instances.c.id == bindparam("instance"))
_CURRENT = (
    select(instances)
    .where(instances.c.state != InstanceState.STOPPED)
    .order_by(instances.c.created_at, instances.c.id)
)
_LIVE_TENANTS = select(func.count()).where(
    tenants.c.instance == bindparam("instance"), tenants.c.state.in_(LIVE_TENANT)
)
_LEAST_LOADED = (
    select(instances.c.id)
    .where(instances.c.kind == bindparam("kind"), instances.c.state == InstanceState.READY)
    .order_by(
        select(func.count())
        .where(tenants.c.instance == instances.c.id, tenants.c.state.in_(LIVE_TENANT))
        .scalar_subquery(),
        instances.c.created_at,
        instances.c.id,
    )
    .limit(1)
)


class Instances:
    """The servers that this installation made or uses."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, instance: InstanceId, provider: str, kind: InstanceKind, now: datetime) -> None:
        """Write down the intent to start a new instance."""
        self._enter(instance, provider, kind, now, InstanceState.STARTING, made=0)

    def found(self, instance: InstanceId, provider: str, kind: InstanceKind, now: datetime) -> None:
        """Enter one that only its files told of. A dedicated one has had its tenant."""
        made = int(kind is InstanceKind.DEDICATED)
        self._enter(instance, provider, kind, now, InstanceState.UNHEALTHY, made)

    def _enter(
        self,
        instance: InstanceId,
        provider: str,
        kind: InstanceKind,
        now: datetime,
        state: InstanceState,
        made: int,
    ) -> None:
        row = {"id": instance, "provider": provider, "kind": kind, "state": state, "made": made}
        with self._db.write() as tx:
            tx.execute(insert(instances).values(**row, created_at=now))

    def move(
        self,
        instance: InstanceId,
        to: InstanceState,
        *,
        incarnation: str | None = None,
        unused: bool = False,
    ) -> bool:
        """Move to a state; False if the present one does not allow it, or with `unused` if a tenant
        was made there."""
        values: dict[str, str] = {"state": to}
        if incarnation is not None:
            values["incarnation"] = incarnation
        conditions = [
            instances.c.id == instance,
            instances.c.state.in_(sources(INSTANCE_MOVES, to)),
        ]
        if unused:
            conditions.append(instances.c.made == 0)
        with self._db.write() as tx:
            done = tx.execute(update(instances).where(*conditions).values(**values))
            return done.rowcount == 1

    def note(self, instance: InstanceId, note: str) -> None:
        """Record what is being done with it, or what is wrong: one line for people."""
        with self._db.write() as tx:
            tx.execute(update(instances).where(instances.c.id == instance).values(note=note))

    def get(self, instance: InstanceId) -> Instance | None:
        with self._db.read() as tx:
            row = tx.execute(_BY_ID, {"instance": instance}).mappings().first()
        return rows.instance(row) if row else None

    def current(self) -> list[Instance]:
        """Return all that are not stopped, oldest first."""
        with self._db.read() as tx:
            return [rows.instance(row) for row in tx.execute(_CURRENT).mappings()]

    def least_loaded(self, kind: InstanceKind) -> InstanceId | None:
        """Return the ready instance of the kind with the fewest live tenants, or None."""
        with self._db.read() as tx:
            found = tx.execute(_LEAST_LOADED, {"kind": kind}).scalar_one_or_none()
        return InstanceId(found) if found else None

    def live_tenants(self, instance: InstanceId) -> int:
        """Count the tenants that may exist on it."""
        with self._db.read() as tx:
            return int(tx.execute(_LIVE_TENANTS, {"instance": instance}).scalar_one())
