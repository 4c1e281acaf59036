"""Indexes of the examinations that need not be kept any longer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Leave out what is deleted, which would be read first, and find what capacity kept."""
    op.drop_index("ix_examinations_retained", "examinations")
    _create("ix_examinations_retained", ["retained_until", "id"], "IS NOT NULL")
    _create("ix_examinations_by_capacity", ["account_id", "id"], "IS NULL")


def _create(name: str, columns: list[str], retained_until: str) -> None:
    where = sa.text(f"deleted_at IS NULL AND retained_until {retained_until}")
    op.create_index(name, "examinations", columns, sqlite_where=where, postgresql_where=where)
