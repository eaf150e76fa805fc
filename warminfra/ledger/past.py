"""Forgets what ended long ago, some at a time: a ledger must not grow for as long as it is used."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select

from warminfra.core.states import InstanceState, StackState, TenantState
from warminfra.ledger.database import Database
from warminfra.ledger.tables import instances, leases, recipes, stacks, templates, tenants

AT_ONCE = 500
"""Most tenants that are forgotten in one transaction: nobody waits long for the ledger."""


def forget(database: Database, before: datetime, at_once: int = AT_ONCE) -> int:
    """Delete tenants that were gone before then, with their leases and stacks; count them.

    Then the stopped instances and the templates that no row names any more.
    """
    kept = select(stacks.c.lease).where(stacks.c.state != StackState.GONE)
    old = (
        select(tenants.c.id)
        .where(
            tenants.c.state == TenantState.GONE,
            tenants.c.changed_at < before,
            tenants.c.id.not_in(kept),
        )
        .limit(at_once)
    )
    with database.write() as tx:
        gone = tx.execute(old).scalars().all()
        for column in (stacks.c.lease, leases.c.id, tenants.c.id):
            tx.execute(delete(column.table).where(column.in_(gone)))
        tx.execute(
            delete(instances).where(
                instances.c.state == InstanceState.STOPPED,
                instances.c.created_at < before,
                instances.c.id.not_in(select(tenants.c.instance)),
            )
        )
        tx.execute(
            delete(templates).where(
                templates.c.hash.not_in(select(recipes.c.template_hash)),
                templates.c.hash.not_in(select(tenants.c.template_hash)),
            )
        )
    return len(gone)
