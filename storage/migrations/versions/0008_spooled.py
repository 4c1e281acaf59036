"""Filing behind the answer: when an examination's generation began, what was let in unseen."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; a generation raised by an earlier deletion began with it, at the latest."""
    op.add_column("examinations", sa.Column("generation_at", sa.BigInteger(), nullable=True))
    op.add_column("examinations", sa.Column("provisional_at", sa.BigInteger(), nullable=True))
    op.execute(
        "UPDATE examinations SET generation_at = coalesce(deleted_at, admitted_at) "
        "WHERE generation > 0"
    )
    op.create_index("ix_deleted_objects_key", "deleted_objects", ["object_key"])
