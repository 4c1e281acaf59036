"""Who pays, who sends: accounts, institutions, devices."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from storage.tables.common import ID, INSTANT, UID, UNITS, metadata, ref, row_id

accounts = Table(
    "accounts",
    metadata,
    row_id(),
    Column("name", String(200), nullable=False, unique=True),
    Column("plan", String(20), nullable=False),
    Column("agreement_no", String(200), nullable=False),
    Column("timezone", String(64), nullable=False),
    Column("created_at", INSTANT, nullable=False),
    Column("closed_at", INSTANT),
    Column("arrears_cap", UNITS),
)

institutions = Table(
    "institutions",
    metadata,
    row_id(),
    Column("name", String(200), nullable=False, unique=True),
    ref("account_id", "accounts"),
    Column("called_ae_title", String(16), unique=True),
    Column("created_at", INSTANT, nullable=False),
    Column("closed_at", INSTANT),
)

devices = Table(
    "devices",
    metadata,
    row_id(),
    Column("ae_title", String(16), nullable=False),
    ref("institution_id", "institutions"),
    Column("grouping", String(20), nullable=False),
    Column("tolerates_leading_zeros", Boolean, nullable=False, server_default=text("false")),
    Column("created_at", INSTANT, nullable=False),
    Column("closed_at", INSTANT),
    UniqueConstraint("institution_id", "ae_title"),
)

device_networks = Table(
    "device_networks",
    metadata,
    Column("device_id", ID, ForeignKey("devices.id"), primary_key=True),
    Column("network", String(64), primary_key=True),
)

device_sop_classes = Table(
    "device_sop_classes",
    metadata,
    Column("device_id", ID, ForeignKey("devices.id"), primary_key=True),
    Column("sop_class_uid", UID, primary_key=True),
)

operator_actions = Table(
    "operator_actions",
    metadata,
    row_id(),
    Column("acted_at", INSTANT, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("action", String(40), nullable=False),
    Column("subject", String(100), nullable=False),
    Column("reason", Text, nullable=False),
)
