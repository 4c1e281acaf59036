"""Retention: how long an examination is kept at least (§8)."""

from __future__ import annotations

from collections.abc import Iterable

from quota.package import Package
from quota.time import Instant, to_datetime, to_instant

OWED_YEARS = 15
"""While an examination is owed nobody knows what will pay for it: the longest term."""


def retained_until(admitted_at: Instant, *, storage_years: int) -> Instant:
    """Admission and the storage years of the package that funded it; 29 February becomes the 28th.

    Never shortened by a later event; at its end the examination is listed, not deleted.
    """
    admitted = to_datetime(admitted_at)
    year = admitted.year + storage_years
    try:
        return to_instant(admitted.replace(year=year))
    except ValueError:
        return to_instant(admitted.replace(year=year, day=28))


def capacity_ended_at(packages: Iterable[Package], *, at: Instant) -> Instant | None:
    """The instant from which no capacity package was active any more; None while one is, or if
    none has begun.

    `packages` are the `capacity` meter's. A renewal that lies ahead is not active yet: it begins
    where the old one ends (ORD-4), so there is nothing in between to fall into.
    """
    ended_at: Instant | None = None
    for package in packages:
        ends_at = package.voided_at
        if ends_at is None and package.expires_at is not None:
            ends_at = package.end_at
        if package.effective_at > at or (ends_at is not None and ends_at < package.effective_at):
            continue  # ahead still, or voided before it began
        if ends_at is None or ends_at > at:
            return None
        ended_at = ends_at if ended_at is None else max(ended_at, ends_at)
    return ended_at


def ended(retained_until: Instant | None, *, capacity_active: bool, at: Instant) -> bool:
    """Whether an examination need not be kept any longer at `at` (half-open, TIME-2).

    `retained_until` None: kept on the capacity plan, while a capacity package is active (§8).
    """
    return not capacity_active if retained_until is None else at >= retained_until
