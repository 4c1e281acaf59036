"""The register of spools, and an index of the examinations of which nothing is stored."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_NOT_STORED = sa.text("instances = 0 AND deleted_at IS NULL")


def upgrade() -> None:
    """Add both; spools of today are registered once a worker has opened them."""
    op.create_table(
        "spools",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("first_seen", sa.BigInteger(), nullable=False),
        sa.Column("last_seen", sa.BigInteger(), nullable=False),
        sa.Column("filed_through", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("oldest_received_at", sa.BigInteger(), nullable=True),
        sa.Column("records", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("limit_bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("minute_bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("emptied_at", sa.BigInteger(), nullable=True),
        sa.Column("declared_lost_at", sa.BigInteger(), nullable=True),
        sa.Column("declared_by", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(declared_lost_at IS NULL) = (declared_by IS NULL) "
            "AND (declared_lost_at IS NULL) = (reason IS NULL)",
            name="ck_spools_declared",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_spools"),
    )
    op.create_index(
        "ix_examinations_not_stored",
        "examinations",
        ["admitted_at"],
        sqlite_where=_NOT_STORED,
        postgresql_where=_NOT_STORED,
    )
