"""What no query can say and is computed again row by row: capacity episodes, retention.

Invariant 15: the journal of units says nothing of bytes, so level moves and the beginnings and ends
of packages are replayed, in time order, up to each meter's last T. Invariant 21: calendar years.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from heapq import merge
from itertools import groupby
from typing import TypeAlias

from sqlalchemy import case, func, select

from quota.account import CAPACITY
from quota.ledger import GRACE
from quota.package import Package
from quota.retention import OWED_YEARS, retained_until
from quota.time import MICROSECONDS_PER_SECOND, Instant
from storage import tables as t
from storage.passing import passing
from storage.rows import package_of
from storage.view import SqlView

Episode: TypeAlias = tuple[Instant, Instant, Instant | None]
"""Start, deadline, and when it closed."""
_Event: TypeAlias = tuple[Instant, int, int, int]
"""Instant, boundary or operation, change of the limit, change of the level. What happens at one
instant is one change."""

_PASSED, _DONE = 0, 1
"""Boundaries come before the operation that finds them (TIME-3)."""


_DAY = 86_400 * MICROSECONDS_PER_SECOND
_IDS_AT_ONCE = 5_000
"""Ids in one statement: databases have a limit on parameters."""
_YEARS = case((t.charges.c.settled_at.is_not(None), OWED_YEARS), else_=t.packages.c.storage_years)
_RETENTIONS = (
    select(
        t.charges.c.examination_id,
        t.charges.c.charged_at,
        func.coalesce(_YEARS, OWED_YEARS).label("years"),
        t.examinations.c.retained_until,
    )
    .join(t.examinations, t.examinations.c.id == t.charges.c.examination_id)
    .outerjoin(t.packages, t.packages.c.id == t.charges.c.package_id)
)


def episodes_astray(view: SqlView) -> Iterator[dict[str, int | str | None]]:
    """Episodes that history demands and the record lacks, or the other way round."""
    meters = select(t.meters.c.id, t.meters.c.last_at).where(t.meters.c.name == CAPACITY)
    for meter_id, last_at in view.connection.execute(meters).all():
        expected = set(_replayed(_events(view, meter_id, last_at)))
        for started_at, _, _ in sorted(expected ^ _recorded(view, meter_id)):
            yield {"meter_id": meter_id, "started_at": started_at}


def retentions_astray(view: SqlView) -> Iterator[dict[str, int | str | None]]:
    """Invariant 21: examinations kept for less, or more, than what paid for them says (§8).

    The longest of an examination's charges counts: one that was owed promised the longest term,
    and a later event shortens nothing. Where every charge says what is on record, nothing is
    astray, so that only the others are put together.
    """
    term = cache(term_from)
    suspects = sorted(
        {
            examination_id
            for examination_id, charged_at, years, until in passing(view.connection, _RETENTIONS)
            if until != charged_at + term(charged_at // _DAY, years)
        }
    )
    for first in range(0, len(suspects), _IDS_AT_ONCE):
        ids = suspects[first : first + _IDS_AT_ONCE]
        wanted = _RETENTIONS.where(t.charges.c.examination_id.in_(ids))
        rows = view.connection.execute(wanted.order_by(t.charges.c.examination_id))
        for examination_id, charges in groupby(rows, key=lambda row: row.examination_id):
            listed = list(charges)
            expected = max(
                retained_until(row.charged_at, storage_years=row.years) for row in listed
            )
            if listed[0].retained_until != expected:
                yield {"examination_id": examination_id, "retained_until": expected}


def term_from(day: int, years: int) -> Instant:
    """How long an examination of that day since the epoch is kept: the same all day, in UTC."""
    return retained_until(day * _DAY, storage_years=years) - day * _DAY


def _events(view: SqlView, meter_id: int, last_at: Instant) -> Iterator[_Event]:
    """In time order; moves are as many as instances, so they pass by and are not collected."""
    moves = (
        select(t.level_moves.c.moved_at, t.level_moves.c.delta)
        .where(t.level_moves.c.meter_id == meter_id)
        .order_by(t.level_moves.c.moved_at)
    )
    terms: list[_Event] = []
    packages = select(t.packages).where(t.packages.c.meter_id == meter_id)
    for row in view.connection.execute(packages):
        terms.extend(_term(package_of(row), last_at))
    moved = ((at, _DONE, 0, delta) for at, delta in passing(view.connection, moves))
    return merge(moved, sorted(terms), key=lambda event: event[:2])


def _term(package: Package, last_at: Instant) -> Iterator[_Event]:
    ends_at = package.end_at if package.voided_at is None else package.voided_at
    if package.effective_at > min(last_at, ends_at):
        return  # ahead still, or voided before it began
    credited = package.effective_at == package.credited_at
    yield (package.effective_at, _DONE if credited else _PASSED, package.quantity, 0)
    if ends_at <= last_at:
        done = package.voided_at is not None or ends_at == package.credited_at
        yield (ends_at, _DONE if done else _PASSED, -package.quantity, 0)


def _replayed(events: Iterator[_Event]) -> Iterator[Episode]:
    limit = stored = 0
    sold = False
    started: Instant | None = None
    for (at, _), at_once in groupby(events, key=lambda event: event[:2]):
        for _, _, of_limit, of_level in at_once:
            sold = sold or of_limit > 0
            limit += of_limit
            stored += of_level
        owing = sold and stored > limit
        if owing and started is None:
            started = at
        elif not owing and started is not None:
            yield (started, started + GRACE, at)
            started = None
    if started is not None:
        yield (started, started + GRACE, None)


def _recorded(view: SqlView, meter_id: int) -> set[Episode]:
    """Episodes as they began: what moved a deadline since is judged elsewhere (invariant 9)."""
    moves = t.episode_moves.c
    first = select(moves.episode_id, func.min(moves.id).label("id")).group_by(moves.episode_id)
    first_move = first.subquery()
    statement = (
        select(
            func.coalesce(moves.started_before, t.episodes.c.started_at).label("started_at"),
            func.coalesce(moves.deadline_before, t.episodes.c.deadline).label("deadline"),
            t.episodes.c.closed_at,
        )
        .select_from(t.episodes)
        .outerjoin(first_move, first_move.c.episode_id == t.episodes.c.id)
        .outerjoin(t.episode_moves, moves.id == first_move.c.id)
        .where(t.episodes.c.meter_id == meter_id)
    )
    rows = view.connection.execute(statement)
    return {(row.started_at, row.deadline, row.closed_at) for row in rows}
