"""An index in whose order the next tenant is picked"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_tenants_state_template_hash", "tenants")
    op.create_index(
        "ix_tenants_pick",
        "tenants",
        ["state", "template_hash", sa.text("reserved_for DESC"), "changed_at"],
    )
