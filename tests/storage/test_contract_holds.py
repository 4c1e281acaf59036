"""The contract of AI calls, the same on every store: hold, post, void, expiry, unlimited (§8)."""

from __future__ import annotations

import pytest

from quota import ai, service
from quota.account import Account
from quota.hold import Hold, HoldState, NotHeld
from quota.order import Rejected
from quota.ports import Ledger
from quota.service import MeterReading
from quota.standing import Status
from tests.quota.makers import DAY, HOUR, SECOND
from tests.storage.calls import METER, buy_calls, hold, post, void
from tests.storage.kit import HandClock


def calls(ledger: Ledger, account: Account) -> MeterReading:
    """What the meter says."""
    with ledger.read() as view:
        return service.read_meter(view, account, METER)


def figures(ledger: Ledger, account: Account) -> tuple[int, int, int, int, int]:
    """Available, held, used, expired, voided."""
    found = calls(ledger, account)
    return (found.available, found.held, found.used, found.expired, found.voided)


def test_calls_are_set_aside_used_and_given_back(ledger: Ledger, account: Account) -> None:
    """§3: PACKAGE −k HELD +k, then HELD −k CONSUMED +k for what was used, the rest returns."""
    buy_calls(ledger, account, "AI-1", 10)

    placed = hold(ledger, account, "call-1", 4)
    assert isinstance(placed, Hold)
    assert figures(ledger, account) == (6, 4, 0, 0, 0)

    posted = post(ledger, account, "call-1", 3)
    assert isinstance(posted, Hold)
    assert (posted.state, posted.posted) == (HoldState.POSTED, 3)
    assert figures(ledger, account) == (7, 0, 3, 0, 0)


def test_more_than_is_available_is_a_hard_stop(ledger: Ledger, account: Account) -> None:
    """§8: no arrears; the refusal says what is available, and nothing is written."""
    buy_calls(ledger, account, "AI-1", 3)
    hold(ledger, account, "call-1", 2)

    assert hold(ledger, account, "call-2", 2) == NotHeld(asked=2, available=1)
    assert figures(ledger, account) == (1, 2, 0, 0, 0)
    assert calls(ledger, account).owed == 0


def test_without_a_package_nothing_is_held(ledger: Ledger, account: Account) -> None:
    """§6: UNPROVISIONED refuses."""
    assert hold(ledger, account, "call-1", 1) == NotHeld(asked=1, available=0)
    assert calls(ledger, account).status is Status.UNPROVISIONED


def test_a_hold_is_known_by_its_key(ledger: Ledger, account: Account, clock: HandClock) -> None:
    """§9: the same again is the first; another content under the key is a conflict."""
    buy_calls(ledger, account, "AI-1", 10)
    first = hold(ledger, account, "call-1", 4)
    clock.at += SECOND

    again = hold(ledger, account, "call-1", 4)
    assert isinstance(first, Hold)
    assert isinstance(again, Hold)
    assert (again.held_at, again.expires_at) == (first.held_at, first.expires_at)
    for units, ttl_s in ((5, 600), (4, 601)):
        conflict = hold(ledger, account, "call-1", units, ttl_s=ttl_s)
        assert isinstance(conflict, Rejected)
        assert conflict.rule == "AI"
    assert figures(ledger, account) == (6, 4, 0, 0, 0)


def test_a_hold_ends_once(ledger: Ledger, account: Account) -> None:
    """§8: post once, void once; the same again is the first answer, anything else is refused."""
    buy_calls(ledger, account, "AI-1", 10)
    hold(ledger, account, "call-1", 4)
    hold(ledger, account, "call-2", 4)

    posted = post(ledger, account, "call-1", 4)
    assert isinstance(posted, Hold)
    again = post(ledger, account, "call-1", 4)
    assert isinstance(again, Hold)
    assert again.settled_at == posted.settled_at
    assert isinstance(post(ledger, account, "call-1", 3), Rejected)
    assert isinstance(void(ledger, account, "call-1"), Rejected)
    voided = void(ledger, account, "call-2")
    assert isinstance(voided, Hold)
    assert isinstance(void(ledger, account, "call-2"), Hold)
    assert isinstance(post(ledger, account, "call-2", 1), Rejected)
    assert isinstance(post(ledger, account, "call-9", 1), Rejected)
    assert figures(ledger, account) == (6, 0, 4, 0, 0)


@pytest.mark.parametrize("units", [0, -1, 5])
def test_more_than_was_held_is_not_posted(ledger: Ledger, account: Account, units: int) -> None:
    """§8: up to n."""
    buy_calls(ledger, account, "AI-1", 10)
    hold(ledger, account, "call-1", 4)

    assert isinstance(post(ledger, account, "call-1", units), Rejected)
    assert figures(ledger, account) == (6, 4, 0, 0, 0)


