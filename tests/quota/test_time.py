"""Instants and the calendar: a year's validity ends at a local midnight, whatever it does."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from quota.time import (
    Instant,
    expiry,
    first_instant_of,
    isoformat,
    to_datetime,
    to_instant,
)

MINUTE = 60_000_000
ZONES = sorted(available_timezones() - {"Factory", "localtime"})
ODD_ZONES = [
    "Africa/Cairo",
    "America/Havana",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Asia/Beirut",
    "Asia/Shanghai",
    "Asia/Tehran",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
]


def utc(text: str) -> Instant:
    """The instant that an ISO text in UTC names."""
    return to_instant(datetime.fromisoformat(text).replace(tzinfo=UTC))


def local(zone: str, text: str) -> Instant:
    """The instant of a local time that is neither missing nor doubled."""
    return to_instant(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))


@pytest.mark.parametrize(
    "zone, day, first",
    [
        ("Asia/Shanghai", "2026-03-11", "2026-03-10 16:00"),
        # gaps: 00:00 does not exist, the day begins at 01:00
        ("America/Sao_Paulo", "2018-11-04", "2018-11-04 03:00"),
        ("Asia/Beirut", "2022-03-27", "2022-03-26 22:00"),
        ("Africa/Cairo", "2024-04-26", "2024-04-25 22:00"),
        ("America/Havana", "2024-03-10", "2024-03-10 05:00"),
        # a gap from 23:30 to 00:30: the day begins in the middle of it
        ("America/Toronto", "1919-03-31", "1919-03-31 04:30"),
        # folds: the hour before midnight comes twice, midnight once
        ("America/Sao_Paulo", "2018-02-18", "2018-02-18 03:00"),
        ("Asia/Beirut", "2022-10-30", "2022-10-29 22:00"),
        ("Africa/Cairo", "2024-11-01", "2024-10-31 22:00"),
        # folds: midnight itself comes twice, the first one counts
        ("America/Havana", "2024-11-03", "2024-11-03 04:00"),
        ("Atlantic/Azores", "2024-10-27", "2024-10-27 00:00"),
        # a minute of the day, then an hour of the day before once more
        ("America/St_Johns", "2010-11-07", "2010-11-07 02:30"),
        # both sides of the date line, and a day that never was
        ("Pacific/Kiritimati", "2025-06-01", "2025-05-31 10:00"),
        ("Pacific/Pago_Pago", "2025-06-01", "2025-06-01 11:00"),
        ("Pacific/Apia", "2011-12-30", "2011-12-30 10:00"),
        ("Pacific/Apia", "2011-12-31", "2011-12-30 10:00"),
    ],
)
def test_a_day_begins_at_its_first_instant(zone: str, day: str, first: str) -> None:
    """TIME-5: gaps and folds at midnight included, converted to UTC."""
    assert isoformat(first_instant_of(date.fromisoformat(day), ZoneInfo(zone))) == isoformat(
        utc(first)
    )


@st.composite
def days_around_a_transition(draw: st.DrawFn) -> tuple[ZoneInfo, date]:
    """A zone and a day at most one day from a change of its offset, where the year has one."""
    zone = ZoneInfo(draw(st.one_of(st.sampled_from(ODD_ZONES), st.sampled_from(ZONES))))
    year = draw(st.integers(1975, 2036))
    noons = [datetime(year, 1, 1, 12, tzinfo=UTC) + timedelta(days=n) for n in range(366)]
    offsets = [noon.astimezone(zone).utcoffset() for noon in noons]
    changes = [n for n in range(1, 366) if offsets[n] != offsets[n - 1]] or [0, 58, 180]
    noon = noons[draw(st.sampled_from(changes))] + timedelta(days=draw(st.integers(-2, 1)))
    return zone, noon.astimezone(zone).date()


@pytest.mark.slow
@given(days_around_a_transition())
def test_the_first_instant_is_the_one_a_search_finds(chosen: tuple[ZoneInfo, date]) -> None:
    """Compared with its definition: of all instants that bear the date, the earliest.

    Modern offsets change at whole minutes, so that a search minute by minute misses nothing. A
    day that was skipped begins where the next one does.
    """
    zone, day = chosen
    begin = to_instant(datetime(day.year, day.month, day.day, tzinfo=UTC)) - 20 * 60 * MINUTE
    dates = [
        (at, to_datetime(at).astimezone(zone).date())
        for at in range(begin, begin + 46 * 60 * MINUTE, MINUTE)
    ]
    bearing = [at for at, found in dates if found == day]
    expected = bearing[0] if bearing else next(at for at, found in dates if found > day)

    found = first_instant_of(day, zone)

    assert found == expected
    assert to_datetime(found - 1).astimezone(zone).date() < day


@pytest.mark.parametrize(
    "zone, bought, expires",
    [
        ("Asia/Shanghai", "2025-03-10 12:00", "2026-03-10 16:00"),
        ("Asia/Shanghai", "2025-03-10 00:00", "2026-03-10 16:00"),
        ("Asia/Shanghai", "2025-03-10 23:59:59.999999", "2026-03-10 16:00"),
        ("Asia/Shanghai", "2025-12-31 12:00", "2026-12-31 16:00"),
        ("UTC", "2024-02-29 12:00", "2025-03-01 00:00"),
        ("UTC", "2023-02-28 12:00", "2024-02-29 00:00"),
        ("UTC", "2024-02-28 12:00", "2025-03-01 00:00"),
        ("UTC", "2023-03-01 12:00", "2024-03-02 00:00"),
        # bought in winter or summer time: the local date counts, not 365 x 24 hours
        ("Europe/Berlin", "2024-03-30 12:00", "2025-03-30 22:00"),
        ("America/Sao_Paulo", "2017-11-03 12:00", "2018-11-04 03:00"),
        ("Asia/Beirut", "2021-03-26 12:00", "2022-03-26 22:00"),
        ("Africa/Cairo", "2023-04-25 12:00", "2024-04-25 22:00"),
        ("Pacific/Apia", "2010-12-29 12:00", "2011-12-30 10:00"),
    ],
)
def test_a_year_ends_after_the_anniversary_of_the_purchase(
    zone: str, bought: str, expires: str
) -> None:
    """TIME-5: the first instant of the local date after the anniversary; 29 Feb counts as 28."""
    assert isoformat(expiry(local(zone, bought), ZoneInfo(zone), years=1)) == isoformat(
        utc(expires)
    )


def test_the_date_of_purchase_is_the_one_of_the_accounts_zone() -> None:
    """One instant, two local dates: two hospitals across the date line expire a day apart."""
    bought = utc("2025-06-01 10:30")

    east = expiry(bought, ZoneInfo("Pacific/Kiritimati"), years=1)
    west = expiry(bought, ZoneInfo("Pacific/Pago_Pago"), years=1)

    assert isoformat(east) == isoformat(utc("2026-06-02 10:00"))
    assert isoformat(west) == isoformat(utc("2026-06-01 11:00"))


@given(
    moment=st.integers(utc("1990-01-01"), utc("2040-01-01")),
    name=st.sampled_from(ODD_ZONES),
)
def test_a_package_lasts_through_its_whole_anniversary(moment: Instant, name: str) -> None:
    """Any instant of the anniversary is inside the validity, none of the day after is."""
    zone = ZoneInfo(name)
    day = to_datetime(moment).astimezone(zone).date()
    assume((day.month, day.day) != (2, 29))
    anniversary = day.replace(year=day.year + 1)

    expires = expiry(moment, zone, years=1)

    assert to_datetime(expires - 1).astimezone(zone).date() <= anniversary
    assert to_datetime(expires).astimezone(zone).date() > anniversary


@given(st.integers(-(10**15), 4 * 10**15))
def test_an_instant_survives_the_way_to_a_datetime_and_back(instant: int) -> None:
    """No microsecond is lost in a conversion: balances turn at single ones."""
    assert to_instant(to_datetime(instant)) == instant
    assert to_instant(datetime.fromisoformat(isoformat(instant))) == instant


def test_a_datetime_without_a_zone_is_no_instant() -> None:
    """A naive datetime is refused, not guessed."""
    with pytest.raises(ValueError, match="time zone"):
        to_instant(datetime(2025, 3, 10))  # noqa: DTZ001  # the mistake under test
