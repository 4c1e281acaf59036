"""Capacity on each store: the level, its limit, renewals, and the clock that they turn (§7)."""

from __future__ import annotations

import pytest

from quota import service
from quota.account import CAPACITY, Account, Plan
from quota.admission import RefusalReason, Refused
from quota.ledger import GRACE
from quota.order import TERABYTE, LineRequest, Order, OrderRequest, Rejected
from quota.ports import Ledger
from quota.service import Admitted, MeterReading
from quota.standing import Status
from tests.quota.makers import DAY, HOUR
from tests.storage.kit import HandClock, add_account, admit, credit, pay


@pytest.fixture
def payer(ledger: Ledger) -> Account:
    """An account that buys capacity and has bought none."""
    return add_account(ledger, "Bytes", plan=Plan.PER_CAPACITY)


def buy(
    ledger: Ledger, payer: Account, number: str, *, renews: int | None = None, years: int = 1
) -> Order:
    """One TB, placed, paid and credited."""
    line = LineRequest(meter=CAPACITY, quantity=TERABYTE, years=years, renews_package_id=renews)
    with ledger.begin() as work:
        placed = service.place(
            work, OrderRequest(number=number, account_id=payer.id, lines=(line,))
        )
        assert isinstance(placed, Order)
        work.commit()
    pay(ledger, number)
    return credit(ledger, number)


def move(ledger: Ledger, payer: Account, delta: int) -> None:
    """Store bytes, or free them."""
    with ledger.begin() as work:
        service.move_level(work, service.open_level(work, payer), delta)
        work.commit()


def level(ledger: Ledger, payer: Account) -> MeterReading:
    """What the capacity meter says now."""
    with ledger.read() as view:
        return service.read_meter(view, payer, CAPACITY)


def package_ends(ledger: Ledger, payer: Account) -> list[int]:
    """When the account's packages expire, in the order of crediting."""
    with ledger.read() as view:
        return [package.expires_at or 0 for package in view.packages(payer.id)]


def test_nothing_bought_refuses_and_a_terabyte_admits(ledger: Ledger, payer: Account) -> None:
    """UNPROVISIONED refuses without a grace; capacity does not charge examinations."""
    assert admit(ledger, payer, "x-1") == Refused(
        reason=RefusalReason.UNPROVISIONED, at=level(ledger, payer).at
    )
    buy(ledger, payer, "C-1")

    admission = admit(ledger, payer, "x-1")

    assert isinstance(admission, Admitted)
    assert (admission.charge, admission.retained_until) == (None, None)
    assert level(ledger, payer).status is Status.OK


def test_a_byte_too_many_opens_an_episode_and_freeing_it_closes_it(
    ledger: Ledger, payer: Account, clock: HandClock
) -> None:
    """STATE-1, STATE-3: the clock starts at the filing's T, and stops where nothing is owed."""
    buy(ledger, payer, "C-1")
    move(ledger, payer, TERABYTE)
    assert level(ledger, payer).status is Status.EMPTY
    clock.at += HOUR
    move(ledger, payer, 1)
    reading = level(ledger, payer)
    assert (reading.status, reading.owed, reading.available) == (Status.ARREARS, 1, 0)
    assert reading.meter.episode is not None
    assert reading.meter.episode.started_at == clock.at

    move(ledger, payer, -1)

    reading = level(ledger, payer)
    assert (reading.status, reading.owed, reading.meter.episode) == (Status.EMPTY, 0, None)
    move(ledger, payer, -TERABYTE)


def test_an_expiry_opens_the_episode_at_its_own_instant(
    ledger: Ledger, payer: Account, clock: HandClock
) -> None:
    """STATE-4: from the expiry, not from when somebody noticed; the grace may be over by then."""
    buy(ledger, payer, "C-1")
    move(ledger, payer, 5)
    (end,) = package_ends(ledger, payer)
    clock.at = end - 1
    assert level(ledger, payer).status is Status.OK
    clock.at = end
    assert level(ledger, payer).status is Status.ARREARS
    clock.at = end + 3 * DAY

    reading = level(ledger, payer)

    assert reading.status is Status.SUSPENDED
    assert reading.meter.episode is not None
    assert (reading.meter.episode.started_at, reading.meter.episode.deadline) == (
        end,
        end + GRACE,
    )
    assert isinstance(admit(ledger, payer, "x-2"), Refused)
    buy(ledger, payer, "C-2")
    assert isinstance(admit(ledger, payer, "x-2"), Admitted)
    move(ledger, payer, -5)


