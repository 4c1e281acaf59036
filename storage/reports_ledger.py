"""What operators look up of the ledger: postings, holds, episodes, notices, acts. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select

from quota.account import AI_PREFIX
from quota.action import Action
from quota.hold import HoldState
from quota.notice import Notice
from quota.time import Instant
from storage import tables as t
from storage.rows import notice_of
from storage.view import SqlView


@dataclass(frozen=True, kw_only=True, slots=True)
class EntryRow:
    """One leg of a posting; `package_id` says which package where `account` is PACKAGE or HELD."""

    account: str
    package_id: int | None
    amount: int


@dataclass(frozen=True, kw_only=True, slots=True)
class PostingRow:
    """One event in the journal, and what it was for; its entries sum to zero (§3)."""

    id: int
    account_id: int
    meter: str
    kind: str
    effective_at: Instant
    recorded_at: Instant
    examination_id: str | None
    order_no: str | None
    hold_key: str | None
    entries: tuple[EntryRow, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class HoldRow:
    """One hold. One whose time is over is expired, whether that was booked or not (TIME-4)."""

    account_id: int
    meter: str
    key: str
    units: int
    state: HoldState
    posted: int
    held_at: Instant
    expires_at: Instant
    settled_at: Instant | None


@dataclass(frozen=True, kw_only=True, slots=True)
class EpisodeRow:
    """One episode of arrears; `closed_at` None while it is open."""

    meter: str
    started_at: Instant
    deadline: Instant
    closed_at: Instant | None


@dataclass(frozen=True, kw_only=True, slots=True)
class NoticeRow:
    """One notice in the outbox, and when it was told, if it was."""

    id: int
    notice: Notice
    delivered_at: Instant | None


def ai_meters(view: SqlView, account_id: int) -> list[str]:
    """Names of the meters of AI calls that an account has, by name."""
    statement = (
        select(t.meters.c.name)
        .where(t.meters.c.account_id == account_id, t.meters.c.name.startswith(AI_PREFIX))
        .order_by(t.meters.c.name)
    )
    return list(view.connection.execute(statement).scalars())


def postings(
    view: SqlView,
    *,
    account_id: int | None,
    meter: str | None,
    examination_id: str | None,
    limit: int,
) -> list[PostingRow]:
    """The latest `limit` postings, the newest first, narrowed by whatever is given (§11)."""
    statement = (
        select(t.postings, t.meters.c.name, t.meters.c.account_id, t.orders.c.number)
        .join(t.meters, t.meters.c.id == t.postings.c.meter_id)
        .outerjoin(t.order_lines, t.order_lines.c.id == t.postings.c.order_line_id)
        .outerjoin(t.orders, t.orders.c.id == t.order_lines.c.order_id)
        .order_by(t.postings.c.id.desc())
        .limit(limit)
    )
    for column, wanted in (
        (t.meters.c.account_id, account_id),
        (t.meters.c.name, meter),
        (t.postings.c.examination_id, examination_id),
    ):
        if wanted is not None:
            statement = statement.where(column == wanted)
    rows = view.connection.execute(statement).all()
    legs = _entries(view, [row.id for row in rows])
    return [_posting(row, legs.get(row.id, [])) for row in rows]


_IDS_AT_ONCE = 5_000
"""Ids in one statement: databases have a limit on parameters."""


def _entries(view: SqlView, posting_ids: Sequence[int]) -> dict[int, list[EntryRow]]:
    found: dict[int, list[EntryRow]] = {}
    e = t.entries.c
    for start in range(0, len(posting_ids), _IDS_AT_ONCE):
        wanted = posting_ids[start : start + _IDS_AT_ONCE]
        statement = select(t.entries).where(e.posting_id.in_(wanted))
        for row in view.connection.execute(statement.order_by(e.posting_id, e.line_no)):
            leg = EntryRow(account=row.account, package_id=row.package_id, amount=row.amount)
            found.setdefault(row.posting_id, []).append(leg)
    return found


def _posting(row: Row[Any], legs: Sequence[EntryRow]) -> PostingRow:
    return PostingRow(
        id=row.id,
        account_id=row.account_id,
        meter=row.name,
        kind=row.kind,
        effective_at=row.effective_at,
        recorded_at=row.recorded_at,
        examination_id=row.examination_id,
        order_no=row.number,
        hold_key=row.hold_key,
        entries=tuple(legs),
    )


def holds(
    view: SqlView, *, account_id: int | None, product: str | None, pending_only: bool, limit: int
) -> list[HoldRow]:
    """The latest `limit` holds, the newest first."""
    now, h = view.clock(), t.holds.c
    statement = (
        select(t.holds, t.meters.c.name, t.meters.c.account_id)
        .join(t.meters, t.meters.c.id == h.meter_id)
        .order_by(h.id.desc())
        .limit(limit)
    )
    if account_id is not None:
        statement = statement.where(t.meters.c.account_id == account_id)
    if product is not None:
        statement = statement.where(t.meters.c.name == AI_PREFIX + product)
    if pending_only:
        statement = statement.where(h.state == HoldState.PENDING, h.expires_at > now)
    return [_hold(row, now) for row in view.connection.execute(statement)]


def _hold(row: Row[Any], now: Instant) -> HoldRow:
    over = row.state == HoldState.PENDING and now >= row.expires_at
    return HoldRow(
        account_id=row.account_id,
        meter=row.name,
        key=row.key,
        units=row.units,
        state=HoldState.EXPIRED if over else HoldState(row.state),
        posted=row.posted,
        held_at=row.held_at,
        expires_at=row.expires_at,
        settled_at=row.expires_at if over else row.settled_at,
    )


def episodes(view: SqlView, account_id: int, *, limit: int) -> list[EpisodeRow]:
    """The latest `limit` episodes of an account as booked, the newest first."""
    statement = (
        select(t.episodes, t.meters.c.name)
        .join(t.meters, t.meters.c.id == t.episodes.c.meter_id)
        .where(t.meters.c.account_id == account_id)
        .order_by(t.episodes.c.id.desc())
        .limit(limit)
    )
    return [
        EpisodeRow(
            meter=row.name,
            started_at=row.started_at,
            deadline=row.deadline,
            closed_at=row.closed_at,
        )
        for row in view.connection.execute(statement)
    ]


def notices(
    view: SqlView,
    *,
    account_id: int | None,
    kind: str | None,
    undelivered_only: bool,
    limit: int,
) -> list[NoticeRow]:
    """The latest `limit` notices, the newest first."""
    n = t.notices.c
    statement = select(t.notices).order_by(n.id.desc()).limit(limit)
    if account_id is not None:
        statement = statement.where(n.account_id == account_id)
    if kind is not None:
        statement = statement.where(n.kind == kind)
    if undelivered_only:
        statement = statement.where(n.delivered_at.is_(None))
    return [
        NoticeRow(id=row.id, notice=notice_of(row), delivered_at=row.delivered_at)
        for row in view.connection.execute(statement)
    ]


def actions(view: SqlView, *, limit: int) -> list[Action]:
    """The latest `limit` acts of operators, the newest first."""
    a = t.operator_actions.c
    statement = select(t.operator_actions).order_by(a.id.desc()).limit(limit)
    return [
        Action(
            acted_at=row.acted_at,
            actor=row.actor,
            action=row.action,
            subject=row.subject,
            reason=row.reason,
        )
        for row in view.connection.execute(statement)
    ]
