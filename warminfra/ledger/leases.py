"""Queries on `leases`. A lease begins and ends in one transaction with its tenant.

`take` is the heart: the sharing decision, the choice of a ready tenant, its move to `leased` and
the lease's row are one transaction, so no two leases can have one tenant and no revert is missed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, insert, select, update

from warminfra.core.ids import InstanceId, TenantId, VerdictId
from warminfra.core.models import Decision, Lease, OwnedStack, Recipe, SharingFacts, Tenant
from warminfra.core.states import (
    LEASE_MOVES,
    TENANT_MOVES,
    InstanceKind,
    InstanceState,
    LeaseState,
    TenantState,
    sources,
)
from warminfra.ledger import rows
from warminfra.ledger.database import Database
from warminfra.ledger.sharing import read_facts
from warminfra.ledger.stacks import own_in, remove_in, standing
from warminfra.ledger.tables import instances, leases, recipes, tenants
from warminfra.ledger.tenants import UNLEASED, retire_in

Decide = Callable[[SharingFacts, Recipe], Decision]
NewLease = Callable[[TenantId, Decision], Lease]

# Built once: to put these together took as long as the rest of a lease.
_BY_KEY = select(leases).where(leases.c.key_hash == bindparam("key"))
_RECIPE = select(recipes).where(recipes.c.name == bindparam("recipe"))
_LEASE = (
    update(tenants)
    .where(
        tenants.c.id == bindparam("tenant"),
        tenants.c.state.in_(sources(TENANT_MOVES, TenantState.LEASED)),
    )
    .values(state=TenantState.LEASED, changed_at=bindparam("now"), reserved_for="")
)
_LEASABLE = (
    select(tenants)
    .join(instances, instances.c.id == tenants.c.instance)
    .where(
        tenants.c.state == TenantState.READY,
        tenants.c.template_hash == bindparam("template"),
        tenants.c.reserved_for.in_(bindparam("reserved", expanding=True)),
        instances.c.state == InstanceState.READY,
        instances.c.kind == bindparam("kind"),
    )
    .order_by(tenants.c.reserved_for.desc(), tenants.c.changed_at)
    .limit(1)
    .offset(bindparam("skip"))
)
"""In the order of an index, so that it costs the same from a pool of ten and of hundreds."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A ready tenant became a lease."""

    lease: Lease
    tenant: Tenant
    recipe: Recipe


@dataclass(frozen=True, slots=True)
class NotTaken:
    """No lease: the recipe is unknown (None), or no tenant is ready in the decision's mode."""

    recipe: Recipe | None
    decision: Decision | None


@dataclass(frozen=True, slots=True)
class StackTaken:
    """No lease: the stack of that name belongs to another lease, or is being taken down."""

    stack: OwnedStack


