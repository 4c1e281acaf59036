"""The contract of time, the same on every store: lapses, late credits, zones, clocks set back."""

from __future__ import annotations

from quota.account import EXAM, Account, Plan
from quota.admission import RefusalReason, Refused
from quota.ledger import Episode
from quota.order import Rejected
from quota.ports import Ledger
from quota.service import Admitted, materialise
from quota.standing import Status
from tests.quota.makers import DAY, HOUR, NOON
from tests.quota.test_time import utc
from tests.storage.kit import (
    HandClock,
    add_account,
    admit,
    credit,
    funder,
    in_arrears,
    pay,
    place,
    place_small,
    reading,
    top_up,
)


def test_what_is_left_after_a_year_lapses_and_owes_nothing(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """TIME-5, STATE-4: through the local anniversary, not a microsecond longer; no arrears."""
    top_up(ledger, account, "SO-1", 20)
    admit(ledger, account, "exam")
    expiry = utc("2026-03-10 16:00")
    # A read's T comes 1 µs after the meter's last at the earliest: here it is the clock.
    clock.at = expiry - 1
    assert (reading(ledger, account).status, reading(ledger, account).meter.available) == (
        Status.OK,
        19,
    )

    clock.at = expiry

    found = reading(ledger, account)
    assert (found.status, found.meter.expired, found.meter.owed) == (Status.EMPTY, 19, 0)
    assert funder(admit(ledger, account, "next")) is None
    assert reading(ledger, account).meter.episode == Episode.starting(expiry)


def test_booking_what_has_passed_changes_no_answer(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """TIME-4: the same reading with and without the sweeper."""
    top_up(ledger, account, "SO-1", 20)
    clock.at += 500 * DAY
    before = reading(ledger, account)

    with ledger.begin() as work:
        assert materialise(work, account, EXAM)
        work.commit()

    clock.at += 1
    after = reading(ledger, account)
    assert (after.status, after.standing) == (before.status, before.standing)
    assert after.meter.expired == before.meter.expired == 20
    with ledger.begin() as work:
        assert not materialise(work, account, EXAM)


def test_a_package_that_comes_after_its_expiry_lapses_at_once(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """ORD-3: issued and expired in one transaction; it pays nothing off."""
    place_small(ledger, account, "SO-1", 20)
    pay(ledger, "SO-1")
    clock.at += 400 * DAY

    credit(ledger, "SO-1")

    found = reading(ledger, account)
    assert (found.meter.purchased, found.meter.expired, found.meter.available) == (20, 20, 0)
    assert found.status is Status.EMPTY


def test_accounts_do_not_touch_each_other(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """STATE-5: one account's suspension, or its top-up, is not its neighbour's."""
    other = add_account(ledger, "South")
    top_up(ledger, other, "SO-9", 1)
    for name in ("other-1", "other-2", "other-3"):
        admit(ledger, other, name)
    clock.at += HOUR
    episode = in_arrears(ledger, account, clock)
    clock.at = episode.deadline
    theirs = reading(ledger, other).meter.episode

    assert isinstance(admit(ledger, account, "new"), Refused)
    top_up(ledger, account, "SO-1", 20)

    found = reading(ledger, other)
    assert theirs is not None
    assert (found.meter.owed, found.meter.episode) == (2, theirs)
    with ledger.read() as view:
        charges = [view.charge(name) for name in ("other-1", "other-2", "other-3")]
    assert [charge.state for charge in charges if charge] == ["funded", "owed", "owed"]


def test_an_account_by_capacity_has_no_quota_yet(ledger: Ledger) -> None:
    """ADM-2: its own meter decides, and nothing is sold for it so far."""
    account = add_account(ledger, "Bytes", plan=Plan.PER_CAPACITY)

    assert isinstance(place(ledger, account, "SO-1", 1_000), Rejected)
    assert admit(ledger, account, "exam") == Refused(reason=RefusalReason.UNPROVISIONED, at=NOON)


def test_a_clock_set_back_changes_no_order(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """TIME-1: T goes on by 1 µs; nothing is un-expired, no grace is won."""
    episode = in_arrears(ledger, account, clock)
    with ledger.read() as view:
        meter = view.meter(account.id, EXAM)
    assert meter is not None
    clock.at -= 10 * DAY

    admission = admit(ledger, account, "new")

    assert isinstance(admission, Admitted)
    assert admission.admitted_at == meter.last_at + 1
    assert reading(ledger, account).meter.episode == episode


def test_zones_decide_the_last_day(ledger: Ledger, clock: HandClock) -> None:
    """TIME-5: the same payment, two hospitals, two expiries a day apart."""
    east = add_account(ledger, "Kiritimati", timezone="Pacific/Kiritimati")
    west = add_account(ledger, "Pago Pago", timezone="Pacific/Pago_Pago")
    clock.at = utc("2025-06-01 10:30")
    top_up(ledger, east, "SO-E", 5)
    top_up(ledger, west, "SO-W", 5)

    with ledger.read() as view:
        expiries = [view.packages(account.id)[0].expires_at for account in (east, west)]

    assert expiries == [utc("2026-06-02 10:00"), utc("2026-06-01 11:00")]
