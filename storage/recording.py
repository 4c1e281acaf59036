"""Persists what a book decided: one fact, one or two statements."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select, update

from quota.facts import (
    Charged,
    EpisodeClosed,
    EpisodeOpened,
    Fact,
    LevelMoved,
    OwedSettled,
    PackageActivated,
    PackageEnded,
    Posted,
)
from quota.ledger import Entry, LedgerAccount, Meter, Posting
from quota.time import Instant
from storage import recording_charge, recording_charges, recording_rare
from storage import tables as t
from storage.recording_meter import MOVE_REMAINING, SAVE_METER, saved

_ADD_POSTING = insert(t.postings)
_ADD_ENTRY = insert(t.entries)
_ADD_CHARGE = insert(t.charges)
_ADD_LEVEL_MOVE = insert(t.level_moves)
_ADD_EPISODE = insert(t.episodes)


def record(connection: Connection, meter: Meter, facts: Sequence[Fact]) -> None:
    """Persist what a book decided: the journal, and the meter as it now stands."""
    charges, others = recording_charges.split(facts)
    charge = recording_charge.charge_of(facts)
    if len(charges) > 1:
        _record(connection, meter, others)
        recording_charges.record(connection, meter, charges)
        connection.execute(SAVE_METER, saved(meter))
    elif charge is not None and connection.dialect.name == "postgresql":
        recording_charge.record(connection, meter, *charge)
        _record(connection, meter, facts[len(charge) :])
    else:
        _record(connection, meter, facts)
        connection.execute(SAVE_METER, saved(meter))


def _record(connection: Connection, meter: Meter, facts: Sequence[Fact]) -> None:
    for fact in facts:
        match fact:
            case Posted(posting=posting):
                _add_posting(connection, meter, posting)
            case Charged():
                _add_charge(connection, meter, fact)
            case OwedSettled():
                _settle(connection, meter, fact)
            case PackageActivated(package_id=package_id, activated_at=activated_at):
                _set_package(connection, package_id, activated_at=activated_at)
            case LevelMoved(delta=delta, moved_at=moved_at):
                connection.execute(
                    _ADD_LEVEL_MOVE,
                    {"meter_id": meter.id, "delta": delta, "moved_at": moved_at},
                )
            case PackageEnded(package_id=package_id, ended_at=ended_at):
                ends = ("ended_at", "voided_at") if fact.voided else ("ended_at",)
                _set_package(connection, package_id, **dict.fromkeys(ends, ended_at))
            case EpisodeOpened(episode=episode):
                connection.execute(
                    _ADD_EPISODE,
                    {
                        "meter_id": meter.id,
                        "started_at": episode.started_at,
                        "deadline": episode.deadline,
                    },
                )
            case EpisodeClosed(closed_at=closed_at):
                _close_episode(connection, meter, closed_at)
            case _:
                recording_rare.record(connection, meter, fact)


def _add_posting(connection: Connection, meter: Meter, posting: Posting) -> None:
    result = connection.execute(
        _ADD_POSTING,
        {
            "meter_id": meter.id,
            "kind": posting.kind,
            "effective_at": posting.effective_at,
            "recorded_at": posting.recorded_at,
            "examination_id": posting.examination_id,
            "order_line_id": posting.order_line_id,
            "hold_key": posting.hold_key,
        },
    )
    assert result.inserted_primary_key is not None
    posting_id = result.inserted_primary_key[0]
    connection.execute(
        _ADD_ENTRY,
        [
            {
                "posting_id": posting_id,
                "line_no": line_no,
                "account": entry.account,
                "package_id": entry.package_id,
                "amount": entry.amount,
            }
            for line_no, entry in enumerate(posting.entries)
        ],
    )
    for entry in posting.entries:
        _move_remaining(connection, entry)


def _move_remaining(connection: Connection, entry: Entry) -> None:
    if entry.account is LedgerAccount.PACKAGE:
        connection.execute(MOVE_REMAINING, {"package_id": entry.package_id, "amount": entry.amount})


def _add_charge(connection: Connection, meter: Meter, charged: Charged) -> None:
    connection.execute(
        _ADD_CHARGE,
        {
            "meter_id": meter.id,
            "examination_id": charged.examination_id,
            "state": charged.state,
            "package_id": charged.package_id,
            "charged_at": charged.charged_at,
        },
    )


def _settle(connection: Connection, meter: Meter, settled: OwedSettled) -> None:
    oldest = (
        select(t.charges.c.id)
        .where(t.charges.c.meter_id == meter.id, t.charges.c.state == "owed")
        .order_by(t.charges.c.id)
        .limit(settled.count)
    )
    result = connection.execute(
        update(t.charges)
        .where(t.charges.c.id.in_(oldest))
        .values(state="funded", package_id=settled.package_id, settled_at=settled.settled_at)
    )
    assert result.rowcount == settled.count, "owed charges and ARREARS differ"


def _set_package(connection: Connection, package_id: int, **instants: Instant) -> None:
    connection.execute(update(t.packages).where(t.packages.c.id == package_id).values(instants))


def _close_episode(connection: Connection, meter: Meter, closed_at: Instant) -> None:
    connection.execute(
        update(t.episodes)
        .where(t.episodes.c.meter_id == meter.id, t.episodes.c.closed_at.is_(None))
        .values(closed_at=closed_at)
    )
