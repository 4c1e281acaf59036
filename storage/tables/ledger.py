"""Orders, the journal and what is derived from it.

`postings` and `entries` are append-only: triggers refuse UPDATE and DELETE (§3). Everything else
here can be rebuilt from them at any time.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
    text,
)

from storage.tables.common import ID, INSTANT, UNITS, count, metadata, ref, row_id

orders = Table(
    "orders",
    metadata,
    row_id(),
    Column("number", String(64), nullable=False, unique=True),
    ref("account_id", "accounts"),
    Column("fingerprint", String(64), nullable=False),
    Column("placed_at", INSTANT, nullable=False),
    Column("paid_at", INSTANT),
    Column("credited_at", INSTANT),
    Column("voided_at", INSTANT),
    ref("institution_id", "institutions", nullable=True),
)
_TO_CREDIT = text("credited_at IS NULL AND paid_at IS NOT NULL AND voided_at IS NULL")
Index(
    "ix_orders_to_credit",
    orders.c.paid_at,
    sqlite_where=_TO_CREDIT,
    postgresql_where=_TO_CREDIT,
)

order_lines = Table(
    "order_lines",
    metadata,
    row_id(),
    ref("order_id", "orders"),
    Column("line_no", Integer, nullable=False),
    Column("meter", String(64), nullable=False),
    Column("quantity", UNITS, nullable=False),
    Column("storage_years", Integer, nullable=False),
    Column("years", Integer, nullable=False, server_default="1"),
    Column("renews_package_id", ID),
    Column("months", Integer, nullable=False, server_default="0"),
    Column("renews_licence_id", ID),
    ref("consortium_id", "consortia", nullable=True),
    UniqueConstraint("order_id", "line_no"),
)

meters = Table(
    "meters",
    metadata,
    row_id(),
    ref("account_id", "accounts"),
    Column("name", String(64), nullable=False),
    Column("last_at", INSTANT, nullable=False, server_default="0"),
    count("purchased"),
    count("available"),
    count("held"),
    count("consumed"),
    count("owed"),
    count("expired"),
    count("voided"),
    count("written_off"),
    count("active_quantity"),
    count("stored"),
    UniqueConstraint("account_id", "name"),
)

packages = Table(
    "packages",
    metadata,
    row_id(),
    ref("meter_id", "meters"),
    Column("order_line_id", ID, ForeignKey("order_lines.id"), nullable=False, unique=True),
    Column("quantity", UNITS, nullable=False),
    count("remaining"),
    Column("purchased_at", INSTANT, nullable=False),
    Column("effective_at", INSTANT, nullable=False),
    Column("activated_at", INSTANT),
    Column("expires_at", INSTANT),
    Column("credited_at", INSTANT, nullable=False),
    Column("storage_years", Integer, nullable=False),
    Column("voided_at", INSTANT),
    Column("ended_at", INSTANT),
    Column("unlimited", Boolean, nullable=False, server_default=text("false")),
)
_BURNABLE = text("remaining > 0")
Index(
    "ix_packages_burn",
    packages.c.meter_id,
    packages.c.expires_at,
    packages.c.id,
    sqlite_where=_BURNABLE,
    postgresql_where=_BURNABLE,
)
_ACTIVE = text("ended_at IS NULL")
Index(
    "ix_packages_active",
    packages.c.meter_id,
    packages.c.expires_at,
    sqlite_where=_ACTIVE,
    postgresql_where=_ACTIVE,
)

_EMPTY = text("remaining <= 0")
# Partial, so that no planner without statistics takes it for the one above.
Index(
    "ix_packages_empty",
    packages.c.meter_id,
    packages.c.id,
    sqlite_where=_EMPTY,
    postgresql_where=_EMPTY,
)
_AHEAD = text("activated_at IS NULL AND ended_at IS NULL")
Index(
    "ix_packages_ahead",
    packages.c.meter_id,
    packages.c.effective_at,
    sqlite_where=_AHEAD,
    postgresql_where=_AHEAD,
)

episodes = Table(
    "episodes",
    metadata,
    row_id(),
    ref("meter_id", "meters"),
    Column("started_at", INSTANT, nullable=False),
    Column("deadline", INSTANT, nullable=False),
    Column("closed_at", INSTANT),
)
_OPEN = text("closed_at IS NULL")
Index(
    "uq_episodes_open",
    episodes.c.meter_id,
    unique=True,
    sqlite_where=_OPEN,
    postgresql_where=_OPEN,
)

episode_moves = Table(
    "episode_moves",
    metadata,
    row_id(),
    ref("episode_id", "episodes"),
    Column("started_before", INSTANT, nullable=False),
    Column("deadline_before", INSTANT, nullable=False),
    Column("started_at", INSTANT, nullable=False),
    Column("deadline", INSTANT, nullable=False),
    Column("moved_at", INSTANT, nullable=False),
)
Index("ix_episode_moves_episode", episode_moves.c.episode_id, episode_moves.c.id)

charges = Table(
    "charges",
    metadata,
    row_id(),
    ref("meter_id", "meters"),
    Column("examination_id", String(36), nullable=False),
    Column("state", String(20), nullable=False),
    ref("package_id", "packages", nullable=True),
    Column("charged_at", INSTANT, nullable=False),
    Column("settled_at", INSTANT),
    Column("ended_at", INSTANT),
)
Index("ix_charges_examination", charges.c.examination_id, charges.c.id)
_STANDING = text("state IN ('funded', 'owed')")
Index(
    "uq_charges_standing",
    charges.c.examination_id,
    unique=True,
    sqlite_where=_STANDING,
    postgresql_where=_STANDING,
)
_OWED = text("state = 'owed'")
Index(
    "ix_charges_owed",
    charges.c.meter_id,
    charges.c.id,
    sqlite_where=_OWED,
    postgresql_where=_OWED,
)

postings = Table(
    "postings",
    metadata,
    row_id(),
    ref("meter_id", "meters"),
    Column("kind", String(20), nullable=False),
    Column("effective_at", INSTANT, nullable=False),
    Column("recorded_at", INSTANT, nullable=False),
    Column("examination_id", String(36)),
    ref("order_line_id", "order_lines", nullable=True),
    Column("hold_key", String(100)),
)
Index("ix_postings_meter", postings.c.meter_id, postings.c.id)
Index("ix_postings_examination", postings.c.examination_id)

entries = Table(
    "entries",
    metadata,
    Column("posting_id", ID, ForeignKey("postings.id"), primary_key=True),
    Column("line_no", Integer, primary_key=True),
    Column("account", String(20), nullable=False),
    ref("package_id", "packages", nullable=True),
    Column("amount", UNITS, nullable=False),
)

level_moves = Table(
    "level_moves",
    metadata,
    row_id(),
    ref("meter_id", "meters"),
    Column("delta", UNITS, nullable=False),
    Column("moved_at", INSTANT, nullable=False),
)
Index("ix_level_moves_meter", level_moves.c.meter_id, level_moves.c.id)
