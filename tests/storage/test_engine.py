"""The database keeps what it acknowledges, or is not used; writers queue, readers see snapshots."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import IntegrityError

from storage.engine import open_database
from storage.errors import DurabilityTooWeak, LedgerUnavailable
from storage.ledger import SqlLedger
from storage.sqlite import SqliteDatabase, check_durability
from tests.storage.kit import DATABASE, add_account, dump
from tests.storage.past import Copy


def test_every_connection_runs_in_wal_with_full_sync(sqlite: SqlLedger) -> None:
    """WAL + FULL, read back from the connection itself, for readers and writers alike."""
    for opened in (sqlite.database.read, sqlite.database.write):
        with opened() as connection:
            settings = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                for name in ("journal_mode", "synchronous", "foreign_keys")
            }
        assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


@pytest.mark.parametrize(
    "journal_mode, synchronous",
    [("wal", 1), ("wal", 0), ("delete", 2), ("memory", 2), ("off", 3), ("truncate", 3)],
)
def test_weaker_settings_are_refused(journal_mode: str, synchronous: int) -> None:
    """In a power cut WAL+NORMAL loses all recent commits, DELETE+FULL the last."""
    with pytest.raises(DurabilityTooWeak, match="must be"):
        check_durability(journal_mode=journal_mode, synchronous=synchronous)


@pytest.mark.parametrize("journal_mode, synchronous", [("wal", 2), ("WAL", 2), ("wal", 3)])
def test_full_sync_or_more_is_accepted(journal_mode: str, synchronous: int) -> None:
    """WAL with FULL or EXTRA, however SQLite spells it."""
    check_durability(journal_mode=journal_mode, synchronous=synchronous)


def test_a_database_that_cannot_be_durable_is_not_opened(tmp_path: Path) -> None:
    """Where SQLite has no WAL it is refused at the first connection, not at the first loss."""
    # Locks by dot files, as for some network file systems, know no shared memory.
    url = f"sqlite:///file:{tmp_path / DATABASE}?vfs=unix-dotfile&uri=true"
    database = open_database(url, lock_dir=tmp_path)

    with pytest.raises(DurabilityTooWeak, match="journal_mode"), database.read():
        pass


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    """The caller hears of one thing only: the ledger is unavailable, and by which failure."""
    (tmp_path / DATABASE).write_bytes(b"This is no database" * 100)
    database = open_database(f"sqlite:///{tmp_path / DATABASE}", lock_dir=tmp_path)

    with pytest.raises(LedgerUnavailable, match="DatabaseError"), database.read():
        pass


def test_a_missing_folder_is_unavailable(tmp_path: Path) -> None:
    """Neither the database nor its lock can be made: said as such, for both ways in."""
    gone = tmp_path / "gone"
    database = open_database(f"sqlite:///{gone / DATABASE}", lock_dir=gone)

    with pytest.raises(LedgerUnavailable, match="OperationalError"), database.read():
        pass
    with pytest.raises(LedgerUnavailable, match="can't be opened"), database.write():
        pass


def test_a_failure_quotes_no_values(sqlite: SqlLedger) -> None:
    """A driver's message may quote a statement; what is raised names the class only."""
    with pytest.raises(LedgerUnavailable) as caught, sqlite.database.read() as connection:
        connection.execute(text("SELECT 'Patient^Secret' FROM nowhere"))

    assert "Secret" not in str(caught.value)
    assert "OperationalError" in str(caught.value)


def test_a_write_rolls_back_unless_committed(sqlite: SqlLedger) -> None:
    """Leaving the block is not enough."""
    before = dump(sqlite)
    with sqlite.database.write() as connection:
        connection.execute(
            text("INSERT INTO accounts VALUES (9, 'x', 'per_exam', '', '', 0, 0, NULL)")
        )

    assert dump(sqlite) == before


def test_what_is_written_after_the_commit_is_not_kept(sqlite: SqlLedger) -> None:
    """Whoever goes on in a transaction that has ended has begun another, and loses it."""
    with sqlite.database.write() as connection:
        connection.execute(text("UPDATE ledger_clock SET beat_at = 1"))
        connection.commit()
        connection.execute(text("UPDATE ledger_clock SET beat_at = 2"))

    with sqlite.database.read() as connection:
        assert connection.execute(text("SELECT beat_at FROM ledger_clock")).scalar_one() == 1


def test_a_reader_is_not_stopped_by_a_writer(sqlite: SqlLedger) -> None:
    """WAL: a report during an admission shows the state before it, at once."""
    with sqlite.begin() as work:
        work.connection.execute(
            text("INSERT INTO accounts VALUES (9, 'x', 'per_exam', '', '', 0, 0, NULL)")
        )
        with sqlite.read() as view:
            assert view.accounts() == []


def test_the_lock_is_given_back_after_a_failure(sqlite: SqlLedger) -> None:
    """Whatever happens inside, the next writer is not kept waiting."""

    def stumble() -> None:
        with sqlite.database.write():
            raise KeyError

    with pytest.raises(KeyError):
        stumble()

    assert add_account(sqlite).name == "North"


def test_the_lock_file_is_the_owners_alone(sqlite: SqlLedger, tmp_path: Path) -> None:
    """Mode 0600, like everything here."""
    add_account(sqlite)

    assert (tmp_path / "ledger.lock").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE postings SET effective_at = 0",
        "UPDATE postings SET meter_id = meter_id",
        "UPDATE entries SET amount = amount + 1",
        "DELETE FROM postings",
        "DELETE FROM entries",
        "INSERT OR REPLACE INTO entries SELECT * FROM entries",
        "INSERT OR REPLACE INTO postings SELECT * FROM postings",
    ],
)
def test_the_journal_cannot_be_changed(copy: Copy, statement: str) -> None:
    """§3: the database itself refuses UPDATE, DELETE and what amounts to them."""
    before = dump(copy.ledger)

    with (
        pytest.raises(IntegrityError, match="append-only"),
        copy.ledger.database.write() as connection,
    ):
        connection.exec_driver_sql(statement)

    assert dump(copy.ledger) == before


def test_another_program_cannot_change_the_journal_either(copy: Copy) -> None:
    """The triggers are in the database and not in our connection."""
    with (
        closing(sqlite3.connect(copy.folder / DATABASE)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="append-only"),
    ):
        connection.execute("UPDATE entries SET amount = 0")


def test_a_failed_commit_leaves_no_transaction_behind(sqlite: SqlLedger) -> None:
    """The connection is not used again: it may hold the database's write lock for ever."""

    def fail(_: Connection) -> None:
        raise TimeoutError

    assert isinstance(sqlite.database, SqliteDatabase)
    event.listen(sqlite.database.engine, "commit", fail)
    with pytest.raises(TimeoutError):
        add_account(sqlite)
    event.remove(sqlite.database.engine, "commit", fail)

    assert dump(sqlite)["accounts"] == []
    assert add_account(sqlite).name == "North"
