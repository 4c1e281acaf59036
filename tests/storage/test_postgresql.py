"""What is PostgreSQL's own: when the clock is read."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import text

from quota.account import EXAM
from quota.time import Instant
from storage.ledger import SqlLedger
from tests.storage.kit import add_account

LIMIT_S = 30
_WAITING = text(
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


def test_the_clock_is_read_after_the_lock_has_come(postgresql: SqlLedger) -> None:
    """TIME-1, ADM-4: whoever waits for the meter gets a T from after the wait, not before it."""
    ledger = SqlLedger(postgresql.database)
    account = add_account(ledger)

    def lock() -> Instant:
        with ledger.begin() as work:
            return work.lock_meter(account.id, EXAM)[1]

    with ledger.begin() as first:
        first.lock_meter(account.id, EXAM)
        first.commit()
    with ThreadPoolExecutor(1) as pool, ledger.begin() as holder:
        _, before = holder.lock_meter(account.id, EXAM)
        waiting = pool.submit(lock)
        until_somebody_waits(ledger)
        released = holder.clock()
        holder.commit()
        after = waiting.result(timeout=LIMIT_S)

    assert before < released < after


def until_somebody_waits(ledger: SqlLedger) -> None:
    """Return once a transaction waits for a lock; raises AssertionError where none comes to."""
    pause = threading.Event()
    for _ in range(LIMIT_S * 100):
        with ledger.read() as view:
            if view.connection.execute(_WAITING).scalar_one():
                return
        pause.wait(0.01)
    raise AssertionError("nobody waits for the meter")
