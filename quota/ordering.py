"""An order on its way: placed, paid, credited (ORD-2). Each step runs inside a given Work."""

from __future__ import annotations

from quota import order, sale
from quota.account import Account
from quota.action import By
from quota.book import Book
from quota.catalogue import METERED, Catalogue
from quota.errors import UnknownOrder
from quota.opening import lock_order, open_book
from quota.order import Order, OrderRequest, OrderState, Rejected
from quota.package import Package
from quota.ports import View, Work
from quota.time import Instant


def place(
    work: Work,
    request: OrderRequest,
    *,
    catalogue: Catalogue = METERED,
    by: By | None = None,
) -> Order | Rejected:
    """Place an order, once per number: the same content again returns the first (ORD-2, §9).

    `catalogue` says what is sold, `by` which operator books it, if one does: that is journaled.
    """
    if (known := work.order(request.number)) is not None:
        return _same_or_conflict(known, request)
    account = work.account(request.account_id)
    rejected = sale.check(
        request,
        account,
        packages=work.packages(account.id),
        catalogue=catalogue,
        by_operator=by is not None,
    )
    if rejected is not None:
        return rejected
    if (placed := work.add_order(request, placed_at=work.clock())) is not None:
        if by is not None:
            work.note_action(
                actor=by.actor, action="order_place", subject=request.number, reason=by.reason
            )
        return placed
    return _same_or_conflict(known_order(work, request.number), request)


def _same_or_conflict(known: Order, request: OrderRequest) -> Order | Rejected:
    if known.fingerprint == request.fingerprint:
        return known
    return Rejected(
        rule="ORD-2",
        message=f"order number {request.number} is taken by an order with another content",
    )


def pay(work: Work, number: str) -> Order:
    """Note the payment of an order; the instant of payment is the purchase (TIME-5).

    Paying twice changes nothing, nor does paying what was voided. Raises UnknownOrder.
    """
    known = known_order(work, number)
    if known.state is OrderState.PLACED:
        work.mark_paid(number, paid_at=work.clock())
    return known_order(work, number)


def credit(work: Work, number: str) -> Order:
    """Turn a paid order into packages, once (ORD-2); pays arrears off first (§3 offset).

    Raises UnknownOrder; an order that is not paid, or credited already, stays as it is.
    """
    known = known_order(work, number)
    if known.state is not OrderState.PAID:
        return known
    account = work.account(known.account_id)
    # The meter's lock orders two deliveries of one order; only then is `credited_at` final.
    books = {
        meter: open_book(work, account, meter)
        for meter in sorted({line.meter for line in known.lines}, key=lock_order)
    }
    known = known_order(work, number)
    if known.paid_at is None or known.state is not OrderState.PAID:
        return known
    for line in known.lines:
        _credit_line(work, books[line.meter], account, line, paid_at=known.paid_at)
    for book in books.values():
        work.record(book.meter, book.facts)
    work.mark_credited(number, credited_at=max(book.at for book in books.values()))
    return known_order(work, number)


def _credit_line(
    work: Work, book: Book, account: Account, line: order.OrderLine, *, paid_at: Instant
) -> Package:
    renewed = None
    if line.renews_package_id is not None:
        renewed = work.package(line.renews_package_id)
    package = work.add_package(
        meter=book.meter,
        line=line,
        purchased_at=paid_at,
        credited_at=book.at,
        validity=order.validity(
            line, account, paid_at=paid_at, credited_at=book.at, renewed=renewed
        ),
    )
    book.credit(package)
    return package


def known_order(view: View, number: str) -> Order:
    """The order of that number. Raises UnknownOrder."""
    known = view.order(number)
    if known is None:
        raise UnknownOrder(number=number)
    return known
