"""The SQL side of `quota.ports.Ledger`: where views and works come from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from quota.time import Clock
from storage.engine import Database
from storage.view import SqlView
from storage.work import SqlWork


class SqlLedger:
    """`quota.ports.Ledger` on SQL. `clock` is the ledger's clock, read after the locks (TIME-1)."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self.clock = clock

    @contextmanager
    def read(self) -> Iterator[SqlView]:
        """Open a snapshot. Raises LedgerUnavailable."""
        with self.database.read() as connection:
            yield SqlView(connection, self.clock)

    @contextmanager
    def begin(self) -> Iterator[SqlWork]:
        """Begin a transaction; it rolls back unless committed. Raises LedgerUnavailable."""
        with self.database.write() as connection:
            yield SqlWork(connection, self.clock)
