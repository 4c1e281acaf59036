"""Consortia, licences, services, tokens of institutions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the tables, what an order says of them, and what keeps terms from overlapping."""
    _create_consortia()
    _create_tokens()
    _create_licences()
    _create_services()
    op.add_column(
        "order_lines", sa.Column("months", sa.Integer(), server_default="0", nullable=False)
    )
    op.add_column("order_lines", sa.Column("renews_licence_id", _ID, nullable=True))
    _add_reference("order_lines", "consortium_id", "consortia")
    _add_reference("orders", "institution_id", "institutions")
    _keep_terms_apart()


def _add_reference(table: str, column: str, target: str) -> None:
    # alembic adds a key in a statement of its own, which SQLite does not know.
    kind = "BIGINT" if op.get_bind().dialect.name == "postgresql" else "INTEGER"
    op.execute(
        f"ALTER TABLE {table} ADD COLUMN {column} {kind} "
        f"CONSTRAINT fk_{table}_{column} REFERENCES {target} (id)"
    )


def _create_consortia() -> None:
    op.create_table(
        "consortia",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("account_id", _ID, nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_consortia_account_id"),
        sa.PrimaryKeyConstraint("id", name="pk_consortia"),
        sa.UniqueConstraint("name", name="uq_consortia_name"),
    )
    op.create_table(
        "consortium_members",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("consortium_id", _ID, nullable=False),
        sa.Column("institution_id", _ID, nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.Column("removed_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["consortium_id"], ["consortia.id"], name="fk_consortium_members_consortium_id"
        ),
        sa.ForeignKeyConstraint(
            ["institution_id"], ["institutions.id"], name="fk_consortium_members_institution_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_consortium_members"),
    )
    op.create_index(
        "uq_consortium_members_now",
        "consortium_members",
        ["institution_id", "consortium_id"],
        unique=True,
        sqlite_where=sa.text("removed_at IS NULL"),
        postgresql_where=sa.text("removed_at IS NULL"),
    )


def _create_tokens() -> None:
    op.create_table(
        "institution_tokens",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("institution_id", _ID, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["institution_id"], ["institutions.id"], name="fk_institution_tokens_institution_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_institution_tokens"),
        sa.UniqueConstraint("sha256", name="uq_institution_tokens_sha256"),
    )
    op.create_index(
        "uq_institution_tokens_valid",
        "institution_tokens",
        ["institution_id"],
        unique=True,
        sqlite_where=sa.text("revoked_at IS NULL"),
        postgresql_where=sa.text("revoked_at IS NULL"),
    )


def _create_licences() -> None:
    op.create_table(
        "licences",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("order_line_id", _ID, nullable=False),
        sa.Column("account_id", _ID, nullable=False),
        sa.Column("institution_id", _ID, nullable=True),
        sa.Column("consortium_id", _ID, nullable=True),
        sa.Column("feature", sa.String(length=64), nullable=False),
        sa.Column("purchased_at", sa.BigInteger(), nullable=False),
        sa.Column("credited_at", sa.BigInteger(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        *_keys("licences", "account_id", "institution_id", "consortium_id"),
        sa.CheckConstraint(
            "(institution_id IS NULL) <> (consortium_id IS NULL)", name="ck_licences_scope"
        ),
        sa.CheckConstraint("ends_at IS NULL OR starts_at <= ends_at", name="ck_licences_term"),
    )
    op.create_index("ix_licences_institution", "licences", ["institution_id", "feature"])
    op.create_index("ix_licences_consortium", "licences", ["consortium_id", "feature"])


def _create_services() -> None:
    op.create_table(
        "services",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("order_line_id", _ID, nullable=False),
        sa.Column("account_id", _ID, nullable=False),
        sa.Column("institution_id", _ID, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("purchased_at", sa.BigInteger(), nullable=False),
        sa.Column("credited_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("accepted_at", sa.BigInteger(), nullable=True),
        sa.Column("cancelled_at", sa.BigInteger(), nullable=True),
        *_keys("services", "account_id", "institution_id"),
        sa.CheckConstraint(
            "accepted_at IS NULL OR (kind <> 'maintenance' AND accepted_at < ends_at)",
            name="ck_services_accepted",
        ),
    )
    op.create_index("ix_services_account", "services", ["account_id"])


def _keys(table: str, *columns: str) -> list[sa.Constraint]:
    targets = {
        "account_id": "accounts",
        "institution_id": "institutions",
        "consortium_id": "consortia",
        "order_line_id": "order_lines",
    }
    return [
        *(
            sa.ForeignKeyConstraint([one], [f"{targets[one]}.id"], name=f"fk_{table}_{one}")
            for one in ("order_line_id", *columns)
        ),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        sa.UniqueConstraint("order_line_id", name=f"uq_{table}_order_line_id"),
    ]


def _keep_terms_apart() -> None:
    """Invariant 20 in the database: an exclusion constraint, or a trigger under SQLite's one lock.

    The constraint uses ranges of one number for "equal", so that it needs no extension.
    """
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "ALTER TABLE licences ADD CONSTRAINT ex_licences_term EXCLUDE USING gist ("
            "int8range(coalesce(institution_id, 0), coalesce(institution_id, 0), '[]') WITH &&, "
            "int8range(coalesce(consortium_id, 0), coalesce(consortium_id, 0), '[]') WITH &&, "
            "int8range(hashtext(feature)::bigint, hashtext(feature)::bigint, '[]') WITH &&, "
            "int8range(starts_at, ends_at) WITH &&) WHERE (revoked_at IS NULL)"
        )
        op.execute(
            "CREATE FUNCTION tollgate_licence_kept() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "IF TG_OP = 'UPDATE' AND OLD.revoked_at IS NULL "
            "AND to_jsonb(NEW) - 'revoked_at' = to_jsonb(OLD) - 'revoked_at' "
            "THEN RETURN NEW; END IF; "
            "RAISE EXCEPTION 'a licence is revoked once, never changed'; END $$"
        )
        op.execute(
            "CREATE TRIGGER licences_kept BEFORE UPDATE OR DELETE ON licences "
            "FOR EACH ROW EXECUTE FUNCTION tollgate_licence_kept()"
        )
        return
    op.execute(
        "CREATE TRIGGER licences_no_overlap BEFORE INSERT ON licences WHEN EXISTS ("
        "SELECT 1 FROM licences k WHERE k.feature = NEW.feature AND k.revoked_at IS NULL "
        "AND k.institution_id IS NEW.institution_id AND k.consortium_id IS NEW.consortium_id "
        "AND (k.ends_at IS NULL OR k.starts_at < k.ends_at) "
        "AND (NEW.ends_at IS NULL OR NEW.starts_at < NEW.ends_at) "
        "AND (k.ends_at IS NULL OR NEW.starts_at < k.ends_at) "
        "AND (NEW.ends_at IS NULL OR k.starts_at < NEW.ends_at)) "
        "BEGIN SELECT RAISE(ABORT, 'licences of one scope and feature overlap'); END"
    )
    kept = "BEGIN SELECT RAISE(ABORT, 'a licence is revoked once, never changed'); END"
    same = " OR ".join(
        f"NEW.{column} IS NOT OLD.{column}"
        for column in (
            *("id", "order_line_id", "account_id", "institution_id", "consortium_id", "feature"),
            *("purchased_at", "credited_at", "starts_at", "ends_at"),
        )
    )
    op.execute(
        f"CREATE TRIGGER licences_no_update BEFORE UPDATE ON licences "
        f"WHEN OLD.revoked_at IS NOT NULL OR {same} {kept}"
    )
    op.execute(f"CREATE TRIGGER licences_no_delete BEFORE DELETE ON licences {kept}")
