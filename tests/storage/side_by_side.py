"""Three stores side by side under one clock: in memory, on SQLite, on PostgreSQL."""

from __future__ import annotations

import atexit
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

from hypothesis.stateful import RuleBasedStateMachine
from sqlalchemy import select

from quota.account import Account
from quota.order import LineRequest, OrderRequest, Rejected
from quota.ports import Ledger, Work
from storage import tables as t
from storage.ledger import SqlLedger
from storage.memory import MemoryLedger
from tests.quota.test_time import utc
from tests.storage import kit
from tests.storage.adding_up import assert_statements_add_up
from tests.storage.conftest import SMALL_PACKAGES
from tests.storage.server import Server

DAY = 86_400_000_000
SPANS = [-DAY, -1, 0, 1, 3_600_000_000, DAY - 1, DAY, 40 * DAY]
_T = TypeVar("_T")


@cache
def shared_server() -> Server:
    """One PostgreSQL server for all machines of this process."""
    server = Server()
    atexit.register(server.__exit__, None, None, None)
    return server


class SideBySide(RuleBasedStateMachine):
    """What every machine has: the clock, the stores, and what must hold after every step."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = kit.HandClock(utc("2024-02-28 12:00"))
        self.folder = tempfile.TemporaryDirectory()
        self.sqlite: SqlLedger = kit.open_sqlite(Path(self.folder.name), self.clock)
        self.postgresql = SqlLedger(shared_server().new_database(), self.clock)
        self.ledgers: tuple[Ledger, ...] = (
            MemoryLedger(self.clock),
            self.sqlite,
            self.postgresql,
        )
        self.accounts: dict[int, Account] = {}

    def on_all(self, operation: Callable[[Work], _T]) -> list[_T]:
        """Do one thing in a transaction of each store, committed unless it was refused."""
        outcomes = []
        for ledger in self.ledgers:
            with ledger.begin() as work:
                outcome = operation(work)
                if not isinstance(outcome, Rejected):
                    work.commit()
            outcomes.append(outcome)
        return outcomes

    def buy(self, account: int, number: str, line: LineRequest, *, late: int = 0) -> None:
        """An order of any size, paid now and credited `late` after."""
        request = OrderRequest(number=number, account_id=account, lines=(line,))
        self.on_all(lambda work: work.add_order(request, placed_at=work.clock()))
        for ledger in self.ledgers:
            kit.pay(ledger, number)
        self.clock.at += late
        for ledger in self.ledgers:
            kit.credit(ledger, number)

    def reopen(self) -> None:
        """The process ends, and another one opens the databases."""
        self.sqlite.database.dispose()
        self.postgresql.database.dispose()

    def verify_both(self) -> None:
        """§12, on both databases; the small packages are the test's own doing."""
        for ledger in (self.sqlite, self.postgresql):
            report = kit.verified(ledger)
            assert kit.failed(report) <= {SMALL_PACKAGES}, report.violations

    def close(self) -> None:
        """At the end of a sequence: SQLite and PostgreSQL have the same journal, and every
        month's statement adds up to it."""
        try:
            assert journal(self.sqlite) == journal(self.postgresql)
            months = {assert_statements_add_up(ledger) for ledger in (self.sqlite, self.postgresql)}
            assert len(months) == 1
        finally:
            self.sqlite.database.dispose()
            self.postgresql.database.dispose()
            shared_server().drop(self.postgresql.database)
            self.folder.cleanup()


def journal(ledger: SqlLedger) -> list[tuple[object, ...]]:
    """Every entry with its posting, and every notice, without the numbers of rows: a sequence of
    PostgreSQL counts what was rolled back as well."""
    statement = (
        select(
            t.meters.c.account_id,
            t.meters.c.name,
            *(t.postings.c[name] for name in ("kind", "effective_at", "recorded_at")),
            *(t.postings.c[name] for name in ("examination_id", "hold_key")),
            t.entries.c.account,
            t.entries.c.amount,
        )
        .join(t.postings, t.postings.c.meter_id == t.meters.c.id)
        .join(t.entries, t.entries.c.posting_id == t.postings.c.id)
        .order_by(t.postings.c.id, t.entries.c.line_no)
    )
    with ledger.read() as view:
        told = [(notice.account_id, notice.kind, notice.raised_at) for notice in view.notices()]
        return [*(tuple(row) for row in view.connection.execute(statement)), *told]
