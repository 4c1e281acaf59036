"""The book: one meter inside one transaction. It decides what happens; a store records it.

A book is opened on the locked meter, brought up to its instant T (TIME-3), then asked for one
operation. What happened is the list `facts`; the meter as it then stands is `meter`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

from quota.ledger import (
    ChargeState,
    Entry,
    Episode,
    LedgerAccount,
    Meter,
    Posting,
    PostingKind,
    apply,
)
from quota.package import Package, take
from quota.standing import Standing, low_threshold
from quota.time import Instant


@dataclass(frozen=True, kw_only=True, slots=True)
class Posted:
    """A posting entered the journal."""

    posting: Posting


@dataclass(frozen=True, kw_only=True, slots=True)
class Charged:
    """An examination was charged; `package_id` None means that it is owed."""

    examination_id: str
    charged_at: Instant
    package_id: int | None

    @property
    def state(self) -> ChargeState:
        """Funded by a package, or owed."""
        return ChargeState.OWED if self.package_id is None else ChargeState.FUNDED


@dataclass(frozen=True, kw_only=True, slots=True)
class OwedSettled:
    """The `count` oldest owed charges are now funded by `package_id` (offset)."""

    package_id: int
    count: int
    settled_at: Instant


@dataclass(frozen=True, kw_only=True, slots=True)
class PackageEnded:
    """A package left the active ones: it expired at its own instant `ended_at`."""

    package_id: int
    ended_at: Instant


@dataclass(frozen=True, kw_only=True, slots=True)
class EpisodeOpened:
    """Arrears appeared; the clock of the grace runs (STATE-1)."""

    episode: Episode


@dataclass(frozen=True, kw_only=True, slots=True)
class EpisodeClosed:
    """Nothing is owed any more; uploads resume at `closed_at` (STATE-3)."""

    closed_at: Instant


Fact: TypeAlias = Posted | Charged | OwedSettled | PackageEnded | EpisodeOpened | EpisodeClosed


class Book:
    """One meter, one transaction, one instant T = `at`."""

    def __init__(self, meter: Meter, *, clock_reading: Instant) -> None:
        # TIME-1: never backwards on a meter, whatever the clock says.
        self.at: Instant = max(clock_reading, meter.last_at + 1)
        self.meter: Meter = replace(meter, last_at=self.at)
        self.facts: list[Fact] = []

    def expire(self, due: Iterable[Package]) -> None:
        """Book the expiry of every package in `due`, at its own instant, in time order (TIME-3).

        `due` are the meter's packages not yet ended with expires_at <= T.
        """
        for package in sorted(due, key=lambda package: package.burn_key):
            assert package.ended_at is None and package.expires_at is not None
            assert package.expires_at <= self.at, "an expiry in the future is not due"
            # ORD-3: a package credited after its expiry ends when it came, not before.
            boundary = max(package.expires_at, package.credited_at)
            if package.remaining > 0:
                self._post(
                    PostingKind.EXPIRY,
                    _entry(LedgerAccount.PACKAGE, -package.remaining, package.id),
                    _entry(LedgerAccount.EXPIRED, package.remaining),
                    effective_at=boundary,
                )
            self._end(package, boundary)

    def standing(self, *, closed: bool) -> Standing:
        """What admission decides on, at this book's instant."""
        return Standing(
            provisioned=self.meter.purchased > 0,
            closed=closed,
            free=self.meter.available,
            owed=self.meter.owed,
            low_threshold=low_threshold(self.meter.active_quantity),
            deadline=self.meter.episode.deadline if self.meter.episode else None,
        )

    def charge(self, examination_id: str, head: list[Package]) -> Charged:
        """Debit one unit from the package that expires first, or book it as owed (BURN, ADM-3).

        `head` are the unexpired packages with units left, in burn order; the first is enough.
        """
        shares = take(head, 1)
        funding = shares[0][0].id if shares else None
        source = (
            _entry(LedgerAccount.ARREARS, -1)
            if funding is None
            else _entry(LedgerAccount.PACKAGE, -1, funding)
        )
        self._post(
            PostingKind.CHARGE,
            source,
            _entry(LedgerAccount.CONSUMED, 1),
            examination_id=examination_id,
        )
        charged = Charged(examination_id=examination_id, charged_at=self.at, package_id=funding)
        self.facts.append(charged)
        self._turn_clock()
        return charged

    def credit(self, package: Package) -> None:
        """Issue a package and offset what is owed, in one transaction (§3, ORD-3, STATE-3).

        `package` is on record with nothing remaining yet; one that has expired already is issued
        and expired at once and pays nothing off.
        """
        assert package.remaining == 0 and package.quantity > 0
        self._post(
            PostingKind.CREDIT,
            _entry(LedgerAccount.ISSUED, -package.quantity),
            _entry(LedgerAccount.PACKAGE, package.quantity, package.id),
            order_line_id=package.order_line_id,
        )
        self.meter = replace(
            self.meter, active_quantity=self.meter.active_quantity + package.quantity
        )
        if package.expired(self.at):
            self.expire([replace(package, remaining=package.quantity)])
        else:
            self._offset(package)
        self._turn_clock()

    def _offset(self, package: Package) -> None:
        count = min(package.quantity, self.meter.owed)
        if count == 0:
            return
        self._post(
            PostingKind.OFFSET,
            _entry(LedgerAccount.PACKAGE, -count, package.id),
            _entry(LedgerAccount.ARREARS, count),
        )
        self.facts.append(OwedSettled(package_id=package.id, count=count, settled_at=self.at))

    def _turn_clock(self) -> None:
        """STATE-1: the clock starts where owed leaves 0 and stops only where it is 0 again."""
        if self.meter.owed > 0 and self.meter.episode is None:
            episode = Episode.starting(self.at)
            self.meter = replace(self.meter, episode=episode)
            self.facts.append(EpisodeOpened(episode=episode))
        elif self.meter.owed == 0 and self.meter.episode is not None:
            self.meter = replace(self.meter, episode=None)
            self.facts.append(EpisodeClosed(closed_at=self.at))

    def _end(self, package: Package, at: Instant) -> None:
        self.meter = replace(
            self.meter, active_quantity=self.meter.active_quantity - package.quantity
        )
        self.facts.append(PackageEnded(package_id=package.id, ended_at=at))

    def _post(
        self,
        kind: PostingKind,
        *entries: Entry,
        effective_at: Instant | None = None,
        examination_id: str | None = None,
        order_line_id: int | None = None,
    ) -> None:
        posting = Posting(
            kind=kind,
            effective_at=self.at if effective_at is None else effective_at,
            recorded_at=self.at,
            entries=entries,
            examination_id=examination_id,
            order_line_id=order_line_id,
        )
        self.meter = apply(self.meter, posting)
        self.facts.append(Posted(posting=posting))


def _entry(account: LedgerAccount, amount: int, package_id: int | None = None) -> Entry:
    return Entry(account=account, amount=amount, package_id=package_id)
