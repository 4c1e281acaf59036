"""What is left of an account's packages, as of now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, ScalarSelect, Select, func, literal_column, or_, select

from quota import service
from quota.account import AI_PREFIX, Account
from quota.book import Book
from quota.package import Package, PackageState
from storage import tables as t
from storage.rows import package_of
from storage.view import SqlView

USABLE = frozenset({PackageState.AHEAD, PackageState.ACTIVE})
USABLE_SHOWN = 50
"""Packages that can be used, per meter, the first in burn order."""
OVER_SHOWN = 5
"""Packages that are used up, expired or voided, per meter, the latest credited."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stock:
    """One package with what is left of it now, in the unit of its meter."""

    package: Package
    meter: str
    order_no: str
    state: PackageState
    left: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Overview:
    """The packages that matter now, and how many more there are."""

    stocks: Sequence[Stock]
    more: int


_K = t.packages.c
_STOCK = (
    select(t.packages, t.meters.c.name.label("meter"), t.orders.c.number.label("order_no"))
    .join(t.meters, t.meters.c.id == _K.meter_id)
    .join(t.order_lines, t.order_lines.c.id == _K.order_line_id)
    .join(t.orders, t.orders.c.id == t.order_lines.c.order_id)
)
# Spelled out, not bound: a plan made for any value would leave the partial indexes alone.
_HAS_UNITS: ColumnElement[bool] = _K.remaining > literal_column("0")
_IS_EMPTY: ColumnElement[bool] = _K.remaining <= literal_column("0")
_IN_HOLDS = (
    select(t.hold_shares.c.package_id)
    .join(t.holds, t.holds.c.id == t.hold_shares.c.hold_id)
    .where(t.holds.c.meter_id == _K.meter_id, t.holds.c.state == "pending")
)


def stocks(view: SqlView, account: Account) -> Sequence[Stock]:
    """The account's packages by meter: first what can be used, in burn order, then what can't.

    Holds and packages that have ended since the last booking count (TIME-4).
    """
    rows = view.connection.execute(_STOCK.where(t.meters.c.account_id == account.id)).all()
    books = {name: service.peek(view, account, name) for name in {row.meter for row in rows}}
    return _sorted(_stock(row, books[row.meter]) for row in rows)


def overview(view: SqlView, account: Account) -> Overview:
    """Of `stocks` what matters now, in the same order; it costs the same after years (TIME-4).

    At most `USABLE_SHOWN` and `OVER_SHOWN` per meter.
    """
    counted = (_counted(_HAS_UNITS) + _counted(_IS_EMPTY)).label("packages")
    bought = select(t.meters.c.id, t.meters.c.name, counted)
    of_account = bought.where(t.meters.c.account_id == account.id)
    meters = [row for row in view.connection.execute(of_account).all() if row.packages]
    found: list[Stock] = []
    for meter in meters:
        book = service.peek(view, account, meter.name)
        usable, empty, due = (
            [_stock(row, book) for row in view.connection.execute(statement)]
            for statement in _of_meter(meter, book)
        )
        over = sorted(empty + due, key=lambda stock: stock.package.id, reverse=True)
        found += usable + over[:OVER_SHOWN]
    more = sum(meter.packages for meter in meters) - len(found)
    return Overview(stocks=_sorted(found), more=more)


def _counted(condition: ColumnElement[bool]) -> ScalarSelect[int]:
    return select(func.count()).where(_K.meter_id == t.meters.c.id, condition).scalar_subquery()


def _of_meter(meter: Row[Any], book: Book) -> tuple[Select[Any], ...]:
    """What may be usable, what is used up or over, and what is over and not booked yet: each by an
    index that leads past the others."""
    usable: ColumnElement[bool] = _HAS_UNITS
    if meter.name.startswith(AI_PREFIX):
        # Calls may be without limit, or come back from a hold whose time is over.
        usable = or_(usable, _K.unlimited, _K.id.in_(_IN_HOLDS))
    expired = _K.expires_at <= book.at
    unended = _K.ended_at.is_(None) & ((_K.expires_at > book.at) | _K.expires_at.is_(None))
    of_meter = _STOCK.where(_K.meter_id == meter.id)
    latest = _K.id.desc()
    return (
        of_meter.where(usable, unended)
        .order_by(_K.expires_at.nulls_last(), _K.id)
        .limit(USABLE_SHOWN),
        of_meter.where(_IS_EMPTY, ~(usable & unended)).order_by(latest).limit(OVER_SHOWN),
        of_meter.where(_K.ended_at.is_(None), expired, _HAS_UNITS)
        .order_by(latest)
        .limit(OVER_SHOWN),
    )


def _stock(row: Row[Any], book: Book) -> Stock:
    package = package_of(row)
    left = book.left(package)
    state = package.state(book.at, left=left)
    return Stock(
        package=package,
        meter=row.meter,
        order_no=row.order_no,
        state=state,
        left=left if state in USABLE else 0,
    )


def _sorted(found: Iterable[Stock]) -> list[Stock]:
    return sorted(
        found,
        key=lambda stock: (
            service.lock_order(stock.meter),
            stock.state not in USABLE,
            stock.package.burn_key,
        ),
    )
