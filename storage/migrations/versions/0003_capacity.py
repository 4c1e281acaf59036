"""Capacity: levels of stored bytes, terms and renewals, beginnings that lie ahead."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the columns, and count what is stored already."""
    op.add_column(
        "order_lines", sa.Column("years", sa.Integer(), server_default="1", nullable=False)
    )
    op.add_column("order_lines", sa.Column("renews_package_id", _ID, nullable=True))
    op.add_column(
        "meters", sa.Column("stored", sa.BigInteger(), server_default="0", nullable=False)
    )
    op.add_column("packages", sa.Column("activated_at", sa.BigInteger(), nullable=True))
    # Until now every package was usable from its credit on.
    op.execute("UPDATE packages SET activated_at = effective_at")
    op.create_index(
        "ix_packages_ahead",
        "packages",
        ["meter_id", "effective_at"],
        sqlite_where=sa.text("activated_at IS NULL AND ended_at IS NULL"),
        postgresql_where=sa.text("activated_at IS NULL AND ended_at IS NULL"),
    )
    op.create_table(
        "level_moves",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("meter_id", _ID, nullable=False),
        sa.Column("delta", sa.BigInteger(), nullable=False),
        sa.Column("moved_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["meter_id"], ["meters.id"], name="fk_level_moves_meter_id"),
        sa.PrimaryKeyConstraint("id", name="pk_level_moves"),
    )
    op.create_index("ix_level_moves_meter", "level_moves", ["meter_id", "id"])
    _count_what_is_stored()


def _count_what_is_stored() -> None:
    """One move per account with examinations, at the last instant of any of its meters."""
    op.execute(
        "INSERT INTO meters (account_id, name, last_at) "
        "SELECT DISTINCT x.account_id, 'capacity', max(x.admitted_at) FROM examinations x "
        "WHERE NOT EXISTS (SELECT 1 FROM meters m "
        "WHERE m.account_id = x.account_id AND m.name = 'capacity') GROUP BY x.account_id"
    )
    op.execute(
        "UPDATE meters SET stored = coalesce((SELECT sum(x.bytes) FROM examinations x "
        "WHERE x.account_id = meters.account_id), 0) WHERE name = 'capacity'"
    )
    op.execute(
        "INSERT INTO level_moves (meter_id, delta, moved_at) "
        "SELECT id, stored, last_at FROM meters WHERE stored > 0"
    )
