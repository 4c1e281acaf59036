"""An index of a meter's empty packages as they were credited: the latest that are over."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    where = sa.text("remaining <= 0")
    op.create_index(
        "ix_packages_empty",
        "packages",
        ["meter_id", "id"],
        sqlite_where=where,
        postgresql_where=where,
    )
