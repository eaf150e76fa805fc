"""Queries on `tenants`. Each is one transaction, each move is guarded by the state it leaves.

The row `creating` is committed before the provider is called; material is wiped with `gone`.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, bindparam, func, insert, select, update

from warminfra.core.ids import InstanceId, TemplateHash, TenantId
from warminfra.core.models import Tenant, TenantFacts, TenantMaterial
from warminfra.core.states import (
    TENANT_MOVES,
    InstanceKind,
    InstanceState,
    StackState,
    TenantState,
    sources,
)
from warminfra.ledger import rows
from warminfra.ledger.database import Database
from warminfra.ledger.tables import instances, stacks, tenants

UNLEASED = (TenantState.CREATING, TenantState.READY)


def _on(kind: InstanceKind) -> ColumnElement[bool]:
    """Return the condition that a tenant is on an instance of the kind."""
    return tenants.c.instance.in_(select(instances.c.id).where(instances.c.kind == kind))


# What is asked in every tick, built once: to put these together took as long as to ask.
_BY_ID = select(tenants).where(tenants.c.id == bindparam("tenant"))
_COUNTS = select(tenants.c.state, func.count()).group_by(tenants.c.state)
_RESERVED = select(tenants.c.reserved_for).where(
    tenants.c.state.in_(UNLEASED), tenants.c.reserved_for != ""
)
_WAITS_FOR_ITS_STACK = (
    select(stacks.c.lease)
    .where(
        stacks.c.lease == tenants.c.id,
        stacks.c.state != StackState.GONE,
        stacks.c.attempts < bindparam("patience"),
    )
    .exists()
)
_DUE = (
    select(tenants)
    .where(
        tenants.c.instance == bindparam("instance"),
        tenants.c.state == TenantState.RETIRING,
        tenants.c.next_attempt <= bindparam("boot"),
        tenants.c.id.not_in(bindparam("but", expanding=True)),
        ~_WAITS_FOR_ITS_STACK,
    )
    .order_by(tenants.c.next_attempt, tenants.c.changed_at)
    .limit(1)
)
_POOLED = (
    select(func.count())
    .select_from(tenants.join(instances, tenants.c.instance == instances.c.id))
    .where(
        tenants.c.template_hash == bindparam("template"),
        tenants.c.state.in_(UNLEASED),
        tenants.c.reserved_for == "",
        instances.c.state != InstanceState.DRAINING,
        instances.c.kind == bindparam("kind"),
    )
)
_POOLED_TEMPLATES = (
    select(tenants.c.template_hash)
    .where(tenants.c.state == TenantState.READY, _on(InstanceKind.WARM))
    .distinct()
)
_READY = (
    select(tenants.c.id)
    .where(
        tenants.c.template_hash == bindparam("template"),
        tenants.c.state == TenantState.READY,
        _on(InstanceKind.WARM),
    )
    .order_by(tenants.c.changed_at)
)
_READY_FOR_ANYBODY = _READY.where(tenants.c.reserved_for == "")


def retire_in(tx: Connection, tenant: TenantId, reason: str, now: datetime) -> bool:
    """Move a tenant to `retiring` inside the caller's transaction."""
    done = tx.execute(
        update(tenants)
        .where(
            tenants.c.id == tenant,
            tenants.c.state.in_(sources(TENANT_MOVES, TenantState.RETIRING)),
        )
        .values(
            state=TenantState.RETIRING,
            reason=reason,
            changed_at=now,
            reserved_for="",
            next_attempt=0.0,
        )
    )
    return done.rowcount == 1


