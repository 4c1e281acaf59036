"""The book's operations, one promise at a time: charging, offset, expiry, the clock of grace."""

from __future__ import annotations

import pytest

from quota.book import Book
from quota.facts import EpisodeOpened, PackageEnded, Posted
from quota.ledger import Entry, Episode, LedgerAccount, PostingKind
from quota.standing import Status
from tests.quota.makers import DAY, HOUR, NOON, a_meter, a_package
from tests.quota.shelf import Shelf

YEAR = 365 * DAY


def owing(count: int, *, at: int = NOON) -> Shelf:
    """A shelf on which `count` examinations are owed, the first of them since `at`."""
    shelf = Shelf()
    shelf.credit(1, at=at - DAY, expires_at=at - HOUR)
    for n in range(count):
        shelf.charge(f"owed-{n}", at=at + n)
    return shelf


@pytest.mark.parametrize(
    "clock, expected", [(NOON - 5, NOON + 1), (NOON, NOON + 1), (NOON + 1, NOON + 1)]
)
def test_time_on_a_meter_only_goes_forward(clock: int, expected: int) -> None:
    """TIME-1: T = max(clock, the meter's last T + 1 µs), so a clock set back changes no order."""
    assert Book(a_meter(last_at=NOON), clock_reading=clock).at == expected
    assert Book(a_meter(last_at=NOON), clock_reading=NOON + 9).at == NOON + 9


def test_a_charge_debits_the_package_at_the_head() -> None:
    """§3: PACKAGE −1, CONSUMED +1; the examination is funded by that package."""
    shelf = Shelf()
    package = shelf.credit(1_000, at=NOON, expires_at=NOON + YEAR)

    charged = shelf.charge("exam", at=NOON + 1)

    assert charged.package_id == package.id
    assert charged.state == "funded"
    assert shelf.journal[-1].entries == (
        Entry(account=LedgerAccount.PACKAGE, amount=-1, package_id=package.id),
        Entry(account=LedgerAccount.CONSUMED, amount=1),
    )
    assert shelf.packages[package.id].remaining == 999
    assert shelf.opened == []


def test_the_last_unit_leaves_the_account_empty_and_not_in_arrears() -> None:
    """STATE-2: zero available and nothing owed starts no clock."""
    shelf = Shelf()
    shelf.credit(1, at=NOON)

    shelf.charge("exam", at=NOON + 1)

    book = shelf.open(NOON + 2)
    assert book.standing(closed=False).status(book.at) is Status.EMPTY
    assert shelf.meter.episode is None


def test_a_charge_without_units_is_owed_and_starts_the_clock() -> None:
    """§3: ARREARS −1, CONSUMED +1; STATE-1: 24 h from the instant owed left 0."""
    shelf = owing(1)

    assert shelf.charges == {"owed-0": None}
    assert shelf.journal[-1].entries == (
        Entry(account=LedgerAccount.ARREARS, amount=-1),
        Entry(account=LedgerAccount.CONSUMED, amount=1),
    )
    assert shelf.meter.episode == Episode(started_at=NOON, deadline=NOON + DAY)


def test_more_charges_do_not_restart_the_clock() -> None:
    """STATE-1: the second shortfall changes nothing."""
    assert owing(5).meter.episode == Episode(started_at=NOON, deadline=NOON + DAY)
    assert owing(5).opened == [NOON]


def test_a_partial_top_up_does_not_restart_the_clock() -> None:
    """STATE-1: while something is owed the deadline stays, or grace could be bought for little."""
    shelf = owing(5)

    shelf.credit(3, at=NOON + HOUR)
    shelf.charge("one-more", at=NOON + 2 * HOUR)

    assert shelf.meter.owed == 3
    assert shelf.meter.episode == Episode(started_at=NOON, deadline=NOON + DAY)
    assert (shelf.opened, shelf.closed) == ([NOON], [])


def test_a_top_up_pays_the_oldest_owed_first() -> None:
    """§3, offset: in the credit's own transaction, oldest charge first."""
    shelf = owing(3)

    package = shelf.credit(2, at=NOON + HOUR)

    assert shelf.charges == {"owed-0": package.id, "owed-1": package.id, "owed-2": None}
    assert package.remaining == 0
    assert [posting.kind for posting in shelf.journal[-2:]] == ["credit", "offset"]
    assert len({posting.recorded_at for posting in shelf.journal[-2:]}) == 1


def test_a_top_up_that_suffices_ends_the_episode() -> None:
    """STATE-3: the episode closes at T, uploads resume at T, what is left is available."""
    shelf = owing(3)

    shelf.credit(1_000, at=NOON + 30 * HOUR)

    book = shelf.open(NOON + 30 * HOUR + 1)
    assert shelf.closed == [NOON + 30 * HOUR]
    assert (shelf.meter.available, shelf.meter.owed) == (997, 0)
    assert book.standing(closed=False).status(book.at) is Status.OK


def test_a_top_up_of_exactly_what_is_owed_leaves_the_account_empty() -> None:
    """STATE-3: owed = 0 is enough; nothing needs to be left."""
    shelf = owing(3)

    shelf.credit(3, at=NOON + HOUR)

    assert shelf.meter.episode is None
    assert (shelf.meter.available, shelf.meter.owed) == (0, 0)


