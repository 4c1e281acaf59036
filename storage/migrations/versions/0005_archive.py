"""What objects are known by, the fate of what was set aside, looking through the archive."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_OPEN = sa.text("resolved_at IS NULL")


def upgrade() -> None:
    """Add columns and tables; what was filed before is not known by anything but its SHA-256."""
    op.add_column("instances", sa.Column("fingerprint", sa.String(length=200), nullable=True))
    _give_conflicts_a_fate()
    op.create_table(
        "archive_rounds",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("examination_id", sa.String(length=36), server_default="", nullable=False),
        sa.Column("object_key", sa.String(length=200), server_default="", nullable=False),
        sa.Column("objects", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("damaged", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_archive_rounds"),
    )
    op.create_index("ix_archive_rounds_kind", "archive_rounds", ["kind", "id"])
    op.create_table(
        "damaged_objects",
        sa.Column("object_key", sa.String(length=200), nullable=False),
        sa.Column("examination_id", sa.String(length=36), nullable=False),
        sa.Column("damage", sa.String(length=20), nullable=False),
        sa.Column("found_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["examination_id"], ["examinations.id"], name="fk_damaged_objects_examination_id"
        ),
        sa.PrimaryKeyConstraint("object_key", name="pk_damaged_objects"),
    )
    op.create_index("ix_damaged_objects_examination", "damaged_objects", ["examination_id"])


def _give_conflicts_a_fate() -> None:
    for column, type_ in (
        ("study_instance_uid", sa.String(length=64)),
        ("series_instance_uid", sa.String(length=64)),
        ("sop_class_uid", sa.String(length=64)),
        ("fingerprint", sa.String(length=200)),
        ("resolved_at", sa.BigInteger()),
        ("resolution", sa.String(length=20)),
    ):
        op.add_column("conflicts", sa.Column(column, type_, nullable=True))
    op.create_index("ix_conflicts_examination", "conflicts", ["examination_id"])
    op.create_index(
        "ix_conflicts_open",
        "conflicts",
        ["filed_at"],
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
