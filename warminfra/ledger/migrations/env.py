"""Alembic's environment: the engine comes from the caller, in one transaction."""

from __future__ import annotations

from alembic import context

from warminfra.ledger.tables import metadata

with context.config.attributes["engine"].begin() as connection:
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
