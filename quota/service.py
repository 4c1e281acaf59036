"""The quota operations: load, decide, record, over the ports. Each runs inside a given Work."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from quota import admission, order, sale
from quota.account import AI_PREFIX, CAPACITY, EXAM, Account
from quota.action import By
from quota.admission import Refused
from quota.book import Book
from quota.catalogue import METERED, Catalogue
from quota.errors import LedgerBroken, UnknownOrder
from quota.facts import Charged
from quota.ledger import Meter
from quota.order import Order, OrderRequest, OrderState, Rejected
from quota.package import Package
from quota.ports import View, Work
from quota.retention import OWED_YEARS, retained_until
from quota.standing import Standing, Status
from quota.time import Instant


@dataclass(frozen=True, kw_only=True, slots=True)
class Admitted:
    """An examination belongs to the account now; `charge` is None where the plan counts bytes."""

    examination_id: str
    admitted_at: Instant
    charge: Charged | None
    retained_until: Instant | None
    """None on the capacity plan: kept while a capacity package is active (§8)."""


Admission: TypeAlias = Admitted | Refused


def lock_order(meter: str) -> tuple[bool, str]:
    """The one order in which meters of an account are locked: `exam` first, then by name (§13)."""
    return (meter != EXAM, meter)


@dataclass(frozen=True, kw_only=True, slots=True)
class MeterReading:
    """A meter at an instant, boundaries up to it counted in though not booked (TIME-4)."""

    meter: Meter
    standing: Standing
    status: Status
    at: Instant
    unlimited: bool = False
    """AI calls that are counted against no units; never so on the other meters."""

    @property
    def available(self) -> int:
        """What can be used now: units, or bytes up to the limit."""
        return self.standing.free

    @property
    def used(self) -> int:
        """Units used and paid for, or bytes stored."""
        return self.meter.stored if self.meter.name == CAPACITY else self.meter.used

    @property
    def owed(self) -> int:
        """What is in arrears: units, or bytes beyond the limit."""
        return self.standing.owed

    @property
    def purchased(self) -> int:
        """Units ever credited."""
        return self.meter.purchased

    @property
    def expired(self) -> int:
        """Units that lapsed."""
        return self.meter.expired

    @property
    def held(self) -> int:
        """Units set aside for calls under way."""
        return self.meter.held

    @property
    def voided(self) -> int:
        """Units that an operator took back."""
        return self.meter.voided


def admit(work: Work, account: Account, examination_id: str) -> Admission:
    """Admit one new examination, once (ADM-1 to ADM-4); charges the `exam` meter on its plan.

    After `Refused` the caller must not commit: a refusal writes nothing on any meter (ADM-2).
    """
    enforced = account.plan.enforced_meter
    meter, clock_reading = work.lock_meter(account.id, enforced)
    book = Book(meter, clock_reading=clock_reading)
    funding = work.funding(meter.id, examination_id, book.at)
    if (charge := funding.charge) is not None:
        return _admitted(examination_id, charge.charged_at, charge, funding.payer)
    book.materialise(funding.due)
    _check(book)
    decision = admission.decide(_standing(book, account), at=book.at)
    if isinstance(decision, Refused):
        return decision
    charged = None
    if enforced == EXAM:
        charged = book.charge(examination_id, [] if funding.head is None else [funding.head])
    work.record(book.meter, book.facts)
    return _admitted(examination_id, book.at, charged, funding.head)


def _admitted(
    examination_id: str, admitted_at: Instant, charge: Charged | None, payer: Package | None
) -> Admitted:
    retained = None
    if charge is not None:
        years = OWED_YEARS if payer is None else payer.storage_years
        retained = retained_until(admitted_at, storage_years=years)
    return Admitted(
        examination_id=examination_id,
        admitted_at=admitted_at,
        charge=charge,
        retained_until=retained,
    )


def read_meter(view: View, account: Account, name: str) -> MeterReading:
    """What the meter says now, computed virtually; writes nothing (TIME-4)."""
    book = peek(view, account, name)
    meter, standing = book.meter, _standing(book, account)
    unlimited = None
    if name.startswith(AI_PREFIX):
        unlimited = view.unlimited_package(meter.id, book.at)
        standing = replace(standing, provisioned=standing.provisioned or unlimited is not None)
    return MeterReading(
        meter=book.meter,
        standing=standing,
        status=Status.OK if unlimited else standing.status(book.at),
        at=book.at,
        unlimited=unlimited is not None,
    )


def peek(view: View, account: Account, name: str) -> Book:
    """The meter at T, boundaries up to it counted in; its facts are on no record (TIME-4)."""
    meter = view.meter(account.id, name) or Meter(id=0, account_id=account.id, name=name, last_at=0)
    book = Book(meter, clock_reading=view.clock())
    _materialise(view, book)
    return book


def _standing(book: Book, account: Account) -> Standing:
    cap = account.arrears_cap if book.meter.name == account.plan.enforced_meter else None
    return book.standing(closed=account.closed_at is not None, arrears_cap=cap)


def preview(view: View, account: Account) -> Refused | None:
    """An early look: the refusal that a new examination would meet now. It never admits."""
    reading = read_meter(view, account, account.plan.enforced_meter)
    decision = admission.decide(reading.standing, at=reading.at)
    return decision if isinstance(decision, Refused) else None


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


def open_level(work: Work, account: Account) -> Book:
    """Lock the account's level of stored bytes, before any row is written that counts on it."""
    return open_book(work, account, CAPACITY)


def move_level(work: Work, level: Book, delta: int) -> None:
    """Add stored bytes, or free them if negative (CAP-1, CAP-2).

    Counted for every account, enforced only where the plan says so; never refused (CAP-4).
    """
    level.move_level(delta)
    work.record(level.meter, level.facts)


def materialise(work: Work, account: Account, name: str) -> bool:
    """Book the boundaries that have passed on a meter (TIME-3); False where there are none."""
    book = open_book(work, account, name)
    if not book.facts:
        return False
    work.record(book.meter, book.facts)
    return True


def open_book(work: Work, account: Account, name: str) -> Book:
    """Lock a meter and bring it up to its instant T (TIME-1, TIME-3); nothing is recorded yet.

    Whoever opens several does it in `lock_order`. Raises LedgerBroken.
    """
    meter, clock_reading = work.lock_meter(account.id, name)
    book = Book(meter, clock_reading=clock_reading)
    _materialise(work, book)
    _check(book)
    return book


def _check(book: Book) -> None:
    meter = book.meter
    if meter.available < 0 or meter.owed < 0:
        raise LedgerBroken(account_id=meter.account_id, meter=meter.name)


def _materialise(view: View, book: Book) -> None:
    meter = book.meter
    holds = view.due_holds(meter.id, book.at) if meter.name.startswith(AI_PREFIX) else ()
    book.materialise(view.due_packages(meter.id, book.at), holds)


def record(work: Work, book: Book) -> None:
    """Persist what the book has decided so far, so that the store's answers count it in."""
    work.record(book.meter, book.facts)
    book.facts.clear()


def known_order(view: View, number: str) -> Order:
    """The order of that number. Raises UnknownOrder."""
    known = view.order(number)
    if known is None:
        raise UnknownOrder(number=number)
    return known
