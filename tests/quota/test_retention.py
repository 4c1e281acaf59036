"""How long an examination is kept at least, and when that is over (§8)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from quota.retention import capacity_ended_at, ended, retained_until
from quota.time import isoformat
from tests.quota.makers import DAY, NOON, a_package
from tests.quota.test_time import utc


@pytest.mark.parametrize("years", range(1, 16))
def test_a_term_is_in_whole_calendar_years(years: int) -> None:
    """The same wall-clock instant, so many years on; 1 to 15."""
    until = retained_until(utc("2025-03-10 12:00"), storage_years=years)
    assert isoformat(until) == f"{2025 + years}-03-10T12:00:00.000000Z"


def test_a_leap_day_is_kept_to_the_28th_where_there_is_none() -> None:
    """29 February has no anniversary in most years."""
    leap = utc("2024-02-29 08:00")
    assert retained_until(leap, storage_years=1) == utc("2025-02-28 08:00")
    assert retained_until(leap, storage_years=4) == utc("2028-02-29 08:00")


@pytest.mark.parametrize("active", [False, True])
def test_a_term_of_its_own_ends_by_the_microsecond(*, active: bool) -> None:
    """Half-open (TIME-2), and the account's capacity has no part in it."""
    assert not ended(NOON, capacity_active=active, at=NOON - 1)
    assert ended(NOON, capacity_active=active, at=NOON)


def test_what_capacity_keeps_is_kept_while_it_is_active() -> None:
    """Without a term of its own an examination is kept by the account's capacity."""
    assert not ended(None, capacity_active=True, at=NOON)
    assert ended(None, capacity_active=False, at=NOON)


def test_capacity_ends_with_its_last_package() -> None:
    """None while one is active; then the last end, by expiry or void; what lies ahead is not."""
    first = a_package(1, expires_at=NOON + 10 * DAY)
    second = a_package(2, expires_at=NOON + 20 * DAY)
    end = NOON + 20 * DAY
    assert capacity_ended_at([first, second], at=end - 1) is None
    assert capacity_ended_at([first, second], at=end) == end
    voided = replace(second, voided_at=NOON + 15 * DAY, ended_at=NOON + 15 * DAY)
    assert capacity_ended_at([first, voided], at=end) == NOON + 15 * DAY
    ahead = replace(second, effective_at=NOON + 12 * DAY, activated_at=None)
    assert capacity_ended_at([first, ahead], at=NOON + 11 * DAY) == NOON + 10 * DAY
    assert capacity_ended_at([first, ahead], at=NOON + 12 * DAY) is None


def test_capacity_that_never_began_has_not_ended() -> None:
    """Nothing bought, or taken back before its beginning."""
    never = a_package(1, expires_at=NOON + 20 * DAY)
    never = replace(never, effective_at=NOON + 5 * DAY, voided_at=NOON + DAY, ended_at=NOON + DAY)
    assert capacity_ended_at([], at=NOON) is None
    assert capacity_ended_at([never], at=NOON + 30 * DAY) is None


def test_capacity_without_an_end_never_ends() -> None:
    """No expiry, no void: active for good."""
    assert capacity_ended_at([a_package(1, expires_at=None)], at=NOON + 9_999 * DAY) is None