class Tenants:
    """Every tenant that this installation ever intended to make."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def intend(
        self,
        tenant: TenantId,
        *,
        instance: InstanceId,
        incarnation: str,
        recipe: str,
        template_hash: TemplateHash,
        material: TenantMaterial,
        reserved_for: str,
        uncertain_until: float,
        now: datetime,
    ) -> None:
        """Write down that the provider is about to be asked for this tenant."""
        with self._db.write() as tx:
            tx.execute(
                insert(tenants).values(
                    id=tenant,
                    instance=instance,
                    incarnation=incarnation,
                    recipe=recipe,
                    template_hash=template_hash,
                    state=TenantState.CREATING,
                    material=material.to_json(),
                    reserved_for=reserved_for,
                    uncertain_until=uncertain_until,
                    created_at=now,
                    changed_at=now,
                )
            )
            tx.execute(
                update(instances)
                .where(instances.c.id == instance)
                .values(made=instances.c.made + 1)
            )

    def made(self, tenant: TenantId, facts: TenantFacts, made_ms: float, now: datetime) -> bool:
        """`creating → ready`: the provider made it, complete and readable."""
        with self._db.write() as tx:
            done = tx.execute(
                update(tenants)
                .where(
                    tenants.c.id == tenant,
                    tenants.c.state.in_(sources(TENANT_MOVES, TenantState.READY)),
                )
                .values(
                    state=TenantState.READY,
                    facts=rows.facts_to_json(facts),
                    made_ms=made_ms,
                    uncertain_until=0.0,
                    changed_at=now,
                )
            )
            return done.rowcount == 1

    def retire(
        self, tenant: TenantId, reason: str, now: datetime, *, certain: bool = False
    ) -> bool:
        """Retire a tenant that no lease has. `certain`: its create is known not to be under way."""
        with self._db.write() as tx:
            if certain:
                tx.execute(
                    update(tenants).where(tenants.c.id == tenant).values(uncertain_until=0.0)
                )
            state = select(tenants.c.state).where(tenants.c.id == tenant)
            if tx.execute(state).scalar_one_or_none() not in UNLEASED:
                return False
            return retire_in(tx, tenant, reason, now)

    def retire_where(
        self,
        reason: str,
        now: datetime,
        *,
        states: Collection[TenantState] = UNLEASED,
        instance: InstanceId | None = None,
    ) -> int:
        """Retire all unleased tenants in `states`, of one instance if given; return how many."""
        conditions: list[ColumnElement[bool]] = [tenants.c.state.in_(set(states) & set(UNLEASED))]
        if instance is not None:
            conditions.append(tenants.c.instance == instance)
        with self._db.write() as tx:
            found = tx.execute(select(tenants.c.id).where(*conditions)).scalars().all()
            return sum(retire_in(tx, TenantId(tenant), reason, now) for tenant in found)

    def retire_surplus(self, template_hash: TemplateHash, keep: int | None, now: datetime) -> int:
        """Retire the newest pooled tenants of a template that are more than `keep`; count them.

        Those reserved for a waiting request are neither counted nor touched, unless `keep` is None:
        then no recipe may have the template any more.
        """
        ready = _READY if keep is None else _READY_FOR_ANYBODY
        with self._db.write() as tx:
            found = tx.execute(ready, {"template": template_hash}).scalars().all()
            return sum(
                retire_in(tx, TenantId(tenant), "more than its recipe may have ready", now)
                for tenant in found[keep or 0 :]
            )

    def failed(self, tenant: TenantId, next_attempt: float, why: str, *, count: bool) -> None:
        """Put the next teardown attempt off; with `count` it was a failure."""
        with self._db.write() as tx:
            tx.execute(
                update(tenants)
                .where(tenants.c.id == tenant, tenants.c.state == TenantState.RETIRING)
                .values(
                    attempts=tenants.c.attempts + (1 if count else 0),
                    next_attempt=next_attempt,
                    reason=why,
                )
            )

    def gone(self, tenant: TenantId, now: datetime) -> bool:
        """`retiring → gone`: looked for and not found. Its secrets are wiped first.

        False if that could not be done, or if it is not being retired.
        """
        return self._gone(tenants.c.id == tenant, now) == 1

    def gone_with(self, instance: InstanceId, now: datetime) -> bool:
        """The same for all that were being retired on an instance whose data is no more.

        False if that could not be done.
        """
        return self._gone(tenants.c.instance == instance, now) is not None

    def _gone(self, which: ColumnElement[bool], now: datetime) -> int | None:
        """Move them; return how many, None if their secrets still stand in a file."""
        retiring = which & tenants.c.state.in_(sources(TENANT_MOVES, TenantState.GONE))
        with self._db.write() as tx:
            tx.execute(update(tenants).where(retiring).values(material=None))
        if not self._db.forget():
            return None
        with self._db.write() as tx:
            return tx.execute(
                update(tenants).where(retiring).values(state=TenantState.GONE, changed_at=now)
            ).rowcount

    def found(
        self, tenant: TenantId, instance: InstanceId, first_attempt: float, now: datetime
    ) -> None:
        """Enter a tenant of ours that only the provider knew (a ledger that was rebuilt).

        It is never handed out: it gets a grace period until `first_attempt`, then it is retired.
        """
        with self._db.write() as tx:
            tx.execute(
                insert(tenants).values(
                    id=tenant,
                    instance=instance,
                    recipe="",
                    template_hash="",
                    state=TenantState.RETIRING,
                    next_attempt=first_attempt,
                    reason="found at the provider, unknown to the ledger",
                    created_at=now,
                    changed_at=now,
                )
            )

    def reserved(self) -> set[str]:
        """Return the key hashes of the requests for which a tenant is ready or being made."""
        with self._db.read() as tx:
            return set(tx.execute(_RESERVED).scalars())

    def unreserve(self, reserved_for: str | None = None) -> int:
        """Give reserved tenants to everybody: those of one waiting request, or all."""
        query = (
            update(tenants)
            .where(tenants.c.state.in_(UNLEASED), tenants.c.reserved_for != "")
            .values(reserved_for="")
        )
        if reserved_for is not None:
            query = query.where(tenants.c.reserved_for == reserved_for)
        with self._db.write() as tx:
            return tx.execute(query).rowcount

    def hurry(self, tenant: TenantId | None = None, instance: InstanceId | None = None) -> int:
        """Make teardowns due now: one, or all that have failed, of an instance or of any.

        One that has never been tried waits for its time: a grace period is no failure. Return how
        many were waiting.
        """
        query = (
            update(tenants)
            .where(tenants.c.state == TenantState.RETIRING, tenants.c.next_attempt > 0)
            .values(next_attempt=0.0)
        )
        if tenant is not None:
            query = query.where(tenants.c.id == tenant)
        else:
            query = query.where(tenants.c.attempts > 0)
        if instance is not None:
            query = query.where(tenants.c.instance == instance)
        with self._db.write() as tx:
            return tx.execute(query).rowcount

    def cap_waits(self, instance: InstanceId, latest: float) -> None:
        """Bring what waits for a time on the instance within `latest`, the longest there can be.

        It was written before a reboot, whose boot clock was another.
        """
        ours = tenants.c.instance == instance
        with self._db.write() as tx:
            for column in (tenants.c.uncertain_until, tenants.c.next_attempt):
                tx.execute(update(tenants).where(ours, column > latest).values({column: latest}))

    def settle(self, instance: InstanceId, incarnation: str) -> int:
        """Clear the doubt of creates sent to earlier incarnations: a dead server does nothing.

        What waits for no more than that is due at once.
        """
        with self._db.write() as tx:
            return tx.execute(
                update(tenants)
                .where(
                    tenants.c.instance == instance,
                    tenants.c.incarnation != incarnation,
                    tenants.c.uncertain_until > 0,
                )
                .values(uncertain_until=0.0, next_attempt=0.0)
            ).rowcount

    def get(self, tenant: TenantId) -> Tenant | None:
        with self._db.read() as tx:
            row = tx.execute(_BY_ID, {"tenant": tenant}).mappings().first()
        return rows.tenant(row) if row else None

    def in_states(
        self, states: Collection[TenantState], instance: InstanceId | None = None
    ) -> list[Tenant]:
        """Return the tenants in `states`, oldest change first."""
        query = select(tenants).where(tenants.c.state.in_(states)).order_by(tenants.c.changed_at)
        if instance is not None:
            query = query.where(tenants.c.instance == instance)
        with self._db.read() as tx:
            return [rows.tenant(row) for row in tx.execute(query).mappings()]

    def due_for_teardown(
        self,
        instance: InstanceId,
        boot: float,
        patience: int,
        but: Collection[TenantId] = (),
    ) -> Tenant | None:
        """Return the retiring tenant whose attempt has been due longest, `but` for those, if any.

        One whose lease still has a stack waits for it, until `patience` attempts to remove the
        stack have failed.
        """
        asked = {"instance": instance, "boot": boot, "patience": patience, "but": list(but)}
        with self._db.read() as tx:
            row = tx.execute(_DUE, asked).mappings().first()
        return rows.tenant(row) if row else None

    def pooled(self, template_hash: TemplateHash, kind: InstanceKind = InstanceKind.WARM) -> int:
        """Count the tenants of a template that are ready, or being made, for anybody."""
        with self._db.read() as tx:
            asked = {"template": template_hash, "kind": kind}
            return int(tx.execute(_POOLED, asked).scalar_one())

    def pooled_templates(self) -> set[TemplateHash]:
        """Return the templates of which a ready tenant exists in the pool."""
        with self._db.read() as tx:
            return {TemplateHash(found) for found in tx.execute(_POOLED_TEMPLATES).scalars()}

    def counts(self) -> dict[TenantState, int]:
        """Count the tenants by state, every state named."""
        with self._db.read() as tx:
            found = {TenantState(state): count for state, count in tx.execute(_COUNTS)}
        return {state: found.get(state, 0) for state in TenantState}
