"""Retention: how long an examination is kept at least (§8)."""

from __future__ import annotations

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
