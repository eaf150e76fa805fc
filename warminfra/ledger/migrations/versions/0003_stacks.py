"""The stacks that end with their lease"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from warminfra.ledger.tables import UtcTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "stacks",
        sa.Column("lease", sa.String(40), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("since", UtcTime(), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_attempt", sa.Float, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("lease", "name", name="pk_stacks"),
        sa.ForeignKeyConstraint(["lease"], ["leases.id"], name="fk_stacks_lease"),
    )
    op.create_index(
        "uq_stacks_name",
        "stacks",
        ["name"],
        unique=True,
        sqlite_where=sa.text("state <> 'gone'"),
        postgresql_where=sa.text("state <> 'gone'"),
    )
