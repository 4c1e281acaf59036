"""Guards the books against a clock that leaps: one wrong date would expire every package for good.

A process compares the ledger's clock with a clock that nobody can set; where the first leaps ahead,
or comes back after a month, it is held: no transaction of any process begins until an operator has
looked at it (design §7, Clock). Uploads go on as while the ledger can't be reached.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from quota.time import MICROSECONDS_PER_SECOND, Instant
from storage import tables as t
from storage.errors import LedgerUnavailable
from storage.view import SqlView
from storage.work import SqlWork

LEAP_MAX: Instant = 5 * 60 * MICROSECONDS_PER_SECOND
ABSENCE_MAX: Instant = 30 * 86_400 * MICROSECONDS_PER_SECOND

_ROW = select(t.ledger_clock)


class ClockHeld(LedgerUnavailable):
    """The ledger's clock has leapt; look at it, then: tollgate clock confirm"""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClockState:
    """What is on record of the ledger's clock."""

    beat_at: Instant
    """When the keeper last saw it in order; 0 where none has yet."""
    held_at: Instant | None
    confirmed_at: Instant | None


def state(connection: Connection) -> ClockState:
    """As it is on record."""
    row = connection.execute(_ROW).one()
    return ClockState(beat_at=row.beat_at, held_at=row.held_at, confirmed_at=row.confirmed_at)


def beat(work: SqlWork) -> None:
    """The keeper saw the clock in order: a transaction that is held does not come here."""
    work.connection.execute(update(t.ledger_clock).values(beat_at=work.clock()))


def confirm(view: SqlView) -> ClockState:
    """The clock is right: go on by it. The caller commits."""
    now = view.clock()
    view.connection.execute(
        update(t.ledger_clock).values(beat_at=now, held_at=None, confirmed_at=now)
    )
    return state(view.connection)


def _boot_s() -> float:
    """Seconds since the start of the machine, its sleep included; nobody can set it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class ClockGuard:
    """One process's eye on the ledger's clock. Safe to call from many threads."""

    def __init__(self, *, boot_s: Callable[[], float] = _boot_s) -> None:
        self._boot_s = boot_s
        self._lock = threading.Lock()
        self._last: tuple[Instant, float] | None = None

    def check(self, connection: Connection, clock: Callable[[], Instant]) -> None:
        """Raise ClockHeld where nothing may be booked; put it on record where we saw it first."""
        on_record = state(connection)
        before_s = self._boot_s()
        now = clock()
        if on_record.held_at is not None:
            raise ClockHeld
        if self._leapt(on_record, now):
            connection.execute(update(t.ledger_clock).values(held_at=now))
            connection.commit()
            raise ClockHeld
        with self._lock:
            self._last = now, before_s

    def _leapt(self, on_record: ClockState, now: Instant) -> bool:
        with self._lock:
            last = self._last
        if last is None:
            return on_record.beat_at > 0 and now - on_record.beat_at > ABSENCE_MAX
        seen_at, seen_s = last
        if on_record.confirmed_at is not None and on_record.confirmed_at > seen_at:
            return False  # an operator has looked at it since
        passed = round((self._boot_s() - seen_s) * MICROSECONDS_PER_SECOND)
        return now - seen_at - passed > LEAP_MAX
