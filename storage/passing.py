"""Long tables that pass by once, as the driver's own tuples.

A check reads millions of rows of which it keeps nothing: a `Row` made of each is most of its cost.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import chain
from typing import Any, TypeAlias

from sqlalchemy import Connection, Select
from sqlalchemy.exc import OperationalError

AT_ONCE = 10_000
Part: TypeAlias = list[tuple[Any, ...]]


def parts(connection: Connection, statement: Select[Any]) -> Iterator[Part]:
    """The rows of a statement by `AT_ONCE`, in the connection's transaction, as few in memory.

    Columns come as the driver has them: for integers and text that is what SQLAlchemy says too.
    Raises SQLAlchemy's OperationalError, as its own reading does.
    """
    dialect = connection.dialect
    sql = str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    driver: Any = connection.connection.driver_connection
    # Without a name psycopg fetches everything before the first row.
    named = {"name": "passing"} if dialect.name == "postgresql" else {}
    try:
        with closing(driver.cursor(**named)) as cursor:
            cursor.execute(sql)
            while part := cursor.fetchmany(AT_ONCE):
                yield part
    except dialect.loaded_dbapi.Error as error:
        raise OperationalError(sql, None, error) from error


def passing(connection: Connection, statement: Select[Any]) -> Iterator[tuple[Any, ...]]:
    """The same, row by row."""
    return chain.from_iterable(parts(connection, statement))
