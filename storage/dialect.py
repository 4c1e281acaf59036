"""INSERT … ON CONFLICT DO NOTHING, which the two databases spell in modules of their own.

Each is built once: to build it anew costs several times what it costs to run it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_missing(
    connection: Connection, table: Table, values: Mapping[str, object]
) -> Row[Any] | None:
    """INSERT … ON CONFLICT DO NOTHING; the new row's key, or None where a key is taken."""
    # Not `rowcount`: psycopg's is not kept for an INSERT.
    return connection.execute(_missing(connection.dialect.name, table), values).one_or_none()


def insert_all_missing(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]
) -> int:
    """INSERT … ON CONFLICT DO NOTHING of many rows at once; how many were added."""
    if not rows:
        return 0
    return len(connection.execute(_missing(connection.dialect.name, table), list(rows)).all())


def locks_rows(connection: Connection) -> bool:
    """Whether writers share the database and lock its rows, or are let in one at a time."""
    return connection.dialect.name == "postgresql"


@cache
def _missing(dialect: str, table: Table) -> Any:
    module = postgresql if dialect == "postgresql" else sqlite
    return module.insert(table).on_conflict_do_nothing().returning(*table.primary_key.columns)
