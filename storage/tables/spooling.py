"""The register of spools: what waits on whose disk."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, ForeignKey, String, Table, Text

from storage.tables.common import ID, INSTANT, count, metadata

spools = Table(
    "spools",
    metadata,
    # The UUID that names the spool's directory.
    Column("id", String(36), primary_key=True),
    Column("host", Text, nullable=False),
    Column("first_seen", INSTANT, nullable=False),
    Column("last_seen", INSTANT, nullable=False),
    # By the ledger's clock: all that was acknowledged before is filed. 0: nobody knows.
    Column("filed_through", INSTANT, nullable=False, server_default="0"),
    # By the host's clock.
    Column("oldest_received_at", INSTANT),
    count("records"),
    count("bytes"),
    count("limit_bytes"),
    # Bytes filed in the last minute.
    count("minute_bytes"),
    # Closed with nothing in it; null while a worker holds it, or where it was left with records.
    Column("emptied_at", INSTANT),
    Column("declared_lost_at", INSTANT),
    Column("declared_by", Text),
    Column("reason", Text),
    CheckConstraint(
        "(declared_lost_at IS NULL) = (declared_by IS NULL) "
        "AND (declared_lost_at IS NULL) = (reason IS NULL)",
        name="ck_spools_declared",
    ),
)

spool_pending = Table(
    "spool_pending",
    metadata,
    Column("spool_id", String(36), ForeignKey("spools.id"), primary_key=True),
    Column("account_id", ID, ForeignKey("accounts.id"), primary_key=True, autoincrement=False),
    count("bytes"),
)
