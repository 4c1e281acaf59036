"""Which meters have boundaries to book or notices to raise: work for the keeper."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, String, and_, cast, exists, false, literal, or_, select

from quota.hold import HoldState
from quota.licence import Licence
from quota.notice import NEAR, NoticeKind
from quota.reminder import REMINDED_AHEAD
from quota.service_term import BoughtService, ServiceKind
from quota.statement import Month
from quota.time import MICROSECONDS_PER_SECOND, Instant
from storage import tables as t
from storage.view import SqlView
from storage.view_bought import licence_of, service_of

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
        _untold(k.expires_at, now, NoticeKind.EXPIRING, k.id),
        k.expires_at <= now + REMINDED_AHEAD,
    )
    statement = select(m.account_id, m.name).where(or_(near, ending))
    return [(row.account_id, row.name) for row in view.connection.execute(statement)]


def licences_to_remind(view: SqlView) -> list[Licence]:
    """Active licences with less than 30 days to go whose holder may be owed a notice (§10)."""
    now = view.clock()
    one = t.licences.c
    later = t.licences.alias("later").c
    statement = select(t.licences).where(
        one.revoked_at.is_(None),
        one.starts_at <= now,
        one.ends_at > now,
        one.ends_at <= now + REMINDED_AHEAD,
        _untold(one.ends_at, now, NoticeKind.EXPIRING, literal("licence"), one.id),
        ~exists().where(
            later.feature == one.feature,
            or_(
                later.institution_id == one.institution_id,
                later.consortium_id == one.consortium_id,
            ),
            later.revoked_at.is_(None),
            or_(later.ends_at.is_(None), later.ends_at > one.ends_at),
        ),
    )
    rows = view.connection.execute(statement.order_by(one.id))
    return [licence_of(row) for row in rows]


def services_to_remind(view: SqlView) -> list[BoughtService]:
    """Services that wait or run, with less than 30 days to go, whose end may be untold (§10)."""
    now = view.clock()
    one = t.services.c
    later = t.services.alias("later").c
    statement = select(t.services).where(
        one.cancelled_at.is_(None),
        one.accepted_at.is_(None),
        one.ends_at > now,
        one.ends_at <= now + REMINDED_AHEAD,
        _untold(one.ends_at, now, NoticeKind.EXPIRING, literal("service"), one.id),
        ~exists().where(
            one.kind == ServiceKind.MAINTENANCE,
            later.account_id == one.account_id,
            later.institution_id == one.institution_id,
            later.kind == one.kind,
            later.cancelled_at.is_(None),
            later.ends_at > one.ends_at,
        ),
    )
    rows = view.connection.execute(statement.order_by(one.id))
    return [service_of(row) for row in rows]


def _untold(
    end: ColumnElement[int], now: Instant, kind: NoticeKind, *parts: ColumnElement[Any]
) -> ColumnElement[bool]:
    """Whether the nearest of 30, 7 and 1 days before `end` has begun and was not told."""
    return or_(
        *(
            and_(
                end > now + _DAY * sooner,
                end <= now + _DAY * days,
                ~_told(kind, *parts, literal(days)),
            )
            for sooner, days in ((7, 30), (1, 7), (0, 1))
        )
    )


def _told(kind: NoticeKind, *parts: ColumnElement[Any]) -> ColumnElement[bool]:
    key: ColumnElement[str] = literal(str(kind))
    for part in parts:
        key = key + ":" + cast(part, String)
    return exists().where(t.notices.c.key == key)
