"""Invariant 15: capacity episodes, computed again from the history of bytes and terms.

The journal of units says nothing of bytes, so this is a replay and no query: level moves and the
beginnings and ends of packages, in time order, up to each meter's last T.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from sqlalchemy import select

from quota.account import CAPACITY
from quota.ledger import GRACE
from quota.package import Package
from quota.time import Instant
from storage import tables as t
from storage.rows import package_of
from storage.view import SqlView

Episode: TypeAlias = tuple[Instant, Instant, Instant | None]
"""Start, deadline, and when it closed."""
_Event: TypeAlias = tuple[Instant, int, int, int]
"""Instant, order at equal instants, change of the limit, change of the level."""

_BEGINS, _ENDS, _MOVES = 0, 1, 2


def episodes_astray(view: SqlView) -> Iterator[dict[str, int | str | None]]:
    """Episodes that history demands and the record lacks, or the other way round."""
    meters = select(t.meters.c.id, t.meters.c.last_at).where(t.meters.c.name == CAPACITY)
    for meter_id, last_at in view.connection.execute(meters).all():
        expected = set(_replayed(_events(view, meter_id, last_at)))
        for started_at, _, _ in sorted(expected ^ _recorded(view, meter_id)):
            yield {"meter_id": meter_id, "started_at": started_at}


def _events(view: SqlView, meter_id: int, last_at: Instant) -> list[_Event]:
    moves = select(t.level_moves.c.moved_at, t.level_moves.c.delta).where(
        t.level_moves.c.meter_id == meter_id
    )
    events = [(row.moved_at, _MOVES, 0, row.delta) for row in view.connection.execute(moves)]
    packages = select(t.packages).where(t.packages.c.meter_id == meter_id)
    for row in view.connection.execute(packages):
        events.extend(_term(package_of(row), last_at))
    return sorted(events)


def _term(package: Package, last_at: Instant) -> Iterator[_Event]:
    if package.effective_at <= last_at:
        yield (package.effective_at, _BEGINS, package.quantity, 0)
    if package.expired(last_at):
        yield (package.end_at, _ENDS, -package.quantity, 0)


def _replayed(events: list[_Event]) -> Iterator[Episode]:
    limit = stored = 0
    sold = False
    started: Instant | None = None
    for at, kind, of_limit, of_level in events:
        sold = sold or kind == _BEGINS
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
    statement = select(
        t.episodes.c.started_at, t.episodes.c.deadline, t.episodes.c.closed_at
    ).where(t.episodes.c.meter_id == meter_id)
    rows = view.connection.execute(statement)
    return {(row.started_at, row.deadline, row.closed_at) for row in rows}
