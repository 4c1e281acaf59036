"""The database: connections that keep what they acknowledge, and one fair queue of writers (§13).

SQLite runs in WAL with synchronous=FULL, checked on every connection: WAL+NORMAL loses every
recent commit in a power cut, and DELETE+FULL the last one.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from storage.errors import DurabilityTooWeak, LedgerUnavailable

BUSY_TIMEOUT_MS = 10_000
CONNECTIONS_MAX = 256
_SYNCHRONOUS_FULL = 2


class Database:
    """One SQLite database file. Readers see snapshots; writers queue on `lock_path`, first come
    first served, threads and processes alike: SQLite's own busy polling starves some of them."""

    def __init__(self, url: str, *, lock_path: Path) -> None:
        self._lock_path = lock_path
        self.engine: Engine = create_engine(
            url, pool_size=8, max_overflow=CONNECTIONS_MAX - 8, pool_timeout=10
        )
        event.listen(self.engine, "connect", _configure)
        event.listen(self.engine, "begin", _begin)
        self._writer = self.engine.execution_options(tollgate_writes=True)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A snapshot. Raises LedgerUnavailable."""
        with _unavailable(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A write transaction, alone in the database. It rolls back unless committed by hand.

        Raises LedgerUnavailable.
        """
        with _unavailable(), locked(self._lock_path), self._writer.connect() as connection:
            connection.begin()
            try:
                yield connection
            finally:
                _leave(connection)

    def dispose(self) -> None:
        """Close every idle connection."""
        self.engine.dispose()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path`; a lock per open file, so threads queue as well."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LedgerUnavailable(
            f"{path} can't be opened: {os.strerror(error.errno or 0)}"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _unavailable() -> Iterator[None]:
    """Turn what the driver says of an unreachable or failing database into LedgerUnavailable."""
    try:
        yield
    except IntegrityError:
        raise
    except (DBAPIError, PoolTimeout) as error:
        # Only the class is kept: a driver's message may quote a statement's values.
        raise LedgerUnavailable(f"the database failed ({_root(error)})") from error


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


def _configure(dbapi_connection: Any, _record: object) -> None:
    """Set and check what durability stands on."""
    # Without this the driver begins transactions by itself, and late.
    dbapi_connection.isolation_level = None
    cursor = dbapi_connection.cursor()
    try:
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        mode = cursor.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        # INSERT OR REPLACE deletes: let the journal's triggers see it.
        cursor.execute("PRAGMA recursive_triggers = ON")
        level = cursor.execute("PRAGMA synchronous").fetchone()[0]
        check_durability(journal_mode=mode, synchronous=level)
    finally:
        cursor.close()


def check_durability(*, journal_mode: str, synchronous: int) -> None:
    """Raise DurabilityTooWeak unless the connection is in WAL with synchronous=FULL or above."""
    if journal_mode.lower() != "wal":
        raise DurabilityTooWeak(f"SQLite journal_mode is {journal_mode!r}; it must be WAL")
    if synchronous < _SYNCHRONOUS_FULL:
        raise DurabilityTooWeak(f"SQLite synchronous is {synchronous}; it must be FULL (2)")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("tollgate_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
