"""What is left of an account's packages, as of now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, literal_column, or_, select

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
    bought = (
        select(t.meters.c.id, t.meters.c.name, func.count().label("packages"))
        .join(t.packages, _K.meter_id == t.meters.c.id)
        .where(t.meters.c.account_id == account.id)
        .group_by(t.meters.c.id, t.meters.c.name)
    )
    meters = view.connection.execute(bought).all()
    found: list[Stock] = []
    for meter in meters:
        book = service.peek(view, account, meter.name)
        for statement in _of_meter(meter, book):
            found += [_stock(row, book) for row in view.connection.execute(statement)]
    more = sum(meter.packages for meter in meters) - len(found)
    return Overview(stocks=_sorted(found), more=more)


def _of_meter(meter: Row[Any], book: Book) -> tuple[Select[Any], Select[Any]]:
    """What may be usable, and what is over: each by an index that leads past the other."""
    # Spelled out, not bound: a plan made for any value would leave the partial index alone.
    has_units: ColumnElement[bool] = _K.remaining > literal_column("0")
    # Calls may be without limit, or come back from a hold whose time is over.
    others = or_(_K.unlimited, _K.id.in_(_IN_HOLDS)) if meter.name.startswith(AI_PREFIX) else None
    usable = has_units if others is None else or_(has_units, others)
    unended = _K.ended_at.is_(None) & ((_K.expires_at > book.at) | _K.expires_at.is_(None))
    of_meter = _STOCK.where(_K.meter_id == meter.id)
    return (
        of_meter.where(usable, unended)
        .order_by(_K.expires_at.nulls_last(), _K.id)
        .limit(USABLE_SHOWN),
        of_meter.where(~(usable & unended)).order_by(_K.id.desc()).limit(OVER_SHOWN),
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
