"""A device waits for its answer: a database that says nothing is unavailable, and soon."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from storage.errors import LedgerUnavailable
from storage.ledger import SqlLedger
from tests.storage.kit import DATABASE
from tests.storage.server import Server


@pytest.mark.slow
def test_a_stopped_server_is_unavailable_within_seconds(server: Server) -> None:
    """SIGSTOP: the kernel keeps the connection up, pooled or new; afterwards all goes on."""
    database = server.new_database()
    ledger = SqlLedger(database).within(0.5)
    with ledger.read() as view:
        view.accounts()
    began_s = time.monotonic()
    with server.stopped():
        for opened in (ledger.read, ledger.begin):
            with pytest.raises(LedgerUnavailable), opened() as view:
                view.accounts()
    assert time.monotonic() - began_s < 15

    with ledger.read() as view:
        assert view.accounts() == []
    database.dispose()


@pytest.mark.slow
def test_a_server_that_stops_within_a_transaction_is_unavailable(server: Server) -> None:
    """The limit holds for each statement; the connection is not used again."""
    database = server.new_database()
    ledger = SqlLedger(database).within(0.5)
    with pytest.raises(LedgerUnavailable), ledger.begin() as work, server.stopped():
        work.accounts()
    with ledger.begin() as work:
        assert work.accounts() == []
    database.dispose()


def test_a_held_queue_is_unavailable_in_time_and_is_served_afterwards(sqlite: SqlLedger) -> None:
    """The writers' lock file of SQLite, held by a process that hangs."""
    hurried = sqlite.within(0.05)
    with sqlite.begin():
        for _ in range(2):
            with pytest.raises(LedgerUnavailable, match="lock"), hurried.begin():
                pass
    with sqlite.begin() as work:
        assert work.accounts() == []
    with hurried.begin() as work:
        assert work.accounts() == []


def test_a_foreign_lock_on_the_file_is_unavailable_in_time(
    sqlite: SqlLedger, tmp_path: Path
) -> None:
    """Somebody's own program in the middle of a write."""
    with closing(sqlite3.connect(tmp_path / DATABASE, isolation_level=None)) as foreign:
        foreign.execute("BEGIN IMMEDIATE")
        began_s = time.monotonic()
        with pytest.raises(LedgerUnavailable), sqlite.within(0.05).begin():
            pass
        assert time.monotonic() - began_s < 5
