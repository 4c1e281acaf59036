"""Whose bytes wait in a spool."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the table; workers fill it within seconds."""
    op.create_table(
        "spool_pending",
        sa.Column("spool_id", sa.String(length=36), nullable=False),
        sa.Column("account_id", _ID, autoincrement=False, nullable=False),
        sa.Column("bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["spool_id"], ["spools.id"], name="fk_spool_pending_spool_id"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_spool_pending_account_id"
        ),
        sa.PrimaryKeyConstraint("spool_id", "account_id", name="pk_spool_pending"),
    )
