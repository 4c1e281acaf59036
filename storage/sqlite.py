"""SQLite: WAL with synchronous=FULL, checked on every connection, and one fair queue of writers.

WAL+NORMAL loses every recent commit in a power cut, DELETE+FULL the last one.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, create_engine, event, make_url

from quota.time import Instant
from storage.engine import CONNECTIONS_MAX, rolled_back, system_clock, unavailable
from storage.errors import DurabilityTooWeak, LedgerUnavailable
from storage.lock_queue import LockQueue, open_lock_file

BUSY_TIMEOUT_MS = 10_000
_SYNCHRONOUS_FULL = 2
_WRITERS = "ledger"
_SYNC_FAILED = frozenset(
    {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC}
)


class SqliteDatabase:
    """One file. Readers see snapshots; writers queue on a lock file, first come first served,
    threads and processes alike: SQLite's own busy polling starves some of them."""

    def __init__(self, url: str, *, lock_dir: Path) -> None:
        self.sick = False
        self.clock_column: ColumnElement[Instant] | None = None
        self._lock_dir = lock_dir
        self._queue = LockQueue(lock_dir / f"{_WRITERS}.lock")
        self._path = Path(make_url(url).database or "")
        # The connection that was used last has its statements prepared and its pages at hand.
        self.engine: Engine = create_engine(
            url, pool_size=8, pool_use_lifo=True, max_overflow=CONNECTIONS_MAX - 8, pool_timeout=10
        )
        event.listen(self.engine, "connect", _configure)

    @contextmanager
    def read(self, *, within_s: float | None = None) -> Iterator[Connection]:
        """A snapshot. Raises LedgerUnavailable, DurabilityTooWeak."""
        with unavailable(), self.engine.connect() as connection:
            _limit(connection, within_s)
            with rolled_back(connection):
                connection.exec_driver_sql("BEGIN")
                yield connection

    @contextmanager
    def write(self, *, within_s: float | None = None) -> Iterator[Connection]:
        """A write transaction, alone in the database. It rolls back unless committed by hand.

        Raises LedgerUnavailable, DurabilityTooWeak.
        """
        with (
            self._watching(),
            unavailable(),
            self._queue.alone(within_s),
            self.engine.connect() as connection,
        ):
            _limit(connection, within_s)
            with rolled_back(connection):
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                yield connection

    @contextmanager
    def _watching(self) -> Iterator[None]:
        """Notice a write or sync of the log that failed: what the kernel holds is unknown now."""
        try:
            yield
        except LedgerUnavailable as error:
            origin = getattr(error.__cause__, "orig", None)
            code = getattr(origin, "sqlite_errorcode", 0)
            # The extended code says which call it was; a full disk has a code of its own.
            self.sick = self.sick or code in _SYNC_FAILED
            raise

    def clock(self, connection: Connection) -> Instant:  # noqa: ARG002 - PostgreSQL's needs it
        """The host's clock: the database is on this host."""
        return system_clock()

    def lock_schema(self, connection: Connection) -> None:
        """Nothing to do: a writer is alone already."""

    @contextmanager
    def try_lock(self, name: str) -> Iterator[bool]:
        """Hold the lock file of that name if nobody else does; it ends with the process."""
        with try_lock_file(self._lock_dir / f"{name}.lock") as held:
            yield held

    def size_bytes(self) -> int:
        """Size of the database's files."""
        return sum(file.stat().st_size for file in self._path.parent.glob(f"{self._path.name}*"))

    def dispose(self) -> None:
        """Close every idle connection."""
        self.engine.dispose()


@contextmanager
def try_lock_file(path: Path) -> Iterator[bool]:
    """Hold an exclusive lock on `path` if nobody else does; yields whether it is held.

    The kernel lets go of it when the process ends, however it ends.
    """
    descriptor = open_lock_file(path)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _limit(connection: Connection, within_s: float | None) -> None:
    """Whoever else has the database locked, past our own queue, is waited for so long."""
    busy_ms = BUSY_TIMEOUT_MS if within_s is None else round(within_s * 1_000)
    if connection.info.get("busy_ms", BUSY_TIMEOUT_MS) != busy_ms:
        driver: Any = connection.connection.driver_connection
        driver.execute(f"PRAGMA busy_timeout = {busy_ms}").close()
        connection.info["busy_ms"] = busy_ms


def _configure(dbapi_connection: Any, _record: object) -> None:
    """Set and check what durability stands on."""
    # We begin each transaction; what is written after its end begins another, which is lost.
    dbapi_connection.isolation_level = "IMMEDIATE"
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
