"""Which meters have boundaries to book or notices to raise: work for the keeper."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, String, cast, exists, false, literal, or_, select

from quota.hold import HoldState
from quota.notice import NEAR, NoticeKind
from quota.reminder import REMINDED_AHEAD
from quota.statement import Month
from quota.time import MICROSECONDS_PER_SECOND
from storage import tables as t
from storage.view import SqlView

_DAY = 86_400 * MICROSECONDS_PER_SECOND


def due_meters(view: SqlView) -> list[tuple[int, str]]:
    """(account id, meter name) of every meter with a boundary that has passed unbooked: a package's
    beginning or end, a hold's end (TIME-3)."""
    now = view.clock()
    m, k, h = t.meters.c, t.packages.c, t.holds.c
    package = exists().where(
        k.meter_id == m.id,
        k.ended_at.is_(None),
        (k.expires_at <= now) | (k.activated_at.is_(None) & (k.effective_at <= now)),
    )
    # Written into the statement, not bound: only so SQLite sees that the partial index serves.
    pending = literal(str(HoldState.PENDING), literal_execute=True)
    hold = exists().where(h.meter_id == m.id, h.state == pending, h.expires_at <= now)
    statement = select(m.account_id, m.name).where(or_(package, hold))
    return [(row.account_id, row.name) for row in view.connection.execute(statement)]


def meters_to_close(view: SqlView) -> list[tuple[int, str]]:
    """(account id, meter name) of every meter on which nothing was booked since the account's own
    month began: the month before it could still change (`quota.statement.finality`)."""
    now = view.clock()
    a, m = t.accounts.c, t.meters.c
    zones = view.connection.execute(select(a.timezone).distinct()).scalars().all()
    behind = []
    for zone in map(ZoneInfo, zones):
        began, _ = Month.of(now, zone).span(zone)
        behind.append((a.timezone == zone.key) & (m.last_at + 1 < began))
    statement = select(m.account_id, m.name).join(t.accounts, a.id == m.account_id)
    statement = statement.where(or_(false(), *behind)).order_by(m.id)
    return [(row.account_id, row.name) for row in view.connection.execute(statement)]


def meters_to_remind(view: SqlView) -> list[tuple[int, str]]:
    """(account id, meter name) of every meter that may owe somebody a notice of its time (§10).

    An open episode from 4 hours before its deadline on, until SUSPENDED was told; a package in
    use with less than 30 days to go, until its last day was told.
    """
    now = view.clock()
    m, e, k = t.meters.c, t.episodes.c, t.packages.c
    near = exists().where(
        e.meter_id == m.id,
        e.closed_at.is_(None),
        or_(
            (e.deadline <= now) & ~_told(NoticeKind.SUSPENDED, m.id, e.deadline),
            (e.deadline > now)
            & (e.deadline <= now + NEAR)
            & ~_told(NoticeKind.SUSPENSION_NEAR, m.id, e.deadline),
        ),
    )
    ending = exists().where(
        k.meter_id == m.id,
        k.ended_at.is_(None),
        k.remaining > 0,
        or_(
            *(
                (k.expires_at > now + _DAY * sooner)
                & (k.expires_at <= now + _DAY * days)
                & ~_told(NoticeKind.EXPIRING, k.id, literal(days))
                for sooner, days in ((7, 30), (1, 7), (0, 1))
            )
        ),
        k.expires_at <= now + REMINDED_AHEAD,
    )
    statement = select(m.account_id, m.name).where(or_(near, ending))
    return [(row.account_id, row.name) for row in view.connection.execute(statement)]


def _told(kind: NoticeKind, *parts: ColumnElement[int]) -> ColumnElement[bool]:
    key: ColumnElement[str] = literal(str(kind))
    for part in parts:
        key = key + ":" + cast(part, String)
    return exists().where(t.notices.c.key == key)
