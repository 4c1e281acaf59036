"""The SQL side of `quota.ports.Ledger`: where views and works come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from sqlalchemy import Connection

from quota.time import Clock
from storage.clock_guard import ClockGuard
from storage.engine import Database
from storage.view import SqlView
from storage.work import SqlWork


class SqlLedger:
    """`quota.ports.Ledger` on SQL. Its clock is the database's, unless one is given (TIME-1)."""

    def __init__(
        self,
        database: Database,
        clock: Clock | None = None,
        *,
        within_s: float | None = None,
        guard: ClockGuard | None = None,
        before_use: Callable[[], None] = lambda: None,
    ) -> None:
        """`before_use` is called before each transaction and snapshot."""
        self.database = database
        self._clock = clock
        self._within_s = within_s
        self._guard = guard
        self._before_use = before_use

    def within(self, seconds: float) -> SqlLedger:
        """The same ledger for whom a device waits: no answer in time is LedgerUnavailable."""
        return SqlLedger(
            self.database,
            self._clock,
            within_s=seconds,
            guard=self._guard,
            before_use=self._before_use,
        )

    def unguarded(self) -> SqlLedger:
        """The same ledger, whatever its clock does; to confirm the clock, and for nothing else."""
        return SqlLedger(self.database, self._clock)

    @contextmanager
    def read(self) -> Iterator[SqlView]:
        """Open a snapshot. Raises LedgerUnavailable."""
        self._before_use()
        with self.database.read(within_s=self._within_s) as connection:
            yield SqlView(connection, self._clock_on(connection))

    @contextmanager
    def begin(self) -> Iterator[SqlWork]:
        """Begin a transaction; it rolls back unless committed.

        Raises LedgerUnavailable; of this kind, ClockHeld where the ledger's clock has leapt.
        """
        self._before_use()
        with self.database.write(within_s=self._within_s) as connection:
            if self._guard is not None:
                self._guard.check(connection, self._clock_on(connection))
            column = None if self._clock else self.database.clock_column
            yield SqlWork(connection, self._clock_on(connection), column)

    def _clock_on(self, connection: Connection) -> Clock:
        return self._clock or partial(self.database.clock, connection)
