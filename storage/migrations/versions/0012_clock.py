"""The clock's one row: when the keeper last saw it in order, and whether it is held."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it; 0 where no keeper has seen the clock yet."""
    made = op.create_table(
        "ledger_clock",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("beat_at", sa.BigInteger(), nullable=False),
        sa.Column("held_at", sa.BigInteger(), nullable=True),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("id = 1", name="ck_ledger_clock_one"),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_clock"),
    )
    op.bulk_insert(made, [{"id": 1, "beat_at": 0}])
