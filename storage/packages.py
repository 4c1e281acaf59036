"""What is left of an account's packages, as of now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from quota import service
from quota.account import Account
from quota.package import Package, PackageState
from storage import tables as t
from storage.rows import package_of
from storage.view import SqlView

USABLE = frozenset({PackageState.AHEAD, PackageState.ACTIVE})


@dataclass(frozen=True, kw_only=True, slots=True)
class Stock:
    """One package with what is left of it now, in the unit of its meter."""

    package: Package
    meter: str
    order_no: str
    state: PackageState
    left: int


def stocks(view: SqlView, account: Account) -> Sequence[Stock]:
    """The account's packages by meter: first what can be used, in burn order, then what can't.

    Holds and packages that have ended since the last booking count (TIME-4).
    """
    statement = (
        select(t.packages, t.meters.c.name.label("meter"), t.orders.c.number.label("order_no"))
        .join(t.meters, t.meters.c.id == t.packages.c.meter_id)
        .join(t.order_lines, t.order_lines.c.id == t.packages.c.order_line_id)
        .join(t.orders, t.orders.c.id == t.order_lines.c.order_id)
        .where(t.meters.c.account_id == account.id)
    )
    rows = view.connection.execute(statement).all()
    books = {name: service.peek(view, account, name) for name in {row.meter for row in rows}}
    found = []
    for row in rows:
        package, book = package_of(row), books[row.meter]
        left = book.left(package)
        state = package.state(book.at, left=left)
        found.append(
            Stock(
                package=package,
                meter=row.meter,
                order_no=row.order_no,
                state=state,
                left=left if state in USABLE else 0,
            )
        )
    return sorted(
        found,
        key=lambda stock: (
            service.lock_order(stock.meter),
            stock.state not in USABLE,
            stock.package.burn_key,
        ),
    )