def test_the_next_shortfall_opens_a_new_episode() -> None:
    """STATE-3: with the full grace again."""
    shelf = owing(1)
    shelf.credit(1, at=NOON + HOUR)

    shelf.charge("next", at=NOON + 2 * DAY)

    assert shelf.opened == [NOON, NOON + 2 * DAY]
    assert shelf.meter.episode == Episode.starting(NOON + 2 * DAY)


def test_an_expiry_is_booked_at_its_own_instant() -> None:
    """TIME-3: effective at the boundary, recorded at the T of whoever comes next."""
    shelf = Shelf()
    shelf.credit(10, at=NOON, expires_at=NOON + DAY)

    shelf.record(shelf.open(NOON + 3 * DAY))

    expiry = shelf.journal[-1]
    assert (expiry.kind, expiry.effective_at, expiry.recorded_at) == (
        PostingKind.EXPIRY,
        NOON + DAY,
        NOON + 3 * DAY,
    )
    assert shelf.packages[1].remaining == 0
    assert shelf.packages[1].ended_at == NOON + DAY
    assert shelf.meter.expired == 10


def test_expiries_are_booked_in_the_order_of_time() -> None:
    """TIME-3: by instant, then as credited, in whatever order the store lists them."""
    due = [
        a_package(1, expires_at=NOON + 3),
        a_package(2, expires_at=NOON + 1),
        a_package(3, expires_at=NOON + 1),
    ]
    book = Book(a_meter(available=3_000, active_quantity=3_000), clock_reading=NOON + 9)

    book.materialise(due)

    assert [f.package_id for f in book.facts if isinstance(f, PackageEnded)] == [2, 3, 1]
    times = [f.posting.effective_at for f in book.facts if isinstance(f, Posted)]
    assert times == sorted(times)


def test_an_empty_package_ends_without_a_posting() -> None:
    """Nothing moves where nothing is left, but the package no longer counts as active."""
    book = Book(a_meter(active_quantity=1_000), clock_reading=NOON + 9)

    book.materialise([a_package(1, remaining=0, expires_at=NOON + 1)])

    assert book.facts == [PackageEnded(package_id=1, ended_at=NOON + 1)]
    assert book.meter.active_quantity == 0


def test_an_expiry_never_makes_arrears() -> None:
    """STATE-4: what lapses was paid for; nothing is owed for it and no clock starts."""
    shelf = Shelf()
    shelf.credit(10, at=NOON, expires_at=NOON + DAY)
    shelf.charge("exam", at=NOON + 1)

    shelf.record(shelf.open(NOON + DAY))

    assert (shelf.meter.owed, shelf.meter.episode, shelf.opened) == (0, None, [])


@pytest.mark.parametrize("offset, funder", [(-1, 1), (0, 2), (1, 2)])
def test_a_charge_at_the_expiry_instant_takes_the_next_package(offset: int, funder: int) -> None:
    """TIME-2: half-open validity, to the microsecond."""
    shelf = Shelf()
    shelf.credit(10, at=NOON, expires_at=NOON + DAY)
    shelf.credit(10, at=NOON + 1, expires_at=NOON + 2 * DAY)

    assert shelf.charge("exam", at=NOON + DAY + offset).package_id == funder


def test_a_credit_after_its_expiry_is_issued_and_expires_at_once() -> None:
    """ORD-3: booked for the record, pays nothing off, ends when it came."""
    shelf = owing(2)

    package = shelf.credit(1_000, at=NOON + HOUR, expires_at=NOON)

    assert [posting.kind for posting in shelf.journal[-2:]] == ["credit", "expiry"]
    assert shelf.journal[-1].effective_at == NOON + HOUR
    assert (package.remaining, package.ended_at) == (0, NOON + HOUR)
    assert (shelf.meter.owed, shelf.meter.expired) == (2, 1_001)
    assert shelf.meter.episode == Episode.starting(NOON)
    assert shelf.meter.active_quantity == 0


def test_a_credit_at_its_expiry_instant_is_too_late() -> None:
    """ORD-3 with TIME-2: T = E is expired; one microsecond earlier is not."""
    late, timely = Shelf(), Shelf()

    assert late.credit(5, at=NOON, expires_at=NOON).ended_at == NOON
    assert timely.credit(5, at=NOON - 1, expires_at=NOON).ended_at is None


def test_a_package_that_came_too_late_still_provisions_the_account() -> None:
    """§6: UNPROVISIONED means that no package was ever credited; this account is EMPTY."""
    shelf = Shelf()
    shelf.credit(1_000, at=NOON, expires_at=NOON - DAY)

    book = shelf.open(NOON + 1)

    assert book.standing(closed=False).status(book.at) is Status.EMPTY


def test_the_low_threshold_counts_active_packages_as_bought() -> None:
    """§6, LOW: 10 % of what the packages held when bought, expired ones left out."""
    shelf = Shelf()
    shelf.credit(2_000, at=NOON, expires_at=NOON + DAY)
    shelf.credit(1_000, at=NOON + 1)

    before, after = shelf.open(NOON + 2), shelf.open(NOON + DAY)

    assert before.standing(closed=False).low_threshold == 300
    assert after.standing(closed=False).low_threshold == 100


def test_an_episode_is_told_once() -> None:
    """A notice hangs on the fact: charging twice in one book opens one episode."""
    book = Book(a_meter(purchased=1, consumed=1), clock_reading=NOON)

    book.charge("one", [])
    book.charge("two", [])

    assert sum(isinstance(fact, EpisodeOpened) for fact in book.facts) == 1
