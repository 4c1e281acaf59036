"""The database: connections that keep what they acknowledge, whichever of the two it is (§13)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from sqlalchemy import ColumnElement, Connection, make_url
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from quota.time import Instant
from storage.errors import LedgerUnavailable

CONNECTIONS_MAX = 256


class Database(Protocol):
    """What the ledger asks of a database.

    `sick`: a sync of it failed in this process; nothing more may be acknowledged (reliability:
    a failed sync is final).
    """

    sick: bool

    def read(self, *, within_s: float | None = None) -> AbstractContextManager[Connection]:
        """A read-only snapshot. Raises LedgerUnavailable, DurabilityTooWeak.

        `within_s`: how long the database may take for one answer, a lock included; None for as
        long as it takes.
        """
        ...

    def write(self, *, within_s: float | None = None) -> AbstractContextManager[Connection]:
        """A write transaction; it rolls back unless committed by hand. `within_s` as for `read`.

        Raises LedgerUnavailable, DurabilityTooWeak.
        """
        ...

    clock_column: ColumnElement[Instant] | None
    """The clock as a column of a query, in µs; None where it needs no query."""

    def clock(self, connection: Connection) -> Instant:
        """The clock that the ledger goes by where none is injected, in µs."""
        ...

    def lock_schema(self, connection: Connection) -> None:
        """Let no other process change the schema until this transaction ends."""
        ...

    def try_lock(self, name: str) -> AbstractContextManager[bool]:
        """Hold the lock of that name among all processes on this database, if nobody else does."""
        ...

    def size_bytes(self) -> int:
        """How much room the database takes. Raises LedgerUnavailable."""
        ...

    def dispose(self) -> None:
        """Close every idle connection."""
        ...


def system_clock() -> Instant:
    """The host's clock, UTC, in µs."""
    return time.time_ns() // 1_000


def open_database(url: str, *, lock_dir: Path) -> Database:
    """The database at `url`, sqlite:///PATH or postgresql+psycopg://…; it connects when asked.

    `lock_dir` is a local directory for SQLite's lock files; PostgreSQL has locks of its own.
    """
    if make_url(url).get_backend_name() == "sqlite":
        from storage.sqlite import SqliteDatabase  # noqa: PLC0415 - one of the two is never needed

        return SqliteDatabase(url, lock_dir=lock_dir)
    from storage.postgresql import PostgresDatabase  # noqa: PLC0415 - as above

    return PostgresDatabase(url)


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite database; None for one on a server."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or parsed.database is None:
        return None
    return Path(parsed.database)


@contextmanager
def unavailable() -> Iterator[None]:
    """Turn what the driver says of an unreachable or failing database into LedgerUnavailable."""
    try:
        yield
    except IntegrityError:
        raise
    except (DBAPIError, PoolTimeout) as error:
        # Only the class is kept: a driver's message may quote a statement's values.
        raise LedgerUnavailable(f"the database failed ({_root(error)})") from error


@contextmanager
def rolled_back(connection: Connection) -> Iterator[Connection]:
    """Begin a transaction that ends with the block, and rolls back unless it was committed."""
    connection.begin()
    try:
        yield connection
    finally:
        _leave(connection)


def _leave(connection: Connection) -> None:
    """Roll back what was not committed."""
    transaction = connection.get_transaction()
    if transaction is None:
        return
    if transaction.is_active:
        transaction.rollback()
    else:
        # A COMMIT failed, and the driver may be inside the transaction still, with its lock on
        # the database: the pool must not hand that connection out again.
        connection.invalidate()


def _root(error: BaseException) -> str:
    origin = getattr(error, "orig", None)
    return type(origin).__name__ if origin is not None else type(error).__name__
