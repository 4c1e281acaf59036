"""Statements held against the journal, entry by entry: every account, every month with anything."""

from __future__ import annotations

from collections import defaultdict
from itertools import chain, pairwise
from typing import TypeAlias

from sqlalchemy import select

from quota import service
from quota.account import Account
from quota.ledger import LedgerAccount
from quota.service import MeterReading
from quota.statement import Balances, Level, Line, MeterStatement, Month, Statement
from quota.time import Instant
from storage import statements
from storage import tables as t
from storage.ledger import SqlLedger
from storage.view import SqlView

Leg: TypeAlias = tuple[Instant, str, int]
"""When an entry is booked, its account, its amount."""


def assert_statements_add_up(ledger: SqlLedger) -> int:
    """For every account: month by month, against the raw entries, against the caches, line by line.

    Returns how many months were looked at.
    """
    with ledger.read() as view:
        return sum(_account(view, account) for account in view.accounts())


def _account(view: SqlView, account: Account) -> int:
    months = _months(view, account)
    told = [statements.statement(view, account, month) for month in months]
    for earlier, later in pairwise(told):
        _assert_meet(earlier, later)
    listed = [list(statements.lines(view, account, month)) for month in months]
    for statement, lines, month in zip(told, listed, months, strict=True):
        assert statements.count_lines(view, account, month) == len(lines)
        for meter in statement.meters:
            _assert_lines(meter, [line for line in lines if line.meter == meter.meter])
            _assert_conserved(meter.opening)
            _assert_conserved(meter.closing)
            legs = _legs(view, account, meter.meter)
            assert _by_account(meter.closing) == _summed(legs, before=statement.end)
            assert _by_account(meter.opening) == _summed(legs, before=statement.start)
    assert _ids(chain.from_iterable(listed)) == _recorded(view, account)
    for meter in told[-1].meters:
        _assert_now(meter, service.read_meter(view, account, meter.meter))
        # Pending in any month, not in the last one alone: the row has none of it yet.
        if not service.peek(view, account, meter.meter).facts:
            _assert_caches(view, account, meter)
    return len(months)


def _months(view: SqlView, account: Account) -> list[Month]:
    """Months in which anything was booked, the one after each, and the current one."""
    current = statements.current_month(view, account)
    booked = [at for name in _meters(view, account) for at, _, _ in _legs(view, account, name)]
    moved = select(t.level_moves.c.moved_at).join(t.meters)
    moved = moved.where(t.meters.c.account_id == account.id)
    booked += view.connection.execute(moved).scalars()
    months = {Month.of(at, account.zone) for at in booked}
    months |= {month.next() for month in months} | {current}
    return sorted(month for month in months if month <= current)


def _meters(view: SqlView, account: Account) -> list[str]:
    names = select(t.meters.c.name).where(t.meters.c.account_id == account.id)
    return list(view.connection.execute(names).scalars())


def _legs(view: SqlView, account: Account, meter: str) -> list[Leg]:
    """Every entry of a meter, and what is due and not recorded."""
    statement = (
        select(t.postings.c.effective_at, t.entries.c.account, t.entries.c.amount)
        .join(t.entries, t.entries.c.posting_id == t.postings.c.id)
        .join(t.meters, t.meters.c.id == t.postings.c.meter_id)
        .where(t.meters.c.account_id == account.id, t.meters.c.name == meter)
    )
    legs = [
        (row.effective_at, row.account, row.amount) for row in view.connection.execute(statement)
    ]
    for fact in service.peek(view, account, meter).facts:
        posting = getattr(fact, "posting", None)
        if posting is not None:
            legs += [(posting.effective_at, leg.account, leg.amount) for leg in posting.entries]
    return legs


def _summed(legs: list[Leg], *, before: Instant) -> dict[str, int]:
    totals: dict[str, int] = defaultdict(int)
    for at, account, amount in legs:
        if at < before:
            totals[account] += amount
    return {account: totals[account] for account in LedgerAccount}


def _by_account(balances: Balances) -> dict[str, int]:
    """The ledger accounts that balances speak of (§3)."""
    return {
        LedgerAccount.ISSUED: -balances.purchased,
        LedgerAccount.PACKAGE: balances.available,
        LedgerAccount.HELD: balances.held,
        LedgerAccount.CONSUMED: balances.used + balances.owed + balances.written_off,
        LedgerAccount.ARREARS: -balances.owed,
        LedgerAccount.EXPIRED: balances.expired,
        LedgerAccount.VOIDED: balances.voided,
        LedgerAccount.WRITTEN_OFF: -balances.written_off,
    }


def _assert_meet(earlier: Statement, later: Statement) -> None:
    """The closing of a month is the opening of the next that has anything."""
    assert [meter.meter for meter in earlier.meters] == [meter.meter for meter in later.meters]
    for before, after in zip(earlier.meters, later.meters, strict=True):
        assert before.closing == after.opening
        if before.level is not None and after.level is not None:
            assert before.level.closing == after.level.opening


def _assert_conserved(balances: Balances) -> None:
    """purchased = used + held + expired + voided + available (§11)."""
    gone = balances.used + balances.held + balances.expired + balances.voided
    assert balances.purchased == gone + balances.available


def _assert_lines(meter: MeterStatement, lines: list[Line]) -> None:
    """The lines add up to the month, each in the span and in order."""
    for name in meter.moves.__slots__:
        assert sum(getattr(line.moves, name) for line in lines) == getattr(meter.moves, name)
    assert sum(line.source == statements.PENDING for line in lines) == meter.pending
    level = meter.level or Level(opening=0, added=0, freed=0, limit=None)
    assert sum(line.added for line in lines) == level.added
    assert sum(line.freed for line in lines) == level.freed
    for source in (statements.JOURNAL, statements.LEVEL):
        booked = [line.booked_at for line in lines if line.source == source]
        assert booked == sorted(booked)


def _ids(lines: chain[Line]) -> list[tuple[str, int]]:
    return sorted((line.source, line.id) for line in lines if line.id is not None)


def _recorded(view: SqlView, account: Account) -> list[tuple[str, int]]:
    """Every record there is: each is a line of one month, and of one only."""
    found = []
    for source, table in ((statements.JOURNAL, t.postings), (statements.LEVEL, t.level_moves)):
        ids = select(table.c.id).join(t.meters, t.meters.c.id == table.c.meter_id)
        ids = ids.where(t.meters.c.account_id == account.id)
        found += [(source, row_id) for row_id in view.connection.execute(ids).scalars()]
    return sorted(found)


def _assert_now(meter: MeterStatement, reading: MeterReading) -> None:
    """The closing of the current month is what the meter says now (TIME-4)."""
    now = reading.meter
    assert meter.closing == Balances(
        available=now.available,
        held=now.held,
        owed=now.owed,
        purchased=now.purchased,
        used=now.used,
        expired=now.expired,
        voided=now.voided,
        written_off=now.written_off,
    )
    if meter.level is not None:
        assert meter.level.closing == now.stored
        assert meter.level.over_limit == now.owing
        assert (meter.level.limit or 0) == now.limit


def _assert_caches(view: SqlView, account: Account, meter: MeterStatement) -> None:
    """With nothing pending, the row of the meter says the same."""
    statement = select(t.meters).where(
        t.meters.c.account_id == account.id, t.meters.c.name == meter.meter
    )
    row = view.connection.execute(statement).mappings().one()
    for name in ("available", "held", "owed", "purchased", "expired", "voided", "written_off"):
        assert row[name] == getattr(meter.closing, name)
