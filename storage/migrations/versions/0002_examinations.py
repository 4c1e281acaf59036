"""Examinations, instances and refusals.

A frozen copy: it says what the tables were, `storage.tables` what they are.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TEXT64 = sa.String(length=64)


def upgrade() -> None:
    """Create the tables."""
    _create_examinations()
    _create_instances()
    _create_refusals()


def _where(condition: str) -> dict[str, Any]:
    # a partial index, on both databases
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def _create_examinations() -> None:
    # tidy: long because a frozen table is one statement, and these belong together
    op.create_table(
        "examinations",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("institution_id", _ID, nullable=False),
        sa.Column("account_id", _ID, nullable=False),
        sa.Column("device_id", _ID, nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("study_instance_uid", _TEXT64, nullable=False),
        sa.Column("accession", sa.Text(), nullable=False),
        sa.Column("patient_id", sa.Text(), nullable=False),
        sa.Column("patient_id_raw", sa.LargeBinary(), nullable=False),
        sa.Column("patient_name", sa.Text(), nullable=False),
        sa.Column("modality", sa.Text(), nullable=False),
        sa.Column("study_date", sa.Text(), nullable=False),
        sa.Column("study_description", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), server_default="0", nullable=False),
        sa.Column("admitted_at", sa.BigInteger(), nullable=False),
        sa.Column("quiet_until", sa.BigInteger(), nullable=False),
        sa.Column("completed_at", sa.BigInteger(), nullable=True),
        sa.Column("instances", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_examinations_account_id"),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name="fk_examinations_device_id"),
        sa.ForeignKeyConstraint(
            ["institution_id"], ["institutions.id"], name="fk_examinations_institution_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_examinations"),
        sa.UniqueConstraint("institution_id", "key", name="uq_examinations_institution_id_key"),
    )
    op.create_index("ix_examinations_admitted", "examinations", ["admitted_at"])
    op.create_index(
        "ix_examinations_receiving",
        "examinations",
        ["quiet_until"],
        **_where("completed_at IS NULL"),
    )
    op.create_table(
        "examination_studies",
        sa.Column("institution_id", _ID, nullable=False),
        sa.Column("study_instance_uid", _TEXT64, nullable=False),
        sa.Column("examination_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["examination_id"], ["examinations.id"], name="fk_examination_studies_examination_id"
        ),
        sa.ForeignKeyConstraint(
            ["institution_id"], ["institutions.id"], name="fk_examination_studies_institution_id"
        ),
        sa.PrimaryKeyConstraint(
            "institution_id", "study_instance_uid", name="pk_examination_studies"
        ),
    )
    op.create_table(
        "examination_findings",
        sa.Column("examination_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("instances", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["examination_id"], ["examinations.id"], name="fk_examination_findings_examination_id"
        ),
        sa.PrimaryKeyConstraint("examination_id", "kind", name="pk_examination_findings"),
    )


def _create_instances() -> None:
    # tidy: long because a frozen table is one statement, and these belong together
    op.create_table(
        "instances",
        sa.Column("institution_id", _ID, nullable=False),
        sa.Column("sop_instance_uid", _TEXT64, nullable=False),
        sa.Column("examination_id", sa.String(length=36), nullable=False),
        sa.Column("device_id", _ID, nullable=False),
        sa.Column("study_instance_uid", _TEXT64, nullable=False),
        sa.Column("series_instance_uid", _TEXT64, nullable=False),
        sa.Column("sop_class_uid", _TEXT64, nullable=False),
        sa.Column("transfer_syntax_uid", _TEXT64, nullable=False),
        sa.Column("sha256", _TEXT64, nullable=False),
        sa.Column("object_key", sa.String(length=200), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("filed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name="fk_instances_device_id"),
        sa.ForeignKeyConstraint(
            ["examination_id"], ["examinations.id"], name="fk_instances_examination_id"
        ),
        sa.ForeignKeyConstraint(
            ["institution_id"], ["institutions.id"], name="fk_instances_institution_id"
        ),
        sa.PrimaryKeyConstraint("institution_id", "sop_instance_uid", name="pk_instances"),
    )
    op.create_index("ix_instances_examination", "instances", ["examination_id"])
    op.create_table(
        "conflicts",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("institution_id", _ID, nullable=False),
        sa.Column("sop_instance_uid", _TEXT64, nullable=False),
        sa.Column("examination_id", sa.String(length=36), nullable=False),
        sa.Column("device_id", _ID, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("transfer_syntax_uid", _TEXT64, nullable=False),
        sa.Column("sha256", _TEXT64, nullable=False),
        sa.Column("object_key", sa.String(length=200), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("filed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name="fk_conflicts_device_id"),
        sa.ForeignKeyConstraint(
            ["examination_id"], ["examinations.id"], name="fk_conflicts_examination_id"
        ),
        sa.ForeignKeyConstraint(
            ["institution_id"], ["institutions.id"], name="fk_conflicts_institution_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_conflicts"),
        sa.UniqueConstraint(
            "institution_id",
            "sop_instance_uid",
            "sha256",
            name="uq_conflicts_institution_id_sop_instance_uid_sha256",
        ),
    )


def _create_refusals() -> None:
    op.create_table(
        "refusals",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("institution_id", _ID, nullable=False),
        sa.Column("device_id", _ID, nullable=False),
        sa.Column("examination_key", sa.String(length=80), nullable=False),
        sa.Column("study_instance_uid", _TEXT64, nullable=False),
        sa.Column("accession", sa.Text(), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("refused", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("missing", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("resolved_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name="fk_refusals_device_id"),
        sa.ForeignKeyConstraint(
            ["institution_id"], ["institutions.id"], name="fk_refusals_institution_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_refusals"),
    )
    op.create_index(
        "uq_refusals_open",
        "refusals",
        ["institution_id", "examination_key"],
        unique=True,
        **_where("resolved_at IS NULL"),
    )
    op.create_table(
        "refused_instances",
        sa.Column("refusal_id", _ID, nullable=False),
        sa.Column("sop_instance_uid", _TEXT64, nullable=False),
        sa.Column("institution_id", _ID, nullable=False),
        sa.Column("stored_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["institution_id"], ["institutions.id"], name="fk_refused_instances_institution_id"
        ),
        sa.ForeignKeyConstraint(
            ["refusal_id"], ["refusals.id"], name="fk_refused_instances_refusal_id"
        ),
        sa.PrimaryKeyConstraint("refusal_id", "sop_instance_uid", name="pk_refused_instances"),
    )
    op.create_index(
        "ix_refused_instances_missing",
        "refused_instances",
        ["institution_id", "sop_instance_uid"],
        **_where("stored_at IS NULL"),
    )
