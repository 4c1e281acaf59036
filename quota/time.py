"""Instants: whole microseconds since 1970-01-01 UTC. The clock is always an argument (TIME-1)."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeAlias
from zoneinfo import ZoneInfo

Instant: TypeAlias = int
"""UTC, in µs since the epoch: exact, ordered, and an integer in every database."""

Clock: TypeAlias = Callable[[], Instant]

MICROSECONDS_PER_SECOND = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_instant(moment: datetime) -> Instant:
    """Convert an aware datetime; raises ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def to_datetime(instant: Instant) -> datetime:
    """Convert to an aware datetime in UTC."""
    return _EPOCH + timedelta(microseconds=instant)


def isoformat(instant: Instant) -> str:
    """RFC 3339 text in UTC with microseconds, for JSON and reports."""
    return to_datetime(instant).isoformat(timespec="microseconds").replace("+00:00", "Z")


def first_instant_of(day: date, zone: ZoneInfo) -> Instant:
    """The first instant that bears the local date `day` (TIME-5).

    Midnight may be missing (a gap: the day begins at the transition) or come twice (a fold: the
    earlier one counts). Walking back from the fold-0 reading of midnight covers both: in a gap
    Python maps the missing time past the transition, so we look for the transition itself.
    """
    midnight = datetime.combine(day, time(0), tzinfo=zone)
    instant = to_instant(midnight.astimezone(UTC))
    if to_datetime(instant).astimezone(zone).date() == day and _local(instant, zone) == midnight:
        return instant
    return _transition_near(instant, day, zone)


def _local(instant: Instant, zone: ZoneInfo) -> datetime:
    return to_datetime(instant).astimezone(zone)


def _transition_near(instant: Instant, day: date, zone: ZoneInfo) -> Instant:
    """Bisect for the first instant whose local date is at least `day`, within 26 hours around."""
    span = 26 * 3600 * MICROSECONDS_PER_SECOND
    low, high = instant - span, instant + span
    while high - low > 1:
        middle = (low + high) // 2
        if _local(middle, zone).date() >= day:
            high = middle
        else:
            low = middle
    return high


def expiry(purchased_at: Instant, zone: ZoneInfo, *, years: int = 0, months: int = 0) -> Instant:
    """TIME-5: first instant of the local date after the one that lies so long after purchase.

    29 February counts as 28 February where the later year has none, and so for shorter months.
    """
    return _after(_local(purchased_at, zone).date(), zone, months=12 * years + months)


def renewed_expiry(expires_at: Instant, zone: ZoneInfo, *, years: int) -> Instant:
    """ORD-4: where a term of `years` ends that begins at `expires_at`, the end of another one.

    Counted from the last day that the old term covers, so that a chain of renewals keeps its day.
    """
    last_covered = _local(expires_at - 1, zone).date()
    return _after(last_covered, zone, months=12 * years)


def _after(day: date, zone: ZoneInfo, *, months: int) -> Instant:
    year, month = divmod(12 * day.year + day.month - 1 + months, 12)
    last_of_month = monthrange(year, month + 1)[1]
    anniversary = date(year, month + 1, min(day.day, last_of_month))
    return first_instant_of(anniversary + timedelta(days=1), zone)
