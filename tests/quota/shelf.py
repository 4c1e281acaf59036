"""A shelf of packages beside one meter: the least that a book needs to be tried without a store."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from quota.book import Book
from quota.facts import (
    Charged,
    EpisodeClosed,
    EpisodeOpened,
    OwedSettled,
    PackageActivated,
    PackageEnded,
    Posted,
)
from quota.ledger import LedgerAccount, Meter, Posting
from quota.package import Package
from quota.time import Instant
from tests.quota.makers import a_meter, a_package


@dataclass
class Shelf:
    """One meter, its packages, and everything that was ever told about them."""

    meter: Meter = field(default_factory=a_meter)
    packages: dict[int, Package] = field(default_factory=dict)
    journal: list[Posting] = field(default_factory=list)
    charges: dict[str, int | None] = field(default_factory=dict)
    """Who funded each examination, by examination, in the order of charging."""
    opened: list[Instant] = field(default_factory=list)
    closed: list[Instant] = field(default_factory=list)

    def open(self, clock_reading: Instant) -> Book:
        """A book at T, with what is due booked (TIME-3)."""
        book = Book(self.meter, clock_reading=clock_reading)
        book.materialise(
            [p for p in self.packages.values() if p.ended_at is None and p.expired(book.at)]
        )
        return book

    def charge(self, examination_id: str, *, at: Instant) -> Charged:
        """Open, charge and record one examination."""
        book = self.open(at)
        head = sorted(
            (p for p in self.packages.values() if p.remaining > 0 and not p.expired(book.at)),
            key=lambda p: p.burn_key,
        )
        charged = book.charge(examination_id, head[:1])
        self.record(book)
        return charged

    def credit(self, quantity: int, *, at: Instant, expires_at: Instant | None = None) -> Package:
        """Open, credit and record one package; returns it as it then stands."""
        book = self.open(at)
        package_id = len(self.packages) + 1
        new = a_package(
            package_id,
            quantity=quantity,
            remaining=0,
            credited_at=book.at,
            expires_at=expires_at,
        )
        package = replace(new, activated_at=None)
        self.packages[package_id] = package
        book.credit(package)
        self.record(book)
        return self.packages[package_id]

    def record(self, book: Book) -> None:
        """Apply the book's facts."""
        for fact in book.facts:
            match fact:
                case Posted(posting=posting):
                    self._post(posting)
                case Charged():
                    assert fact.examination_id not in self.charges
                    self.charges[fact.examination_id] = fact.package_id
                case OwedSettled():
                    owed = [name for name, funder in self.charges.items() if funder is None]
                    assert len(owed) >= fact.count
                    for name in owed[: fact.count]:
                        self.charges[name] = fact.package_id
                case PackageActivated():
                    begun = self.packages[fact.package_id]
                    changed = replace(begun, activated_at=fact.activated_at)
                    self.packages[fact.package_id] = changed
                case PackageEnded():
                    ended = self.packages[fact.package_id]
                    self.packages[fact.package_id] = replace(ended, ended_at=fact.ended_at)
                case EpisodeOpened():
                    self.opened.append(fact.episode.started_at)
                case EpisodeClosed():
                    self.closed.append(fact.closed_at)
        self.meter = book.meter

    def _post(self, posting: Posting) -> None:
        self.journal.append(posting)
        for entry in posting.entries:
            if entry.account is LedgerAccount.PACKAGE and entry.package_id is not None:
                package = self.packages[entry.package_id]
                left = package.remaining + entry.amount
                self.packages[entry.package_id] = replace(package, remaining=left)