class Leases:
    """Every lease that was ever granted."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def take(
        self,
        recipe: str,
        key_hash: str,
        decide: Decide,
        new_lease: NewLease,
        now: datetime,
        *,
        ahead: Collection[str] = (),
        stack: str = "",
    ) -> Taken | NotTaken | StackTaken | Lease:
        """Lease a ready tenant of the recipe's present template, on the kind of instance decided.

        A request that has its lease already, active or ended, gets that one and no other.
        Takes the tenant reserved for this request first, else one reserved for nobody that is left
        when those who came before (`ahead`, by key hash) have one each. With `stack` the lease owns
        what will have that name, from the same moment on.
        """
        with self._db.write() as tx:
            if known := tx.execute(_BY_KEY, {"key": key_hash}).mappings().first():
                return rows.lease(known)
            if stack and (other := standing(tx, stack)):
                return StackTaken(other)
            row = tx.execute(_RECIPE, {"recipe": recipe}).mappings().first()
            if row is None:
                return NotTaken(None, None)
            enrolled = rows.recipe(row)
            decision = decide(read_facts(tx), enrolled)
            tenant = _pick(tx, enrolled, decision.kind, key_hash, ahead)
            if tenant is None:
                return NotTaken(enrolled, decision)
            if tx.execute(_LEASE, {"tenant": tenant.id, "now": now}).rowcount != 1:
                return NotTaken(enrolled, decision)
            lease = new_lease(tenant.id, decision)
            tx.execute(insert(leases), rows.lease_values(lease))
            if stack:
                own_in(tx, lease.id, stack, now)
            return Taken(lease, tenant, enrolled)

    def end(
        self,
        lease: TenantId,
        state: LeaseState,
        reason: str,
        now: datetime,
        *,
        forget_key: bool = False,
    ) -> bool:
        """End an active lease and retire its tenant; False if it had ended already.

        `forget_key` lets the same request ask anew (its lease never got into its hands).
        """
        values: dict[str, object] = {"state": state, "ended_at": now, "end_reason": reason}
        if forget_key:
            values["key_hash"] = ""
        with self._db.write() as tx:
            done = tx.execute(
                update(leases)
                .where(leases.c.id == lease, leases.c.state.in_(sources(LEASE_MOVES, state)))
                .values(**values)
            )
            if done.rowcount != 1:
                return False
            retire_in(tx, lease, f"lease {state}: {reason}", now)
            remove_in(tx, lease)
            return True

    def renew(
        self, lease: TenantId, ttl: float, deadline: float, expires_at: datetime
    ) -> Lease | None:
        """Move the deadline of an active lease; None if it has ended. A hold is never shortened."""
        with self._db.write() as tx:
            active = (leases.c.id == lease) & (leases.c.state == LeaseState.ACTIVE)
            row = tx.execute(select(leases).where(active)).mappings().first()
            if row is None:
                return None
            found = rows.lease(row)
            if found.held_until is not None:
                deadline = max(deadline, found.deadline)
                expires_at = max(expires_at, found.expires_at)
            tx.execute(
                update(leases)
                .where(active)
                .values(ttl=ttl, deadline=deadline, expires_at=expires_at)
            )
            return replace(found, ttl=ttl, deadline=deadline, expires_at=expires_at)

    def set_domain(self, lease: TenantId, domain: str) -> bool:
        """Record the domain that was applied; False if the lease has ended."""
        with self._db.write() as tx:
            done = tx.execute(
                update(leases)
                .where(leases.c.id == lease, leases.c.state == LeaseState.ACTIVE)
                .values(domain=domain)
            )
            return done.rowcount == 1

    def resume(self, boot: float, boot_id: str, now: datetime, grace: float) -> int:
        """Give the active leases a time to beat again after a restart; return how many.

        No deadline is nearer than the grace, which is never longer than the lease's own ttl; none
        is further than that ttl, or the end of its hold. After a reboot the wall clock says what is
        left.
        """
        count = 0
        with self._db.write() as tx:
            active = select(leases).where(leases.c.state == LeaseState.ACTIVE)
            for row in tx.execute(active).mappings().all():
                lease = rows.lease(row)
                left = (
                    lease.deadline - boot
                    if lease.boot_id == boot_id
                    else (lease.expires_at - now).total_seconds()
                )
                held = (lease.held_until - now).total_seconds() if lease.held_until else 0.0
                left = min(max(left, min(grace, lease.ttl)), max(lease.ttl, held))
                tx.execute(
                    update(leases)
                    .where(leases.c.id == lease.id)
                    .values(deadline=boot + left, boot_id=boot_id)
                )
                count += 1
        return count

    def get(self, lease: TenantId) -> Lease | None:
        with self._db.read() as tx:
            row = tx.execute(select(leases).where(leases.c.id == lease)).mappings().first()
        return rows.lease(row) if row else None

    def by_key(self, key_hash: str) -> Lease | None:
        with self._db.read() as tx:
            row = tx.execute(_BY_KEY, {"key": key_hash}).mappings().first()
        return rows.lease(row) if row else None

    def active(self, instance: InstanceId | None = None) -> list[Lease]:
        """Return the active leases, oldest first."""
        query = select(leases).where(leases.c.state == LeaseState.ACTIVE)
        if instance is not None:
            query = query.join(tenants, tenants.c.id == leases.c.id).where(
                tenants.c.instance == instance
            )
        with self._db.read() as tx:
            ordered = query.order_by(leases.c.created_at)
            return [rows.lease(row) for row in tx.execute(ordered).mappings()]

    def of_run(self, run: str) -> list[Lease]:
        """Return every lease of a run, ended ones too, oldest first."""
        query = select(leases).where(leases.c.run == run).order_by(leases.c.created_at)
        with self._db.read() as tx:
            return [rows.lease(row) for row in tx.execute(query).mappings()]

    def under(self, verdict: VerdictId) -> list[Lease]:
        """Return every lease that was shared on the word of the verdict, ended ones too."""
        query = select(leases).where(leases.c.verdict == verdict).order_by(leases.c.created_at)
        with self._db.read() as tx:
            return [rows.lease(row) for row in tx.execute(query).mappings()]

    def last_by_recipe(self) -> dict[str, datetime]:
        """Return when each recipe was leased last."""
        query = select(leases.c.recipe, func.max(leases.c.created_at)).group_by(leases.c.recipe)
        with self._db.read() as tx:
            return {row[0]: row[1] for row in tx.execute(query)}

    def counts(self) -> dict[LeaseState, int]:
        """Count the leases by state, every state named."""
        query = select(leases.c.state, func.count()).group_by(leases.c.state)
        with self._db.read() as tx:
            found = {LeaseState(state): count for state, count in tx.execute(query)}
        return {state: found.get(state, 0) for state in LeaseState}


def _pick(
    tx: Connection, recipe: Recipe, kind: InstanceKind, key_hash: str, ahead: Collection[str]
) -> Tenant | None:
    """Choose the tenant to lease: ours if one was made for us, else the oldest that is free."""
    of = {"template": recipe.template_hash, "reserved": ("", key_hash), "kind": kind}
    found = tx.execute(_LEASABLE, {**of, "skip": 0}).mappings().first()
    if found is None:
        return None
    if ahead and not found["reserved_for"]:
        served = select(func.count()).where(
            tenants.c.state.in_(UNLEASED), tenants.c.reserved_for.in_(ahead)
        )
        before = len(ahead) - int(tx.execute(served).scalar_one())
        if before > 0:
            found = tx.execute(_LEASABLE, {**of, "skip": before}).mappings().first()
    return rows.tenant(found) if found else None
