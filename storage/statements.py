"""Reads statements: the journal's sums over a month, and the lines that add up to them (§11).

One snapshot, sums made by the database; lines come one by one, however many there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, case, func, select

from quota import service
from quota.account import CAPACITY, Account
from quota.book import Book
from quota.facts import Posted
from quota.ledger import Entry, LedgerAccount, Posting, PostingKind
from quota.statement import (
    Balances,
    Level,
    Line,
    MeterStatement,
    Month,
    Moves,
    Statement,
    Sums,
    added,
    finality,
    sums_of,
)
from quota.time import Instant
from storage import tables as t
from storage.rows import package_of
from storage.view import SqlView

JOURNAL, LEVEL, PENDING = "journal", "level", "pending"
"""Where a line is on record: `postings`, `level_moves`, or not yet (TIME-4)."""
_IN_PARTS = {"yield_per": 1_000}


def current_month(view: SqlView, account: Account) -> Month:
    """The month of the account's own calendar that it is now."""
    return Month.of(_now(view, _books(view, account)), account.zone)


def statement(view: SqlView, account: Account, month: Month) -> Statement:
    """The account's meters in a month that has begun, boundaries up to now counted in."""
    start, end = month.span(account.zone)
    books = _books(view, account)
    return Statement(
        account=account,
        month=month,
        start=start,
        end=end,
        at=_now(view, books),
        meters=tuple(_meter(view, book, start, end) for book in books),
    )


def lines(view: SqlView, account: Account, month: Month) -> Iterator[Line]:
    """Everything that happened in the month, meter by meter, as it stands in the journal.

    Read while the snapshot is open. Postings in the order of the journal, then what is due and not
    recorded yet; moves of the level after them.
    """
    start, end = month.span(account.zone)
    for book in _books(view, account):
        yield from _posted(view, book, start, end)
        for posting in _pending(book, start, end):
            yield _line(book, posting, source=PENDING, row_id=None, order_no=None)
        yield from _moved(view, book, start, end)


def count_lines(view: SqlView, account: Account, month: Month) -> int:
    """How many lines there are, to show how far the reading has come."""
    start, end = month.span(account.zone)
    found = 0
    for book in _books(view, account):
        for table, booked in _RECORDS:
            inside = _between(table, booked, book, start, end)
            found += view.connection.execute(select(func.count()).where(inside)).scalar_one()
        found += len(_pending(book, start, end))
    return found


_RECORDS = (
    (t.postings, t.postings.c.effective_at),
    (t.level_moves, t.level_moves.c.moved_at),
)


def _between(
    table: t.Table, booked: ColumnElement[int], book: Book, start: Instant, end: Instant
) -> ColumnElement[bool]:
    return and_(table.c.meter_id == book.meter.id, booked >= start, booked < end)


def _books(view: SqlView, account: Account) -> list[Book]:
    """Every meter of the account as of now; `exam` first, then by name."""
    known = select(t.meters.c.name).where(t.meters.c.account_id == account.id)
    names = sorted(view.connection.execute(known).scalars(), key=service.lock_order)
    return [service.peek(view, account, name) for name in names]


def _now(view: SqlView, books: Sequence[Book]) -> Instant:
    return max([view.clock(), *(book.at for book in books)])


def _meter(view: SqlView, book: Book, start: Instant, end: Instant) -> MeterStatement:
    before, within = _sums(view, book.meter.id, start, end)
    pending = _pending(book, start, end)
    before = added(before, sums_of(_pending(book, 0, start)))
    within = added(within, sums_of(pending))
    closing = Balances.of(added(before, within))
    recorded = view.meter(book.meter.account_id, book.meter.name)
    return MeterStatement(
        meter=book.meter.name,
        finality=finality(end, last_at=recorded.last_at if recorded else 0, at=book.at),
        opening=Balances.of(before),
        moves=Moves.of(within),
        closing=closing,
        pending=len(pending),
        level=_level(view, book, closing, start, end) if book.meter.name == CAPACITY else None,
    )


def _pending(book: Book, start: Instant, end: Instant) -> list[Posting]:
    """Postings that are due and not recorded, booked in start <= T < end."""
    postings = [fact.posting for fact in book.facts if isinstance(fact, Posted)]
    return [posting for posting in postings if start <= posting.effective_at < end]


