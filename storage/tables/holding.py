"""AI calls set aside, what people are told, and the anchors of the journal."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, String, Table, Text, UniqueConstraint, text

from storage.tables.common import ID, INSTANT, UNITS, count, metadata, ref, row_id

holds = Table(
    "holds",
    metadata,
    row_id(),
    ref("meter_id", "meters"),
    Column("key", String(100), nullable=False),
    Column("units", UNITS, nullable=False),
    Column("state", String(20), nullable=False),
    count("posted"),
    Column("held_at", INSTANT, nullable=False),
    Column("expires_at", INSTANT, nullable=False),
    Column("settled_at", INSTANT),
    UniqueConstraint("meter_id", "key"),
)
_PENDING = text("state = 'pending'")
Index(
    "ix_holds_pending",
    holds.c.meter_id,
    holds.c.expires_at,
    sqlite_where=_PENDING,
    postgresql_where=_PENDING,
)

hold_shares = Table(
    "hold_shares",
    metadata,
    Column("hold_id", ID, ForeignKey("holds.id"), primary_key=True),
    Column("package_id", ID, ForeignKey("packages.id"), primary_key=True),
    Column("units", UNITS, nullable=False),
)

notices = Table(
    "notices",
    metadata,
    row_id(),
    ref("account_id", "accounts"),
    Column("meter", String(64)),
    Column("kind", String(40), nullable=False),
    Column("key", String(200), nullable=False, unique=True),
    Column("raised_at", INSTANT, nullable=False),
    Column("details", Text, nullable=False),
    Column("delivered_at", INSTANT),
)
Index("ix_notices_account", notices.c.account_id, notices.c.id)
_UNDELIVERED = text("delivered_at IS NULL")
Index(
    "ix_notices_undelivered",
    notices.c.id,
    sqlite_where=_UNDELIVERED,
    postgresql_where=_UNDELIVERED,
)

anchors = Table(
    "anchors",
    metadata,
    row_id(),
    Column("anchored_at", INSTANT, nullable=False),
    Column("through_posting_id", ID, nullable=False),
    count("postings"),
    count("entries"),
    Column("digest", String(64), nullable=False),
)
