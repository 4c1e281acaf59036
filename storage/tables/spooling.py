"""The register of spools: what waits on whose disk; and the clock that all go by."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, ForeignKey, Integer, String, Table, Text

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

# One row. By the ledger's clock: when the keeper last saw it in order (0: not yet), since when
# nothing is booked by it, and when an operator last said that it is right.
ledger_clock = Table(
    "ledger_clock",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("beat_at", INSTANT, nullable=False),
    Column("held_at", INSTANT),
    Column("confirmed_at", INSTANT),
    CheckConstraint("id = 1", name="ck_ledger_clock_one"),
)
