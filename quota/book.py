"""The book: one meter inside one transaction. It decides what happens; a store records it.

A book is opened on the locked meter, brought up to its instant T (TIME-3), then asked for one
operation: what every account needs stands here, holds in `ai.py`, an operator's corrections in
`correction.py`. What happened is the list `facts`; the meter as it then stands is `meter`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import groupby

from quota import notice
from quota.account import CAPACITY
from quota.facts import (
    Charged,
    EpisodeClosed,
    EpisodeOpened,
    Fact,
    HoldSettled,
    LevelMoved,
    NoticeRaised,
    OwedSettled,
    PackageActivated,
    PackageEnded,
    Posted,
)
from quota.hold import Hold, HoldState
from quota.ledger import Entry, Episode, LedgerAccount, Meter, Posting, PostingKind, apply
from quota.notice import NoticeKind
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
        self._moved: dict[int, int] = {}
        """What this book's postings changed of packages' balances, by package."""

    def materialise(self, due: Iterable[Package], holds: Iterable[Hold] = ()) -> None:
        """Book every boundary that has passed, at its own instant, in time order (TIME-3).

        `due` are the meter's packages not ended whose activation or expiry is due and not booked,
        `holds` its pending holds whose time is over. At equal instants holds end first, then
        packages begin, then they end. What is owed is looked at when all of an instant has
        happened: a renewal leaves no gap (ORD-4), and a package that ends as another begins pays
        no debt off for the time between, for there is none (CAP-3, STATE-1).
        """
        boundaries: list[tuple[Instant, int, tuple[object, ...], Callable[[Instant], None]]] = []
        for hold in holds:
            assert hold.state is HoldState.PENDING and hold.expired(self.at)
            boundaries.append((hold.expires_at, 0, (hold.key,), self._expiring_hold(hold)))
        for package in due:
            assert package.ended_at is None, "an ended package has no boundary left"
            if package.activated_at is None:
                assert package.effective_at <= self.at, "a beginning in the future is not due"
                begins = self._beginning(package)
                boundaries.append((package.effective_at, 1, package.burn_key, begins))
            if package.expired(self.at):
                boundaries.append((package.end_at, 2, package.burn_key, self._ending(package)))
        boundaries.sort(key=lambda boundary: boundary[:3])
        for at, at_once in groupby(boundaries, key=lambda boundary: boundary[0]):
            for _, _, _, book in at_once:
                book(at)
            # STATE-4: where bytes stay without their package, the grace runs from the end itself.
            self.turn_clock(at)

    def standing(self, *, closed: bool, arrears_cap: int | None = None) -> Standing:
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
            arrears_cap=arrears_cap,
        )

    def move_level(self, delta: int) -> None:
        """Bytes are stored, or freed if negative; an episode may open or close (CAP-1, CAP-2)."""
        assert self.meter.stored + delta >= 0, "no more is freed than is stored"
        before = self.meter
        self.meter = replace(self.meter, stored=self.meter.stored + delta)
        self.facts.append(LevelMoved(delta=delta, moved_at=self.at))
        self.turn_clock()
        self.tell_level(before)

    def charge(self, examination_id: str, head: list[Package]) -> Charged:
        """Debit one unit from the package that expires first, or book it as owed (BURN, ADM-3).

        `head` are the unexpired packages with units left, in burn order; the first is enough.
        """
        shares = take(head, 1)
        funding = shares[0][0].id if shares else None
        source = (
            entry(LedgerAccount.ARREARS, -1)
            if funding is None
            else entry(LedgerAccount.PACKAGE, -1, funding)
        )
        before = self.meter
        self.post(
            PostingKind.CHARGE,
            source,
            entry(LedgerAccount.CONSUMED, 1),
            examination_id=examination_id,
        )
        charged = Charged(examination_id=examination_id, charged_at=self.at, package_id=funding)
        self.facts.append(charged)
        self.turn_clock()
        self.tell_level(before)
        return charged

    def credit(self, package: Package) -> None:
        """Issue a package and offset what is owed, in one transaction (§3, ORD-3, STATE-3).

        `package` is on record with nothing remaining yet; one that has expired already is issued
        and expired at once and pays nothing off. An unlimited one has no units to issue.
        """
        assert package.remaining == 0 and (package.quantity > 0) is not package.unlimited
        if package.quantity:
            self.post(
                PostingKind.CREDIT,
                entry(LedgerAccount.ISSUED, -package.quantity),
                entry(LedgerAccount.PACKAGE, package.quantity, package.id),
                order_line_id=package.order_line_id,
            )
        self.tell(notice.of_credit(self.meter, package, at=self.at))
        if package.effective_at <= self.at:
            self.materialise([package])
            # One that came after its expiry has lapsed just now: nothing is left of it to pay with.
            self.offset(package)
        self.turn_clock()

    def offset(self, package: Package) -> None:
        """Pay the oldest owed charges from what is left of a package that is valid now (§3)."""
        count = min(self.left(package), self.meter.owed)
        if count == 0:
            return
        self.post(
            PostingKind.OFFSET,
            entry(LedgerAccount.PACKAGE, -count, package.id),
            entry(LedgerAccount.ARREARS, count),
        )
        self.facts.append(OwedSettled(package_id=package.id, count=count, settled_at=self.at))

    def settle(self, hold: Hold, state: HoldState, *, posted: int, at: Instant) -> None:
        """End a hold: `posted` units were used, the rest returns to where it came from (§3).

        Units of a package that has ended by `at` lapse as the package did.
        """
        assert 0 <= posted <= hold.units and self.meter.name != CAPACITY
        unused = hold.units - posted
        for share in reversed(hold.shares):
            # The package that lasts longest gets its units back first.
            back = min(unused, share.units)
            unused -= back
            self._move_held(PostingKind.RELEASE, hold, share.package, back, at)
            self._move_held(PostingKind.POST, hold, share.package, share.units - back, at)
        self.facts.append(HoldSettled(hold_key=hold.key, state=state, posted=posted, settled_at=at))

    def _move_held(
        self, kind: PostingKind, hold: Hold, package: Package, units: int, at: Instant
    ) -> None:
        if units == 0:
            return
        target = entry(LedgerAccount.CONSUMED, units)
        if kind is PostingKind.RELEASE:
            target = returned(package, units, at=at)
        source = entry(LedgerAccount.HELD, -units, package.id)
        self.post(kind, source, target, effective_at=at, hold_key=hold.key)

    def left(self, package: Package) -> int:
        """What is left of a package, this book's postings counted in."""
        return package.remaining + self._moved.get(package.id, 0)

    def turn_clock(self, at: Instant | None = None) -> None:
        """STATE-1: the clock starts where owed leaves 0 and stops only where it is 0 again."""
        at = self.at if at is None else at
        episode = self.meter.episode
        if self.meter.owing > 0 and episode is None:
            episode = Episode.starting(at)
            self.meter = replace(self.meter, episode=episode)
            self.facts.append(EpisodeOpened(episode=episode))
            self._tell_episode(NoticeKind.ARREARS_STARTED, episode)
        elif self.meter.owing == 0 and episode is not None:
            self.meter = replace(self.meter, episode=None)
            self.facts.append(EpisodeClosed(episode=episode, closed_at=at))
            self._tell_episode(NoticeKind.RESUMED, episode)

    def end(self, package: Package, *, at: Instant, voided: bool) -> None:
        """Take a package out of use: what is left of it lapses (§3 expiry and void).

        Whoever asks for it turns the clock after it.
        """
        before, left = self.meter, self.left(package)
        if left > 0:
            self.post(
                PostingKind.VOID if voided else PostingKind.EXPIRY,
                entry(LedgerAccount.PACKAGE, -left, package.id),
                entry(LedgerAccount.VOIDED if voided else LedgerAccount.EXPIRED, left),
                effective_at=at,
            )
        if package.activated_at is not None:
            active = self.meter.active_quantity - package.quantity
            self.meter = replace(self.meter, active_quantity=active)
        self.facts.append(PackageEnded(package_id=package.id, ended_at=at, voided=voided))
        self.tell_level(before)

    def tell(self, raised: notice.Notice) -> None:
        """Raise a notice in this transaction (§10)."""
        self.facts.append(NoticeRaised(notice=raised))

    def post(
        self,
        kind: PostingKind,
        *entries: Entry,
        effective_at: Instant | None = None,
        examination_id: str | None = None,
        order_line_id: int | None = None,
        hold_key: str | None = None,
    ) -> None:
        """Enter one event into the journal; the balances move with it."""
        posting = Posting(
            kind=kind,
            effective_at=self.at if effective_at is None else effective_at,
            recorded_at=self.at,
            entries=entries,
            examination_id=examination_id,
            order_line_id=order_line_id,
            hold_key=hold_key,
        )
        self.meter = apply(self.meter, posting)
        for leg in entries:
            if leg.account is LedgerAccount.PACKAGE and leg.package_id is not None:
                moved = self._moved.get(leg.package_id, 0) + leg.amount
                self._moved[leg.package_id] = moved
        self.facts.append(Posted(posting=posting))

    def _beginning(self, package: Package) -> Callable[[Instant], None]:
        def begin(at: Instant) -> None:
            active = self.meter.active_quantity + package.quantity
            self.meter = replace(self.meter, active_quantity=active)
            self.facts.append(PackageActivated(package_id=package.id, activated_at=at))

        return begin

    def _ending(self, package: Package) -> Callable[[Instant], None]:
        # Judged when its turn comes: it may begin, or get units back, a moment before (TIME-3).
        begun = replace(package, activated_at=package.activated_at or package.effective_at)
        return lambda at: self.end(begun, at=at, voided=False)

    def _expiring_hold(self, hold: Hold) -> Callable[[Instant], None]:
        return lambda at: self.settle(hold, HoldState.EXPIRED, posted=0, at=at)

    def _tell_episode(self, kind: NoticeKind, episode: Episode) -> None:
        self.tell(notice.of_episode(self.meter, kind, episode, at=self.at))

    def tell_level(self, before: Meter) -> None:
        for raised in notice.of_level(before, self.meter, at=self.at):
            self.tell(raised)


def entry(account: LedgerAccount, amount: int, package_id: int | None = None) -> Entry:
    """One leg of a posting."""
    return Entry(account=account, amount=amount, package_id=package_id)


def returned(package: Package, units: int, *, at: Instant) -> Entry:
    """Where units of a package go back to at `at`: to it, or where it went itself (§3)."""
    if package.voided_at is not None:
        return entry(LedgerAccount.VOIDED, units, package.id)
    if package.expired(at):
        return entry(LedgerAccount.EXPIRED, units, package.id)
    return entry(LedgerAccount.PACKAGE, units, package.id)
