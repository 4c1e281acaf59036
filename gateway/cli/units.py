"""Numbers as people read them. Everything is rounded DOWN: never show more than there is."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from quota.account import CAPACITY
from quota.time import MICROSECONDS_PER_SECOND, Instant, to_datetime

_DECIMAL_UNITS = ("kB", "MB", "GB", "TB", "PB", "EB")
_PER_MINUTE = 60 * MICROSECONDS_PER_SECOND


def count(number: int) -> str:
    """A number with thousands separators: `12,345`."""
    return f"{number:,}"


def size(size_bytes: int) -> str:
    """A size in decimal units (UNIT-1: 1 TB = 10^12 bytes), one decimal: `1.9 GB`."""
    unit, factor = "B", 1
    for name in _DECIMAL_UNITS:
        if size_bytes < factor * 1000:
            break
        unit, factor = name, factor * 1000
    if factor == 1:
        return f"{size_bytes} B"
    whole, tenths = divmod(size_bytes * 10 // factor, 10)
    return f"{whole:,}.{tenths} {unit}"


def amount(meter: str, number: int) -> str:
    """A number in the unit of `meter`."""
    return size(number) if meter == CAPACITY else count(number)


def money(minor: int, *, currency: str, decimals: int) -> str:
    """A price: `6,000.00 CNY`. Exact, from minor units."""
    if decimals == 0:
        return f"{minor:,} {currency}"
    whole, rest = divmod(minor, 10**decimals)
    return f"{whole:,}.{rest:0{decimals}} {currency}"


def duration(microseconds: int) -> str:
    """A time that is left, in whole minutes: `3 h 12 min`."""
    minutes = microseconds // _PER_MINUTE
    if minutes < 1:
        return "less than 1 min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def local(instant: Instant | None, zone: ZoneInfo) -> str:
    """An instant on the wall clock of `zone`: `2026-11-23 09:00 +08:00`; empty for None."""
    if instant is None:
        return ""
    text = to_datetime(instant).astimezone(zone).isoformat(sep=" ", timespec="minutes")
    return f"{text[:16]} {text[16:]}"
