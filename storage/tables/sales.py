"""What is bought beside packages: consortia, licences, services, and an institution's token.

A licence never changes but for its revocation: triggers see to it, and to terms that don't overlap.
"""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    String,
    Table,
    UniqueConstraint,
    text,
)

from storage.tables.common import ID, INSTANT, metadata, ref, row_id

consortia = Table(
    "consortia",
    metadata,
    row_id(),
    Column("name", String(200), nullable=False, unique=True),
    ref("account_id", "accounts", nullable=True),
    Column("created_at", INSTANT, nullable=False),
)

consortium_members = Table(
    "consortium_members",
    metadata,
    row_id(),
    ref("consortium_id", "consortia"),
    ref("institution_id", "institutions"),
    Column("added_at", INSTANT, nullable=False),
    Column("removed_at", INSTANT),
)
_MEMBER = text("removed_at IS NULL")
Index(
    "uq_consortium_members_now",
    consortium_members.c.institution_id,
    consortium_members.c.consortium_id,
    unique=True,
    sqlite_where=_MEMBER,
    postgresql_where=_MEMBER,
)

institution_tokens = Table(
    "institution_tokens",
    metadata,
    row_id(),
    ref("institution_id", "institutions"),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("issued_at", INSTANT, nullable=False),
    Column("revoked_at", INSTANT),
)
_VALID = text("revoked_at IS NULL")
Index(
    "uq_institution_tokens_valid",
    institution_tokens.c.institution_id,
    unique=True,
    sqlite_where=_VALID,
    postgresql_where=_VALID,
)

licences = Table(
    "licences",
    metadata,
    row_id(),
    Column("order_line_id", ID, ForeignKey("order_lines.id"), nullable=False),
    ref("account_id", "accounts"),
    ref("institution_id", "institutions", nullable=True),
    ref("consortium_id", "consortia", nullable=True),
    Column("feature", String(64), nullable=False),
    Column("purchased_at", INSTANT, nullable=False),
    Column("credited_at", INSTANT, nullable=False),
    Column("starts_at", INSTANT, nullable=False),
    Column("ends_at", INSTANT),
    Column("revoked_at", INSTANT),
    UniqueConstraint("order_line_id"),
    CheckConstraint(
        "(institution_id IS NULL) <> (consortium_id IS NULL)", name="ck_licences_scope"
    ),
    CheckConstraint("ends_at IS NULL OR starts_at <= ends_at", name="ck_licences_term"),
)
Index("ix_licences_institution", licences.c.institution_id, licences.c.feature)
Index("ix_licences_consortium", licences.c.consortium_id, licences.c.feature)

services = Table(
    "services",
    metadata,
    row_id(),
    Column("order_line_id", ID, ForeignKey("order_lines.id"), nullable=False),
    ref("account_id", "accounts"),
    ref("institution_id", "institutions"),
    Column("kind", String(20), nullable=False),
    Column("purchased_at", INSTANT, nullable=False),
    Column("credited_at", INSTANT, nullable=False),
    Column("ends_at", INSTANT, nullable=False),
    Column("accepted_at", INSTANT),
    Column("cancelled_at", INSTANT),
    UniqueConstraint("order_line_id"),
    CheckConstraint(
        "accepted_at IS NULL OR (kind <> 'maintenance' AND accepted_at < ends_at)",
        name="ck_services_accepted",
    ),
)
Index("ix_services_account", services.c.account_id)