def test_a_renewal_leaves_no_gap_and_counts_nothing_twice(
    ledger: Ledger, payer: Account, clock: HandClock
) -> None:
    """ORD-4: it begins where the old one ends; until then the limit is the old one's alone."""
    buy(ledger, payer, "C-1")
    move(ledger, payer, TERABYTE)
    clock.at += 30 * DAY
    buy(ledger, payer, "C-2", renews=1, years=2)
    first, second = package_ends(ledger, payer)
    assert level(ledger, payer).meter.limit == TERABYTE

    for at in (first - 1, first, first + 1, second - 1):
        clock.at = at
        reading = level(ledger, payer)
        assert (reading.meter.limit, reading.meter.episode) == (TERABYTE, None)
    clock.at = second
    assert level(ledger, payer).status is Status.ARREARS
    move(ledger, payer, -TERABYTE)


def test_a_line_that_renews_nothing_adds_from_now(
    ledger: Ledger, payer: Account, clock: HandClock
) -> None:
    """ORD-4: two terms that overlap add up while both run."""
    buy(ledger, payer, "C-1")
    clock.at += 30 * DAY
    buy(ledger, payer, "C-2")
    assert level(ledger, payer).meter.limit == 2 * TERABYTE
    clock.at = package_ends(ledger, payer)[0]
    assert level(ledger, payer).meter.limit == TERABYTE


@pytest.mark.parametrize(
    "asked, rule",
    [
        ((TERABYTE // 2 * 3, 1, None), "ORD-1"),
        ((0, 1, None), "ORD-1"),
        ((-TERABYTE, 1, None), "ORD-1"),
        ((TERABYTE, 0, None), "ORD-1"),
        ((TERABYTE, 16, None), "ORD-1"),
        ((TERABYTE, 1, 77), "ORD-4"),
    ],
)
def test_what_is_not_sold_is_refused_by_name(
    ledger: Ledger, payer: Account, asked: tuple[int, int, int | None], rule: str
) -> None:
    """ORD-1, ORD-4: 1.5 TB, no year, a package that is not theirs: nothing is written."""
    quantity, years, renews = asked
    line = LineRequest(meter=CAPACITY, quantity=quantity, years=years, renews_package_id=renews)
    with ledger.begin() as work:
        placed = service.place(work, OrderRequest(number="C-1", account_id=payer.id, lines=(line,)))

    assert isinstance(placed, Rejected)
    assert placed.rule == rule
    with ledger.read() as view:
        assert view.order("C-1") is None


def test_bytes_of_an_account_that_pays_per_examination_are_counted_and_owe_nothing(
    ledger: Ledger, account: Account
) -> None:
    """CAP-1: counted for every account, enforced only where the plan says so."""
    move(ledger, account, 7 * TERABYTE)

    reading = level(ledger, account)

    assert (reading.used, reading.owed, reading.meter.episode) == (7 * TERABYTE, 0, None)
    move(ledger, account, -7 * TERABYTE)


def test_capacity_that_is_over_when_it_comes_ends_no_arrears(
    ledger: Ledger, payer: Account, clock: HandClock
) -> None:
    """ORD-3, STATE-1: an instant that does not exist pays nothing off, and starts no new grace."""
    buy(ledger, payer, "C-1")
    buy(ledger, payer, "C-2")
    move(ledger, payer, 2 * TERABYTE)
    place_paid(ledger, payer, "C-3")
    clock.at = package_ends(ledger, payer)[0]
    episode = level(ledger, payer).meter.episode
    assert episode is not None
    clock.at += HOUR

    credit(ledger, "C-3")

    assert level(ledger, payer).meter.episode == episode
    move(ledger, payer, -2 * TERABYTE)


def test_a_renewal_that_is_too_small_stops_no_clock(
    ledger: Ledger, payer: Account, clock: HandClock
) -> None:
    """STATE-1: as one package ends and the other begins, owed is never 0, and no new grace runs."""
    buy(ledger, payer, "C-1")
    buy(ledger, payer, "C-2", renews=1)
    move(ledger, payer, TERABYTE + 1)
    episode = level(ledger, payer).meter.episode
    assert episode is not None

    clock.at = package_ends(ledger, payer)[0]

    assert level(ledger, payer).meter.episode == episode
    assert level(ledger, payer).status is Status.SUSPENDED
    move(ledger, payer, -TERABYTE - 1)


def place_paid(ledger: Ledger, payer: Account, number: str) -> None:
    """A year of three TB, paid for and not credited."""
    line = LineRequest(meter=CAPACITY, quantity=3 * TERABYTE)
    with ledger.begin() as work:
        service.place(work, OrderRequest(number=number, account_id=payer.id, lines=(line,)))
        service.pay(work, number)
        work.commit()
