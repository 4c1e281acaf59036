"""An order on its way: placed, paid, credited (ORD-2). Each step runs inside a given Work."""

from __future__ import annotations

from quota import granting, order, sale
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
    rejected = rejected or granting.fault_in(work, request, account)
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
    """Turn a paid order into what was bought, once (ORD-2); pays arrears off first (§3 offset).

    Raises UnknownOrder; an order that is not paid, or credited already, stays as it is.
    """
    if known_order(work, number).state is not OrderState.PAID:
        return known_order(work, number)
    # Two deliveries of one order come one after the other: only now is its state final.
    work.lock_order(number)
    known = known_order(work, number)
    if known.paid_at is None or known.state is not OrderState.PAID:
        return known
    account = work.account(known.account_id)
    granting.lock_scopes(work, known)
    books = open_books(work, account, known)
    for line in known.lines:
        if line.metered:
            _credit_line(work, books[line.meter], account, line, paid_at=known.paid_at)
    for book in books.values():
        work.record(book.meter, book.facts)
    at = max((book.at for book in books.values()), default=0)
    at = max(at, granting.grant(work, known, account, not_before=at))
    work.mark_credited(number, credited_at=at)
    return known_order(work, number)


def open_books(work: Work, account: Account, known: Order) -> dict[str, Book]:
    """The books of every meter that an order is about, locked in their order (§13)."""
    meters = {line.meter for line in known.lines if line.metered}
    return {meter: open_book(work, account, meter) for meter in sorted(meters, key=lock_order)}


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