def _sums(view: SqlView, meter_id: int, start: Instant, end: Instant) -> tuple[Sums, Sums]:
    """What was booked before `start`, and from there to `end`."""
    p, e = t.postings.c, t.entries.c
    is_within = case((p.effective_at >= start, 1), else_=0)
    statement = (
        select(p.kind, e.account, is_within.label("within"), func.sum(e.amount).label("amount"))
        .join(t.entries, e.posting_id == p.id)
        .where(p.meter_id == meter_id, p.effective_at < end)
        .group_by(p.kind, e.account, is_within)
    )
    found: tuple[dict[tuple[PostingKind, LedgerAccount], int], ...] = ({}, {})
    for row in view.connection.execute(statement):
        key = (PostingKind(row.kind), LedgerAccount(row.account))
        found[row.within][key] = int(row.amount)  # PostgreSQL adds bigints up to a numeric
    return found[0], found[1]


def _level(view: SqlView, book: Book, closing: Balances, start: Instant, end: Instant) -> Level:
    moves = t.level_moves.c
    within = moves.moved_at >= start

    def total(*conditions: ColumnElement[bool]) -> ColumnElement[int]:
        return func.coalesce(func.sum(case((and_(*conditions), moves.delta), else_=0)), 0)

    statement = select(
        total(moves.moved_at < start).label("opening"),
        total(within, moves.delta > 0).label("added"),
        total(within, moves.delta < 0).label("freed"),
    ).where(moves.meter_id == book.meter.id, moves.moved_at < end)
    row = view.connection.execute(statement).one()
    return Level(
        opening=int(row.opening),
        added=int(row.added),
        freed=-int(row.freed),
        limit=_limit(view, book, min(book.at + 1, end)) if closing.purchased > 0 else None,
    )


def _limit(view: SqlView, book: Book, end: Instant) -> int:
    """CAP-3: the sum of the packages that were active the moment before `end`."""
    packages = select(t.packages).where(
        t.packages.c.meter_id == book.meter.id, t.packages.c.effective_at < end
    )
    limit = 0
    for row in view.connection.execute(packages):
        package = package_of(row)
        ends_at = package.end_at if package.voided_at is None else package.voided_at
        limit += package.quantity if ends_at >= end else 0
    return limit


def _posted(view: SqlView, book: Book, start: Instant, end: Instant) -> Iterator[Line]:
    p, e = t.postings.c, t.entries.c
    statement: Select[Any] = (
        select(t.postings, e.account, e.package_id, e.amount, t.orders.c.number.label("order_no"))
        .join(t.entries, e.posting_id == p.id)
        .outerjoin(t.order_lines, t.order_lines.c.id == p.order_line_id)
        .outerjoin(t.orders, t.orders.c.id == t.order_lines.c.order_id)
        .where(_between(t.postings, p.effective_at, book, start, end))
        .order_by(p.id, e.line_no)
    )
    rows = view.connection.execute(statement, execution_options=_IN_PARTS)
    for posting_id, entries in groupby(rows, key=lambda row: row.id):
        listed = list(entries)
        yield _line(
            book, _posting(listed), source=JOURNAL, row_id=posting_id, order_no=listed[0].order_no
        )


def _posting(rows: Sequence[Row[Any]]) -> Posting:
    """A posting from the rows of its entries."""
    first = rows[0]
    return Posting(
        kind=PostingKind(first.kind),
        effective_at=first.effective_at,
        recorded_at=first.recorded_at,
        entries=tuple(
            Entry(account=LedgerAccount(row.account), amount=row.amount, package_id=row.package_id)
            for row in rows
        ),
        examination_id=first.examination_id,
        order_line_id=first.order_line_id,
        hold_key=first.hold_key,
    )


def _line(
    book: Book, posting: Posting, *, source: str, row_id: int | None, order_no: str | None
) -> Line:
    named = (entry.package_id for entry in posting.entries if entry.package_id is not None)
    return Line(
        meter=book.meter.name,
        source=source,
        id=row_id,
        kind=posting.kind,
        booked_at=posting.effective_at,
        recorded_at=None if source == PENDING else posting.recorded_at,
        examination_id=posting.examination_id,
        order_no=order_no,
        packages=tuple(dict.fromkeys(named)),
        moves=Moves.of(sums_of([posting])),
    )


def _moved(view: SqlView, book: Book, start: Instant, end: Instant) -> Iterator[Line]:
    moves = t.level_moves.c
    statement = (
        select(t.level_moves)
        .where(_between(t.level_moves, moves.moved_at, book, start, end))
        .order_by(moves.id)
    )
    for row in view.connection.execute(statement, execution_options=_IN_PARTS):
        yield Line(
            meter=book.meter.name,
            source=LEVEL,
            id=row.id,
            kind="store" if row.delta > 0 else "delete",
            booked_at=row.moved_at,
            recorded_at=row.moved_at,
            added=max(0, row.delta),
            freed=max(0, -row.delta),
        )
