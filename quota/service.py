"""The quota operations: load, decide, record, over the ports. Each runs inside a given Work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from quota import admission
from quota.account import AI_PREFIX, CAPACITY, EXAM, Account
from quota.admission import Refused
from quota.book import Book
from quota.facts import Charged
from quota.ledger import Meter
from quota.opening import (
    check_sound,
    lock_order,
    materialise,
    materialised,
    open_book,
    record,
)
from quota.ordering import credit, known_order, pay, place
from quota.package import Package
from quota.ports import View, Work
from quota.retention import OWED_YEARS, retained_until
from quota.standing import Standing, Status
from quota.time import Instant

__all__ = [
    "Admission",
    "Admitted",
    "MeterReading",
    "admit",
    "admit_each",
    "credit",
    "known_order",
    "lock_order",
    "materialise",
    "move_level",
    "open_book",
    "open_level",
    "pay",
    "peek",
    "place",
    "preview",
    "read_meter",
    "record",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Admitted:
    """An examination belongs to the account now; `charge` is None where the plan counts bytes."""

    examination_id: str
    admitted_at: Instant
    charge: Charged | None
    retained_until: Instant | None
    """None on the capacity plan: kept while a capacity package is active (§8)."""


Admission: TypeAlias = Admitted | Refused


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
    check_sound(book)
    decision = admission.decide(_standing(book, account), at=book.at)
    if isinstance(decision, Refused):
        return decision
    charged = None
    if enforced == EXAM:
        charged = book.charge(examination_id, [] if funding.head is None else [funding.head])
    work.record(book.meter, book.facts)
    return _admitted(examination_id, book.at, charged, funding.head)


def admit_each(work: Work, account: Account, examination_ids: Sequence[str]) -> list[Admission]:
    """Admit several new examinations at one T (TIME-1), each on what those before it have left.

    They are new to the ledger: one that is charged already is the store's to refuse (ADM-3). Where
    all are `Refused` the caller must not commit (ADM-2).
    """
    book = open_book(work, account, account.plan.enforced_meter)
    charges = book.meter.name == EXAM
    heads = work.burn_head(book.meter.id, book.at, limit=len(examination_ids)) if charges else ()
    answers: list[Admission] = []
    for examination_id in examination_ids:
        decision = admission.decide(_standing(book, account), at=book.at)
        if isinstance(decision, Refused):
            answers.append(decision)
            continue
        head = [replace(one, remaining=book.left(one)) for one in heads if book.left(one)][:1]
        charge = book.charge(examination_id, head) if charges else None
        answers.append(_admitted(examination_id, book.at, charge, head[0] if head else None))
    record(work, book)
    return answers


def charge_arrived(work: Work, exams: Book, examination_id: str) -> Admitted:
    """Charge an examination that was acknowledged before the ledger could be asked.

    Owed where no unit is left, whatever the state: nobody can be refused any more (design §7).
    """
    head = list(work.burn_head(exams.meter.id, exams.at, limit=1))
    charged = exams.charge(examination_id, head)
    record(work, exams)
    return _admitted(examination_id, exams.at, charged, head[0] if head else None)


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
    materialised(view, book)
    return book


def _standing(book: Book, account: Account) -> Standing:
    cap = account.arrears_cap if book.meter.name == account.plan.enforced_meter else None
    return book.standing(closed=account.closed_at is not None, arrears_cap=cap)


def preview(view: View, account: Account) -> Refused | None:
    """An early look: the refusal that a new examination would meet now. It never admits."""
    reading = read_meter(view, account, account.plan.enforced_meter)
    decision = admission.decide(reading.standing, at=reading.at)
    return decision if isinstance(decision, Refused) else None


def open_level(work: Work, account: Account) -> Book:
    """Lock the account's level of stored bytes, before any row is written that counts on it."""
    return open_book(work, account, CAPACITY)


def move_level(work: Work, level: Book, delta: int) -> None:
    """Add stored bytes, or free them if negative (CAP-1, CAP-2).

    Counted for every account, enforced only where the plan says so; never refused (CAP-4).
    """
    level.move_level(delta)
    work.record(level.meter, level.facts)
