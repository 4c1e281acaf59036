"""A hospital with a past, and copies of its data directory to be spoilt."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from storage.ledger import SqlLedger
from tests.quota.makers import DAY, HOUR
from tests.storage.hospital import Instance, Site, numbered
from tests.storage.kit import (
    DATABASE,
    HandClock,
    add_account,
    credit,
    failed,
    open_sqlite,
    pay,
    place,
    verified,
)

YEAR = 366 * DAY


def live(folder: Path, clock: HandClock) -> Site:
    """A hospital with a past: two packages side by side, a lapse, arrears paid off, and again."""
    ledger = open_sqlite(folder, clock)
    site = Site(ledger, add_account(ledger), folder / "archive")

    def buy(number: str) -> None:
        place(ledger, site.account, number, 1_000)
        pay(ledger, number)
        credit(ledger, number)

    def send(name: str) -> None:
        clock.at += HOUR
        for instance in numbered(2, study=name):
            site.send(instance)

    buy("SO-1")
    clock.at += DAY
    buy("SO-2")
    for n in range(3):
        send(f"1.1.{n}")
    clock.at += YEAR
    for n in range(3):
        send(f"1.2.{n}")
    clock.at += HOUR
    buy("SO-3")
    clock.at += HOUR
    site.send(Instance(sop="1.1.0.9.0", study="1.1.0", content=b"other"))
    send("1.3.0")
    clock.at += YEAR
    for n in range(2):
        send(f"1.4.{n}")
    place(ledger, site.account, "SO-4", 1_000)
    return site


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A copy of that hospital's data directory, to be spoilt."""

    folder: Path
    ledger: SqlLedger

    @property
    def archive_root(self) -> Path:
        """Where the objects are."""
        return self.folder / "archive"

    def failing(self) -> set[int]:
        """The numbers of the checks that fail, objects included."""
        return failed(verified(self.ledger, archive_root=self.archive_root))

    def corrupt(self, *statements: str) -> None:
        """Change the database behind the ledger's back, its triggers and keys out of the way."""
        with closing(sqlite3.connect(self.folder / DATABASE)) as connection:
            for table in ("postings", "entries"):
                for action in ("update", "delete"):
                    connection.execute(f"DROP TRIGGER IF EXISTS {table}_no_{action}")
            connection.execute("DROP TRIGGER IF EXISTS licences_no_overlap")
            for statement in statements:
                assert connection.execute(statement).rowcount > 0, f"nothing: {statement}"
            connection.commit()