@pytest.mark.parametrize(
    "key, units, ttl_s", [("", 1, 1), ("k" * 101, 1, 1), ("k", 0, 1), ("k", 1, 0), ("k", 1, 86_401)]
)
def test_what_can_not_be_held_is_refused_by_name(
    ledger: Ledger, account: Account, key: str, units: int, ttl_s: int
) -> None:
    """A limit on everything, each with its reason."""
    refused = hold(ledger, account, key, units, ttl_s=ttl_s)

    assert isinstance(refused, Rejected)
    assert refused.rule == "AI"


@pytest.mark.parametrize("offset, held", [(-1, 4), (0, 0), (1, 0)])
def test_a_hold_releases_itself_at_its_end(
    ledger: Ledger, account: Account, clock: HandClock, offset: int, held: int
) -> None:
    """TIME-2, TIME-4: its time is over at T >= E, whether somebody came by or not."""
    buy_calls(ledger, account, "AI-1", 10)
    placed = hold(ledger, account, "call-1", 4, ttl_s=60)
    assert isinstance(placed, Hold)

    clock.at = placed.expires_at + offset

    assert figures(ledger, account) == (10 - held, held, 0, 0, 0)
    posted = post(ledger, account, "call-1", 4)
    assert isinstance(posted, Hold) is (held > 0)


def test_a_release_is_booked_at_its_own_instant(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """TIME-3: effects are booked at the boundary, whenever somebody came by."""
    buy_calls(ledger, account, "AI-1", 4)
    placed = hold(ledger, account, "call-1", 4, ttl_s=60)
    assert isinstance(placed, Hold)
    clock.at = placed.expires_at + DAY
    with ledger.begin() as work:
        assert service.materialise(work, account, METER)
        work.commit()

    with ledger.read() as view:
        known = view.hold(placed.meter_id, "call-1")
    assert known is not None
    assert (known.state, known.settled_at) == (HoldState.EXPIRED, placed.expires_at)


def test_released_units_can_be_held_at_once(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """TIME-3: the boundary is booked before the operation, and the operation sees it."""
    buy_calls(ledger, account, "AI-1", 4)
    placed = hold(ledger, account, "call-1", 4, ttl_s=60)
    assert isinstance(placed, Hold)
    clock.at = placed.expires_at

    assert isinstance(hold(ledger, account, "call-2", 4), Hold)
    assert figures(ledger, account) == (0, 4, 0, 0, 0)


def test_units_of_a_package_that_has_ended_lapse_when_they_come_back(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """§3: HELD −k EXPIRED +k; what was used of them stays used."""
    buy_calls(ledger, account, "AI-1", 10)
    with ledger.read() as view:
        (package,) = view.packages(account.id)
    assert package.expires_at is not None
    clock.at = package.expires_at - HOUR
    hold(ledger, account, "call-1", 4, ttl_s=86_400)
    hold(ledger, account, "call-2", 3, ttl_s=86_400)

    clock.at = package.expires_at
    assert figures(ledger, account) == (0, 7, 0, 3, 0)
    post(ledger, account, "call-1", 3)
    assert figures(ledger, account) == (0, 3, 3, 4, 0)
    clock.at += DAY
    assert figures(ledger, account) == (0, 0, 3, 7, 0)


def test_a_hold_takes_from_several_packages_and_returns_to_the_last(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """BURN: first to expire, first used; what is not used goes back to what lasts longest."""
    buy_calls(ledger, account, "AI-1", 3)
    clock.at += DAY
    buy_calls(ledger, account, "AI-2", 5)

    hold(ledger, account, "call-1", 6)
    post(ledger, account, "call-1", 4)

    with ledger.read() as view:
        assert [package.remaining for package in view.packages(account.id)] == [0, 4]
    assert figures(ledger, account) == (4, 0, 4, 0, 0)


def test_a_package_without_limit_takes_no_units_but_is_named(
    ledger: Ledger, account: Account
) -> None:
    """§8: unlimited packages take no units but name the package."""
    buy_calls(ledger, account, "AI-1", 3)
    buy_calls(ledger, account, "AI-2", 0)

    placed = hold(ledger, account, "call-1", 1_000)

    assert isinstance(placed, Hold)
    assert [(share.package.unlimited, share.units) for share in placed.shares] == [(True, 0)]
    assert isinstance(post(ledger, account, "call-1", 700), Hold)
    found = calls(ledger, account)
    assert (found.unlimited, found.status) == (True, Status.OK)
    assert figures(ledger, account) == (3, 0, 0, 0, 0)


def test_meters_of_products_do_not_touch_each_other(ledger: Ledger, account: Account) -> None:
    """STATE-5: neither another product nor examinations pay for a call."""
    buy_calls(ledger, account, "AI-1", 3)
    with ledger.begin() as work:
        other = ai.hold(work, account, "pneumonia", key="call-1", units=1, ttl_s=60)

    assert other == NotHeld(asked=1, available=0)
