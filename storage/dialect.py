"""INSERT … ON CONFLICT DO NOTHING, which the two databases spell in modules of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def dialect_of(connection: Connection) -> ModuleType:
    """SQLAlchemy's module for the connection's database."""
    return postgresql if connection.dialect.name == "postgresql" else sqlite


def insert_missing(connection: Connection, table: Table, values: dict[str, object]) -> bool:
    """INSERT … ON CONFLICT DO NOTHING; whether a row was added."""
    statement = dialect_of(connection).insert(table).values(values).on_conflict_do_nothing()
    # Not `rowcount`: psycopg's is not kept for an INSERT.
    added = statement.returning(*table.primary_key.columns)
    return connection.execute(added).one_or_none() is not None


def insert_all_missing(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]
) -> int:
    """INSERT … ON CONFLICT DO NOTHING of many rows at once; how many were added."""
    if not rows:
        return 0
    statement = dialect_of(connection).insert(table).on_conflict_do_nothing()
    added = statement.returning(*table.primary_key.columns)
    return len(connection.execute(added, list(rows)).all())
