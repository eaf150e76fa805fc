"""Leases know their run's key, and may be held"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from warminfra.ledger.tables import UtcTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("leases", sa.Column("run_key", sa.String(64), nullable=False, server_default=""))
    op.add_column("leases", sa.Column("held_until", UtcTime(), nullable=True))
    op.add_column(
        "leases", sa.Column("held_memory", sa.BigInteger, nullable=False, server_default="0")
    )
    op.create_index("ix_leases_run", "leases", ["run"])
