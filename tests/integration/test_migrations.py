"""The migrations make exactly the tables that the code uses."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from warminfra.ledger import Ledger
from warminfra.ledger.tables import metadata


def test_migrations_and_tables_agree(ledger: Ledger) -> None:
    """A ledger made by migrations differs in nothing from the declared tables."""
    with ledger.database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_opening_twice_changes_nothing(ledger: Ledger) -> None:
    """A second service start finds its ledger as the first left it."""
    again = Ledger.open(ledger.database.path)
    assert again.instances.current() == []
    again.close()
