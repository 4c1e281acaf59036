"""What all tables share: one metadata, the column types, the names of constraints."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, MetaData, String

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite only numbers rows by itself where the key's type is spelled INTEGER.
ID = BigInteger().with_variant(Integer, "sqlite")
INSTANT = BigInteger()
"""µs since the epoch, UTC."""
UNITS = BigInteger()
"""Examinations, calls or bytes."""
UID = String(64)


def row_id() -> Column[int]:
    """A surrogate key that rises with insertion."""
    return Column("id", ID, primary_key=True, autoincrement=True)


def ref(name: str, target: str, *, nullable: bool = False) -> Column[int]:
    """A reference to another table's surrogate key."""
    return Column(name, ID, ForeignKey(f"{target}.id"), nullable=nullable)


def count(name: str) -> Column[int]:
    """A number of units that begins at 0."""
    return Column(name, UNITS, nullable=False, server_default="0")
