"""Who waits for a lease keeps the place over a restart"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from warminfra.ledger.tables import UtcTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tickets",
        sa.Column("number", sa.Integer, nullable=False, autoincrement=True),
        sa.Column("key_hash", sa.String(64), nullable=False),
        sa.Column("recipe", sa.String(200), nullable=False),
        sa.Column("mode", sa.String(20), nullable=False),
        sa.Column("entered_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_tickets"),
        sa.UniqueConstraint("key_hash", name="uq_tickets_key_hash"),
    )
