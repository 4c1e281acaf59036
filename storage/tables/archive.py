"""Examinations, their instances, and what was refused or set aside."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from storage.tables.common import ID, INSTANT, UID, UNITS, count, metadata, ref, row_id

FINGERPRINT = String(200)
"""What the archive knows an object by; null where it was filed before that was noted."""

examinations = Table(
    "examinations",
    metadata,
    Column("id", String(36), primary_key=True),
    ref("institution_id", "institutions"),
    ref("account_id", "accounts"),
    ref("device_id", "devices"),
    Column("key", String(80), nullable=False),
    Column("study_instance_uid", UID, nullable=False),
    Column("accession", Text, nullable=False),
    Column("patient_id", Text, nullable=False),
    Column("patient_id_raw", LargeBinary, nullable=False),
    Column("patient_name", Text, nullable=False),
    Column("modality", Text, nullable=False),
    Column("study_date", Text, nullable=False),
    Column("study_description", Text, nullable=False),
    Column("generation", Integer, nullable=False, server_default="0"),
    Column("generation_at", INSTANT),
    Column("admitted_at", INSTANT, nullable=False),
    Column("provisional_at", INSTANT),
    Column("quiet_until", INSTANT, nullable=False),
    Column("completed_at", INSTANT),
    Column("retained_until", INSTANT),
    Column("deleted_at", INSTANT),
    count("instances"),
    count("bytes"),
    UniqueConstraint("institution_id", "key"),
)
Index("ix_examinations_admitted", examinations.c.admitted_at)
_THERE = text("deleted_at IS NULL AND retained_until IS NOT NULL")
Index(
    "ix_examinations_retained",
    examinations.c.retained_until,
    examinations.c.id,
    sqlite_where=_THERE,
    postgresql_where=_THERE,
)
_KEPT_BY_CAPACITY = text("deleted_at IS NULL AND retained_until IS NULL")
Index(
    "ix_examinations_by_capacity",
    examinations.c.account_id,
    examinations.c.id,
    sqlite_where=_KEPT_BY_CAPACITY,
    postgresql_where=_KEPT_BY_CAPACITY,
)
_RECEIVING = text("completed_at IS NULL")
Index(
    "ix_examinations_receiving",
    examinations.c.quiet_until,
    sqlite_where=_RECEIVING,
    postgresql_where=_RECEIVING,
)
_NOT_STORED = text("instances = 0 AND deleted_at IS NULL")
Index(
    "ix_examinations_not_stored",
    examinations.c.admitted_at,
    sqlite_where=_NOT_STORED,
    postgresql_where=_NOT_STORED,
)

examination_studies = Table(
    "examination_studies",
    metadata,
    Column("institution_id", ID, ForeignKey("institutions.id"), primary_key=True),
    Column("study_instance_uid", UID, primary_key=True),
    Column("examination_id", String(36), ForeignKey("examinations.id"), nullable=False),
)

examination_findings = Table(
    "examination_findings",
    metadata,
    Column("examination_id", String(36), ForeignKey("examinations.id"), primary_key=True),
    Column("kind", String(20), primary_key=True),
    count("instances"),
    Column("first_at", INSTANT, nullable=False),
    Column("last_at", INSTANT, nullable=False),
)

instances = Table(
    "instances",
    metadata,
    Column("institution_id", ID, ForeignKey("institutions.id"), primary_key=True),
    Column("sop_instance_uid", UID, primary_key=True),
    Column("examination_id", String(36), ForeignKey("examinations.id"), nullable=False),
    ref("device_id", "devices"),
    Column("study_instance_uid", UID, nullable=False),
    Column("series_instance_uid", UID, nullable=False),
    Column("sop_class_uid", UID, nullable=False),
    Column("transfer_syntax_uid", UID, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("object_key", String(200), nullable=False),
    Column("size_bytes", UNITS, nullable=False),
    Column("fingerprint", FINGERPRINT),
    Column("filed_at", INSTANT, nullable=False),
)
Index("ix_instances_examination", instances.c.examination_id)

conflicts = Table(
    "conflicts",
    metadata,
    row_id(),
    ref("institution_id", "institutions"),
    Column("sop_instance_uid", UID, nullable=False),
    Column("examination_id", String(36), ForeignKey("examinations.id"), nullable=False),
    ref("device_id", "devices"),
    Column("kind", String(20), nullable=False),
    Column("study_instance_uid", UID),
    Column("series_instance_uid", UID),
    Column("sop_class_uid", UID),
    Column("transfer_syntax_uid", UID, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("object_key", String(200), nullable=False),
    Column("size_bytes", UNITS, nullable=False),
    Column("fingerprint", FINGERPRINT),
    Column("filed_at", INSTANT, nullable=False),
    Column("resolved_at", INSTANT),
    Column("resolution", String(20)),
    UniqueConstraint("institution_id", "sop_instance_uid", "sha256"),
)
Index("ix_conflicts_examination", conflicts.c.examination_id)
_OPEN = text("resolved_at IS NULL")
Index("ix_conflicts_open", conflicts.c.filed_at, sqlite_where=_OPEN, postgresql_where=_OPEN)

refusals = Table(
    "refusals",
    metadata,
    row_id(),
    ref("institution_id", "institutions"),
    ref("device_id", "devices"),
    Column("examination_key", String(80), nullable=False),
    Column("study_instance_uid", UID, nullable=False),
    Column("accession", Text, nullable=False),
    Column("reason", String(40), nullable=False),
    count("refused"),
    count("missing"),
    Column("first_at", INSTANT, nullable=False),
    Column("last_at", INSTANT, nullable=False),
    Column("resolved_at", INSTANT),
)
_UNRESOLVED = text("resolved_at IS NULL")
Index(
    "uq_refusals_open",
    refusals.c.institution_id,
    refusals.c.examination_key,
    unique=True,
    sqlite_where=_UNRESOLVED,
    postgresql_where=_UNRESOLVED,
)

refused_instances = Table(
    "refused_instances",
    metadata,
    Column("refusal_id", ID, ForeignKey("refusals.id"), primary_key=True),
    Column("sop_instance_uid", UID, primary_key=True),
    ref("institution_id", "institutions"),
    Column("stored_at", INSTANT),
)
_MISSING = text("stored_at IS NULL")
Index(
    "ix_refused_instances_missing",
    refused_instances.c.institution_id,
    refused_instances.c.sop_instance_uid,
    sqlite_where=_MISSING,
    postgresql_where=_MISSING,
)

deleted_objects = Table(
    "deleted_objects",
    metadata,
    row_id(),
    Column("object_key", String(200), nullable=False),
    Column("deleted_at", INSTANT, nullable=False),
)
Index("ix_deleted_objects_key", deleted_objects.c.object_key)
