"""PostgreSQL: READ COMMITTED with row locks for writers, REPEATABLE READ snapshots for readers."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Engine,
    create_engine,
    event,
    literal_column,
    select,
    text,
)

from quota.time import Instant
from storage.engine import CONNECTIONS_MAX, rolled_back, unavailable
from storage.errors import DurabilityTooWeak

_SETTINGS = ("fsync", "full_page_writes", "synchronous_commit")
PING_S = 3.0
# A host that vanished sends no end of its connections: 60 s, and not the system's two hours.
_CONNECT = {
    "connect_timeout": 3,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
_SYNCHRONOUS = frozenset({"on", "remote_apply"})
# A lock that does not come in ten seconds is a fault, and a device is waiting for its answer.
_LIMITS = "SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '60s'"
# The server's clock now, in µs, and not at the transaction's start.
_NOW: ColumnElement[Instant] = literal_column(
    "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint", BigInteger
)
_CLOCK = select(_NOW)
_LOCK_SPACE = 0x70_11_6A_7E
"""First half of our advisory locks' keys, so that they meet nobody else's."""
_SCHEMA = 1
_NAMED = {"keeper": 2}


class PostgresDatabase:
    """One PostgreSQL database, shared by any number of hosts. The ledger's clock is its clock."""

    def __init__(self, url: str) -> None:
        # The server stops by itself when a sync fails, and recovers from its log.
        self.sick = False
        self.clock_column: ColumnElement[Instant] | None = _NOW
        self.engine: Engine = create_engine(
            url,
            pool_size=8,
            max_overflow=CONNECTIONS_MAX - 8,
            pool_timeout=10,
            pool_pre_ping=True,
            connect_args=_CONNECT,
        )
        event.listen(self.engine, "do_connect", _connect)
        event.listen(self.engine, "connect", _configure)
        self._reader = self.engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._writer = self.engine.execution_options(isolation_level="READ COMMITTED")

    @contextmanager
    def read(self, *, within_s: float | None = None) -> Iterator[Connection]:
        """A snapshot. Raises LedgerUnavailable, DurabilityTooWeak."""
        with unavailable(), self._reader.connect() as connection, _limited(connection, within_s):
            yield connection

    @contextmanager
    def write(self, *, within_s: float | None = None) -> Iterator[Connection]:
        """A write transaction; it rolls back unless committed by hand.

        Raises LedgerUnavailable, DurabilityTooWeak.
        """
        with unavailable(), self._writer.connect() as connection, _limited(connection, within_s):
            yield connection

    def clock(self, connection: Connection) -> Instant:
        """The server's clock, read now and not at the transaction's start: after the locks."""
        now: Instant = connection.execute(_CLOCK).scalar_one()
        return now

    def lock_schema(self, connection: Connection) -> None:
        """Let no other process change the schema until this transaction ends."""
        connection.execute(
            text("SELECT pg_advisory_xact_lock(:space, :key)"),
            {"space": _LOCK_SPACE, "key": _SCHEMA},
        )

    @contextmanager
    def try_lock(self, name: str) -> Iterator[bool]:
        """Hold the advisory lock of that name if nobody else does; it ends with the connection."""
        key = {"space": _LOCK_SPACE, "key": _NAMED[name]}
        with unavailable(), self._autocommitting() as connection:
            held: bool = connection.execute(
                text("SELECT pg_try_advisory_lock(:space, :key)"), key
            ).scalar_one()
            try:
                yield held
            finally:
                if held:
                    connection.execute(text("SELECT pg_advisory_unlock(:space, :key)"), key)

    @contextmanager
    def _autocommitting(self) -> Iterator[Connection]:
        with self.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            yield connection

    def size_bytes(self) -> int:
        """Size of the database on the server. Raises LedgerUnavailable."""
        with self.read() as connection:
            size: int = connection.execute(
                text("SELECT pg_database_size(current_database())")
            ).scalar_one()
            return size

    def dispose(self) -> None:
        """Close every idle connection."""
        self.engine.dispose()


class _Patient(psycopg.Connection[Any]):
    """Waits for an answer no longer than `limit_s`: a server that is stopped says nothing.

    A limit of the server's own (statement_timeout) needs a server that runs.
    """

    limit_s: float | None = PING_S

    def wait(self, gen: Any, *arguments: Any, **named: Any) -> Any:
        """Raises OperationalError where the answer is late; the connection is then closed."""
        if self.limit_s is None:
            return super().wait(gen, *arguments, **named)
        return super().wait(_until(gen, self, time.monotonic() + self.limit_s), *arguments, **named)


def _until(
    steps: Generator[Any, Any, Any], connection: _Patient, end_s: float
) -> Generator[Any, Any, Any]:
    """The driver's steps; it comes back here ten times a second while nothing arrives."""
    try:
        wanted = next(steps)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() > end_s:
                # What the server makes of it is unknown: nobody may use this connection again.
                connection.pgconn.finish()
                raise psycopg.OperationalError
            wanted = steps.send(ready)
    except StopIteration as last:
        return last.value


def _connect(_dialect: object, _record: object, arguments: Any, named: Any) -> _Patient:
    return _Patient.connect(*arguments, **named)


@contextmanager
def _limited(connection: Connection, within_s: float | None) -> Iterator[None]:
    """A transaction whose every answer comes in time; asked whether it lives, it has `PING_S`."""
    driver: Any = connection.connection.driver_connection
    driver.limit_s = within_s
    try:
        with rolled_back(connection):
            yield
    finally:
        driver.limit_s = PING_S


def _configure(dbapi_connection: Any, _record: object) -> None:
    """Set our limits, and check what durability stands on."""
    previous = dbapi_connection.autocommit
    dbapi_connection.autocommit = True
    try:
        with dbapi_connection.cursor() as cursor:
            cursor.execute(_LIMITS)
            values = {}
            for name in _SETTINGS:
                cursor.execute(f"SHOW {name}")
                values[name] = cursor.fetchone()[0]
            check_durability(values)
    finally:
        dbapi_connection.autocommit = previous


def check_durability(settings: Mapping[str, str]) -> None:
    """Raise DurabilityTooWeak unless a COMMIT that returned survives a power cut."""
    for name in ("fsync", "full_page_writes"):
        if settings[name] != "on":
            raise DurabilityTooWeak(f"PostgreSQL {name} is {settings[name]!r}; it must be on")
    if settings["synchronous_commit"] not in _SYNCHRONOUS:
        raise DurabilityTooWeak(
            f"PostgreSQL synchronous_commit is {settings['synchronous_commit']!r}; it must be on"
        )
