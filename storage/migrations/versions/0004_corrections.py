"""AI holds, an operator's corrections, notices, anchors of the journal."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TO_CREDIT = sa.text("credited_at IS NULL AND paid_at IS NOT NULL AND voided_at IS NULL")


def upgrade() -> None:
    """Add columns and tables; tell of the episodes that began before there were notices."""
    op.add_column("accounts", sa.Column("arrears_cap", sa.BigInteger(), nullable=True))
    op.add_column("orders", sa.Column("voided_at", sa.BigInteger(), nullable=True))
    op.drop_index("ix_orders_to_credit", table_name="orders")
    op.create_index(
        "ix_orders_to_credit",
        "orders",
        ["paid_at"],
        sqlite_where=_TO_CREDIT,
        postgresql_where=_TO_CREDIT,
    )
    op.add_column(
        "packages",
        sa.Column("unlimited", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.add_column("charges", sa.Column("ended_at", sa.BigInteger(), nullable=True))
    op.add_column("postings", sa.Column("hold_key", sa.String(length=100), nullable=True))
    _create_holds()
    _create_episode_moves()
    _create_notices()
    op.create_table(
        "anchors",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("anchored_at", sa.BigInteger(), nullable=False),
        sa.Column("through_posting_id", _ID, nullable=False),
        sa.Column("postings", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("entries", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_anchors"),
    )
    _forbid_changes("episode_moves", "anchors", "operator_actions")


def _create_holds() -> None:
    op.create_table(
        "holds",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("meter_id", _ID, nullable=False),
        sa.Column("key", sa.String(length=100), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("posted", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("held_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["meter_id"], ["meters.id"], name="fk_holds_meter_id"),
        sa.PrimaryKeyConstraint("id", name="pk_holds"),
        sa.UniqueConstraint("meter_id", "key", name="uq_holds_meter_id_key"),
    )
    op.create_index(
        "ix_holds_pending",
        "holds",
        ["meter_id", "expires_at"],
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_table(
        "hold_shares",
        sa.Column("hold_id", _ID, nullable=False),
        sa.Column("package_id", _ID, nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["hold_id"], ["holds.id"], name="fk_hold_shares_hold_id"),
        sa.ForeignKeyConstraint(["package_id"], ["packages.id"], name="fk_hold_shares_package_id"),
        sa.PrimaryKeyConstraint("hold_id", "package_id", name="pk_hold_shares"),
    )


def _create_episode_moves() -> None:
    op.create_table(
        "episode_moves",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("episode_id", _ID, nullable=False),
        sa.Column("started_before", sa.BigInteger(), nullable=False),
        sa.Column("deadline_before", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("deadline", sa.BigInteger(), nullable=False),
        sa.Column("moved_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["episode_id"], ["episodes.id"], name="fk_episode_moves_episode_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_episode_moves"),
    )
    op.create_index("ix_episode_moves_episode", "episode_moves", ["episode_id", "id"])


def _create_notices() -> None:
    op.create_table(
        "notices",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("account_id", _ID, nullable=False),
        sa.Column("meter", sa.String(length=64), nullable=True),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("raised_at", sa.BigInteger(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_notices_account_id"),
        sa.PrimaryKeyConstraint("id", name="pk_notices"),
        sa.UniqueConstraint("key", name="uq_notices_key"),
    )
    op.create_index("ix_notices_account", "notices", ["account_id", "id"])
    op.create_index(
        "ix_notices_undelivered",
        "notices",
        ["id"],
        sqlite_where=sa.text("delivered_at IS NULL"),
        postgresql_where=sa.text("delivered_at IS NULL"),
    )
    op.execute(
        "INSERT INTO notices (account_id, meter, kind, key, raised_at, details) "
        "SELECT m.account_id, m.name, 'arrears_started', "
        "'arrears_started:' || m.id || ':' || e.started_at, e.started_at, '{}' "
        "FROM episodes e JOIN meters m ON m.id = e.meter_id"
    )


def _forbid_changes(*tables: str) -> None:
    """Append-only as the journal is; the function of the triggers is migration 0001's."""
    body = (
        "FOR EACH STATEMENT EXECUTE FUNCTION tollgate_append_only()"
        if op.get_bind().dialect.name == "postgresql"
        else "BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END"
    )
    for table in tables:
        for action in ("UPDATE", "DELETE"):
            name = f"{table}_no_{action.lower()}"
            op.execute(f"CREATE TRIGGER {name} BEFORE {action} ON {table} {body}")
