"""Persists the facts that are not on an examination's way: corrections, holds, notices."""

from __future__ import annotations

import json

from sqlalchemy import Connection, insert, select, update

from quota.facts import (
    ChargeReversed,
    EpisodeMoved,
    Fact,
    HoldPlaced,
    HoldSettled,
    NoticeRaised,
    OwedWrittenOff,
)
from quota.hold import Hold
from quota.ledger import Meter
from quota.notice import Notice
from storage import tables as t
from storage.dialect import insert_missing


def record(connection: Connection, meter: Meter, fact: Fact) -> None:
    """Persist one fact about a meter."""
    match fact:
        case NoticeRaised(notice=notice):
            add_notice(connection, notice)
        case HoldPlaced(hold=hold):
            _add_hold(connection, hold)
        case HoldSettled():
            _settle_hold(connection, meter, fact)
        case ChargeReversed():
            _reverse_charge(connection, meter, fact)
        case OwedWrittenOff():
            _write_off(connection, meter, fact)
        case EpisodeMoved():
            _move_episode(connection, meter, fact)
        case _:
            raise AssertionError(f"nobody persists {type(fact).__name__}")


def add_notice(connection: Connection, notice: Notice) -> None:
    """Put a notice into the outbox, once per key (§10)."""
    insert_missing(
        connection,
        t.notices,
        {
            "account_id": notice.account_id,
            "meter": notice.meter,
            "kind": notice.kind,
            "key": notice.key,
            "raised_at": notice.raised_at,
            "details": json.dumps(dict(notice.details), sort_keys=True),
        },
    )


def _add_hold(connection: Connection, hold: Hold) -> None:
    statement = (
        insert(t.holds)
        .values(
            meter_id=hold.meter_id,
            key=hold.key,
            units=hold.units,
            state=hold.state,
            held_at=hold.held_at,
            expires_at=hold.expires_at,
        )
        .returning(t.holds.c.id)
    )
    hold_id = connection.execute(statement).scalar_one()
    shares = [
        {"hold_id": hold_id, "package_id": share.package.id, "units": share.units}
        for share in hold.shares
    ]
    connection.execute(insert(t.hold_shares), shares)


def _settle_hold(connection: Connection, meter: Meter, settled: HoldSettled) -> None:
    result = connection.execute(
        update(t.holds)
        .where(
            t.holds.c.meter_id == meter.id,
            t.holds.c.key == settled.hold_key,
            t.holds.c.state == "pending",
        )
        .values(state=settled.state, posted=settled.posted, settled_at=settled.settled_at)
    )
    assert result.rowcount == 1, "a hold ends once"


def _reverse_charge(connection: Connection, meter: Meter, fact: ChargeReversed) -> None:
    result = connection.execute(
        update(t.charges)
        .where(
            t.charges.c.meter_id == meter.id,
            t.charges.c.examination_id == fact.examination_id,
            t.charges.c.state.in_(("funded", "owed")),
        )
        .values(state="reversed", ended_at=fact.reversed_at)
    )
    assert result.rowcount == 1, "one charge stands"


def _write_off(connection: Connection, meter: Meter, fact: OwedWrittenOff) -> None:
    oldest = (
        select(t.charges.c.id)
        .where(t.charges.c.meter_id == meter.id, t.charges.c.state == "owed")
        .order_by(t.charges.c.id)
        .limit(fact.count)
    )
    result = connection.execute(
        update(t.charges)
        .where(t.charges.c.id.in_(oldest))
        .values(state="written_off", ended_at=fact.written_off_at)
    )
    assert result.rowcount == fact.count, "owed charges and ARREARS differ"


def _move_episode(connection: Connection, meter: Meter, fact: EpisodeMoved) -> None:
    open_one = (
        update(t.episodes)
        .where(t.episodes.c.meter_id == meter.id, t.episodes.c.closed_at.is_(None))
        .values(started_at=fact.after.started_at, deadline=fact.after.deadline)
        .returning(t.episodes.c.id)
    )
    connection.execute(
        insert(t.episode_moves).values(
            episode_id=connection.execute(open_one).scalar_one(),
            started_before=fact.before.started_at,
            deadline_before=fact.before.deadline,
            started_at=fact.after.started_at,
            deadline=fact.after.deadline,
            moved_at=fact.moved_at,
        )
    )
