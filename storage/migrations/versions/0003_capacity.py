"""Capacity, retention and deletion."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from quota.retention import retained_until

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
    _keep_and_delete()


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


def _keep_and_delete() -> None:
    op.add_column("examinations", sa.Column("retained_until", sa.BigInteger(), nullable=True))
    op.add_column("examinations", sa.Column("deleted_at", sa.BigInteger(), nullable=True))
    op.create_index("ix_examinations_retained", "examinations", ["retained_until"])
    op.create_table(
        "deleted_objects",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("object_key", sa.String(length=200), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_deleted_objects"),
    )
    op.create_table(
        "operator_actions",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("acted_at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=100), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_operator_actions"),
    )
    _retain_what_is_there()


def _retain_what_is_there() -> None:
    """Until now every package stored for 15 years, and so did what is owed."""
    connection = op.get_bind()
    rows = connection.execute(
        sa.text(
            "SELECT x.id, x.admitted_at FROM examinations x "
            "JOIN accounts a ON a.id = x.account_id AND a.plan = 'per_exam'"
        )
    ).all()
    for row in rows:
        connection.execute(
            sa.text("UPDATE examinations SET retained_until = :until WHERE id = :id"),
            {"id": row.id, "until": retained_until(row.admitted_at, storage_years=15)},
        )
