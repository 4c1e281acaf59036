"""An index of a meter's packages as they were credited: the latest that are over, for a look."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    op.create_index("ix_packages_meter", "packages", ["meter_id", "id"])
