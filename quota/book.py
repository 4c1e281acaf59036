"""The book: one meter inside one transaction. It decides what happens; a store records it.

A book is opened on the locked meter, brought up to its instant T (TIME-3), then asked for one
operation. What happened is the list `facts`; the meter as it then stands is `meter`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from quota.account import CAPACITY
from quota.facts import (
    Charged,
    EpisodeClosed,
    EpisodeOpened,
    Fact,
    LevelMoved,
    OwedSettled,
    PackageActivated,
    PackageEnded,
    Posted,
)
from quota.ledger import (
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


class Book:
    """One meter, one transaction, one instant T = `at`."""

    def __init__(self, meter: Meter, *, clock_reading: Instant) -> None:
        # TIME-1: never backwards on a meter, whatever the clock says.
        self.at: Instant = max(clock_reading, meter.last_at + 1)
        self.meter: Meter = replace(meter, last_at=self.at)
        self.facts: list[Fact] = []

    def materialise(self, due: Iterable[Package]) -> None:
        """Book every boundary that `due` has passed, at its own instant, in time order (TIME-3).

        `due` are the meter's packages not ended whose activation or expiry is due and not booked.
        At equal instants activations come before expiries: a renewal leaves no gap (ORD-4).
        """
        boundaries: list[tuple[Instant, int, tuple[bool, Instant, int], Package]] = []
        for package in due:
            assert package.ended_at is None, "an ended package has no boundary left"
            if package.activated_at is None:
                assert package.effective_at <= self.at, "a beginning in the future is not due"
                boundaries.append((package.effective_at, 0, package.burn_key, package))
            if package.expired(self.at):
                boundaries.append((package.end_at, 1, package.burn_key, package))
        for at, kind, _, package in sorted(boundaries, key=lambda boundary: boundary[:3]):
            if kind == 0:
                self._activate(package, at)
            else:
                self._expire(package, at)

    def standing(self, *, closed: bool) -> Standing:
        """What admission decides on, at this book's instant."""
        meter = self.meter
        free = max(0, meter.limit - meter.stored) if meter.name == CAPACITY else meter.available
        return Standing(
            provisioned=meter.purchased > 0,
            closed=closed,
            free=free,
            owed=meter.owing,
            low_threshold=low_threshold(meter.active_quantity),
            deadline=meter.episode.deadline if meter.episode else None,
        )

    def move_level(self, delta: int) -> None:
        """Bytes are stored, or freed if negative; an episode may open or close (CAP-1, CAP-2)."""
        assert self.meter.stored + delta >= 0, "no more is freed than is stored"
        self.meter = replace(self.meter, stored=self.meter.stored + delta)
        self.facts.append(LevelMoved(delta=delta, moved_at=self.at))
        self._turn_clock(self.at)

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
        self._turn_clock(self.at)
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
        issued = replace(package, remaining=package.quantity)
        if package.effective_at <= self.at:
            self.materialise([issued])
        if not package.expired(self.at):
            self._offset(package)
        self._turn_clock(self.at)

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

    def _turn_clock(self, at: Instant) -> None:
        """STATE-1: the clock starts where owed leaves 0 and stops only where it is 0 again."""
        if self.meter.owing > 0 and self.meter.episode is None:
            episode = Episode.starting(at)
            self.meter = replace(self.meter, episode=episode)
            self.facts.append(EpisodeOpened(episode=episode))
        elif self.meter.owing == 0 and self.meter.episode is not None:
            self.meter = replace(self.meter, episode=None)
            self.facts.append(EpisodeClosed(closed_at=at))

    def _activate(self, package: Package, at: Instant) -> None:
        active = self.meter.active_quantity + package.quantity
        self.meter = replace(self.meter, active_quantity=active)
        self.facts.append(PackageActivated(package_id=package.id, activated_at=at))
        self._turn_clock(at)

    def _expire(self, package: Package, at: Instant) -> None:
        if package.remaining > 0:
            self._post(
                PostingKind.EXPIRY,
                _entry(LedgerAccount.PACKAGE, -package.remaining, package.id),
                _entry(LedgerAccount.EXPIRED, package.remaining),
                effective_at=at,
            )
        active = self.meter.active_quantity - package.quantity
        self.meter = replace(self.meter, active_quantity=active)
        self.facts.append(PackageEnded(package_id=package.id, ended_at=at))
        # STATE-4: where bytes stay without their package, the grace runs from the expiry itself.
        self._turn_clock(at)

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
