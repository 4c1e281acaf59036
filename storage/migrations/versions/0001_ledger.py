"""Accounts, orders and the ledger.

A frozen copy: it says what the tables were, `storage.tables` what they are.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TEXT64 = sa.String(length=64)


def upgrade() -> None:
    """Create the tables."""
    _create_registry()
    _create_orders()
    _create_ledger()
    _create_charges()
    _create_journal()
    _refuse_changes_to_the_journal()


def _where(condition: str) -> dict[str, Any]:
    # a partial index, on both databases
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def _refuse_changes_to_the_journal() -> None:
    # The ledger is append-only, and the database sees to it (quota.md section 3).
    postgresql = op.get_bind().dialect.name == "postgresql"
    if postgresql:
        op.execute(
            "CREATE FUNCTION tollgate_append_only() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'the journal is append-only'; END $$"
        )
    body = (
        "FOR EACH STATEMENT EXECUTE FUNCTION tollgate_append_only()"
        if postgresql
        else "BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END"
    )
    for table in ("postings", "entries"):
        for action in ("UPDATE", "DELETE"):
            name = f"{table}_no_{action.lower()}"
            op.execute(f"CREATE TRIGGER {name} BEFORE {action} ON {table} {body}")


def _create_registry() -> None:
    # tidy: long because a frozen table is one statement, and these belong together
    op.create_table(
        "accounts",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("plan", sa.String(length=20), nullable=False),
        sa.Column("agreement_no", sa.String(length=200), nullable=False),
        sa.Column("timezone", _TEXT64, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
        sa.UniqueConstraint("name", name="uq_accounts_name"),
    )
    op.create_table(
        "institutions",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("account_id", _ID, nullable=False),
        sa.Column("called_ae_title", sa.String(length=16), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_institutions_account_id"),
        sa.PrimaryKeyConstraint("id", name="pk_institutions"),
        sa.UniqueConstraint("called_ae_title", name="uq_institutions_called_ae_title"),
        sa.UniqueConstraint("name", name="uq_institutions_name"),
    )
    op.create_table(
        "devices",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("ae_title", sa.String(length=16), nullable=False),
        sa.Column("institution_id", _ID, nullable=False),
        sa.Column("grouping", sa.String(length=20), nullable=False),
        sa.Column(
            "tolerates_leading_zeros", sa.Boolean(), server_default=sa.false(), nullable=False
        ),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["institution_id"], ["institutions.id"], name="fk_devices_institution_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_devices"),
        sa.UniqueConstraint(
            "institution_id", "ae_title", name="uq_devices_institution_id_ae_title"
        ),
    )
    op.create_table(
        "device_networks",
        sa.Column("device_id", _ID, nullable=False),
        sa.Column("network", _TEXT64, nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name="fk_device_networks_device_id"),
        sa.PrimaryKeyConstraint("device_id", "network", name="pk_device_networks"),
    )
    op.create_table(
        "device_sop_classes",
        sa.Column("device_id", _ID, nullable=False),
        sa.Column("sop_class_uid", _TEXT64, nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name="fk_device_sop_classes_device_id"
        ),
        sa.PrimaryKeyConstraint("device_id", "sop_class_uid", name="pk_device_sop_classes"),
    )


def _create_orders() -> None:
    op.create_table(
        "orders",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("number", _TEXT64, nullable=False),
        sa.Column("account_id", _ID, nullable=False),
        sa.Column("fingerprint", _TEXT64, nullable=False),
        sa.Column("placed_at", sa.BigInteger(), nullable=False),
        sa.Column("paid_at", sa.BigInteger(), nullable=True),
        sa.Column("credited_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_orders_account_id"),
        sa.PrimaryKeyConstraint("id", name="pk_orders"),
        sa.UniqueConstraint("number", name="uq_orders_number"),
    )
    op.create_index(
        "ix_orders_to_credit",
        "orders",
        ["paid_at"],
        **_where("credited_at IS NULL AND paid_at IS NOT NULL"),
    )
    op.create_table(
        "order_lines",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("order_id", _ID, nullable=False),
        sa.Column("line_no", sa.Integer(), nullable=False),
        sa.Column("meter", _TEXT64, nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("storage_years", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name="fk_order_lines_order_id"),
        sa.PrimaryKeyConstraint("id", name="pk_order_lines"),
        sa.UniqueConstraint("order_id", "line_no", name="uq_order_lines_order_id_line_no"),
    )


def _create_ledger() -> None:
    op.create_table(
        "meters",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("account_id", _ID, nullable=False),
        sa.Column("name", _TEXT64, nullable=False),
        sa.Column("last_at", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("purchased", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("available", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("held", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("consumed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("owed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("expired", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("voided", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("written_off", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("active_quantity", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_meters_account_id"),
        sa.PrimaryKeyConstraint("id", name="pk_meters"),
        sa.UniqueConstraint("account_id", "name", name="uq_meters_account_id_name"),
    )
    op.create_table(
        "packages",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("meter_id", _ID, nullable=False),
        sa.Column("order_line_id", _ID, nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("remaining", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("purchased_at", sa.BigInteger(), nullable=False),
        sa.Column("effective_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("credited_at", sa.BigInteger(), nullable=False),
        sa.Column("storage_years", sa.Integer(), nullable=False),
        sa.Column("voided_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["meter_id"], ["meters.id"], name="fk_packages_meter_id"),
        sa.ForeignKeyConstraint(
            ["order_line_id"], ["order_lines.id"], name="fk_packages_order_line_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_packages"),
        sa.UniqueConstraint("order_line_id", name="uq_packages_order_line_id"),
    )
    op.create_index(
        "ix_packages_active", "packages", ["meter_id", "expires_at"], **_where("ended_at IS NULL")
    )
    op.create_index(
        "ix_packages_burn", "packages", ["meter_id", "expires_at", "id"], **_where("remaining > 0")
    )


def _create_charges() -> None:
    op.create_table(
        "episodes",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("meter_id", _ID, nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("deadline", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["meter_id"], ["meters.id"], name="fk_episodes_meter_id"),
        sa.PrimaryKeyConstraint("id", name="pk_episodes"),
    )
    op.create_index(
        "uq_episodes_open", "episodes", ["meter_id"], unique=True, **_where("closed_at IS NULL")
    )
    op.create_table(
        "charges",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("meter_id", _ID, nullable=False),
        sa.Column("examination_id", sa.String(length=36), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("package_id", _ID, nullable=True),
        sa.Column("charged_at", sa.BigInteger(), nullable=False),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["meter_id"], ["meters.id"], name="fk_charges_meter_id"),
        sa.ForeignKeyConstraint(["package_id"], ["packages.id"], name="fk_charges_package_id"),
        sa.PrimaryKeyConstraint("id", name="pk_charges"),
    )
    op.create_index("ix_charges_examination", "charges", ["examination_id", "id"])
    op.create_index("ix_charges_owed", "charges", ["meter_id", "id"], **_where("state = 'owed'"))
    op.create_index(
        "uq_charges_standing",
        "charges",
        ["examination_id"],
        unique=True,
        **_where("state IN ('funded', 'owed')"),
    )


def _create_journal() -> None:
    op.create_table(
        "postings",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("meter_id", _ID, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("effective_at", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("examination_id", sa.String(length=36), nullable=True),
        sa.Column("order_line_id", _ID, nullable=True),
        sa.ForeignKeyConstraint(["meter_id"], ["meters.id"], name="fk_postings_meter_id"),
        sa.ForeignKeyConstraint(
            ["order_line_id"], ["order_lines.id"], name="fk_postings_order_line_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_postings"),
    )
    op.create_index("ix_postings_examination", "postings", ["examination_id"])
    op.create_index("ix_postings_meter", "postings", ["meter_id", "id"])
    op.create_table(
        "entries",
        sa.Column("posting_id", _ID, nullable=False),
        sa.Column("line_no", sa.Integer(), nullable=False),
        sa.Column("account", sa.String(length=20), nullable=False),
        sa.Column("package_id", _ID, nullable=True),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["package_id"], ["packages.id"], name="fk_entries_package_id"),
        sa.ForeignKeyConstraint(["posting_id"], ["postings.id"], name="fk_entries_posting_id"),
        sa.PrimaryKeyConstraint("posting_id", "line_no", name="pk_entries"),
    )
