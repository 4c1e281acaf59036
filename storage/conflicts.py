"""What was set aside: other content under a known SOP Instance UID, until somebody decides.

The first filed stays until an operator accepts the newcomer in its place or discards it. Decided
rows stay: the same bytes sent again are known, and nothing is stored. What nobody decided on goes
when it is too old or too much; its row goes too, so that a resend is set aside anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update

from quota import service
from quota.action import By
from quota.order import Rejected
from quota.time import MICROSECONDS_PER_SECOND, Instant
from storage import tables as t
from storage.errors import NotFound
from storage.placing import Difference
from storage.work import SqlWork


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How long (µs) and how much (bytes) may wait for a decision."""

    age_max: Instant = 90 * 86_400 * MICROSECONDS_PER_SECOND
    bytes_max: int = 50 * 1024**3


KEEPER = "keeper"
"""Who acts where time or room ran out."""


class Resolution(StrEnum):
    """What was decided on a newcomer."""

    ACCEPTED = "accepted"
    DISCARDED = "discarded"


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolved:
    """A newcomer was decided on; `grown_bytes` is by how much its examination has grown."""

    conflict_id: int
    examination_id: str
    sop_instance_uid: str
    resolution: Resolution
    grown_bytes: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Expired:
    """A newcomer was removed undecided: for its age, or for room."""

    examination_id: str
    bytes: int
    reason: str


def accept(work: SqlWork, conflict_id: int, *, by: By) -> Resolved | Rejected:
    """Put the newcomer in the place of the first filed, which is discarded. Commit after Resolved.

    The account's level moves by the difference of sizes in the same transaction (CAP-1, CAP-2);
    quota never refuses it (CAP-4). Raises NotFound.
    """
    # The meter before any row, as whoever files does it (§13); only then is the row final.
    level = service.open_level(work, work.account(_account_id(work, conflict_id)))
    newcomer = _locked(work, conflict_id)
    key = {
        "institution_id": newcomer.institution_id,
        "sop_instance_uid": newcomer.sop_instance_uid,
    }
    of_instance = [t.instances.c[name] == value for name, value in key.items()]
    first = work.connection.execute(select(t.instances).where(*of_instance).with_for_update()).one()
    if not _owns_study(work, newcomer):
        return Rejected(
            rule="KEY-1",
            message="the newcomer's study belongs to another examination; discard it, or delete "
            "that examination first",
        )
    work.connection.execute(
        update(t.instances).where(*of_instance).values(**_content(newcomer, instead_of=first))
    )
    _decide(work, conflict_id, Resolution.ACCEPTED, at=level.at)
    _discard_first(work, first, newcomer, at=level.at)
    _compare_others(work, newcomer)
    grown = newcomer.size_bytes - first.size_bytes
    work.connection.execute(
        update(t.examinations)
        .where(t.examinations.c.id == first.examination_id)
        .values(bytes=t.examinations.c.bytes + grown)
    )
    service.move_level(work, level, grown)
    _journal(work, "conflict_accept", newcomer, by)
    return _resolved(newcomer, Resolution.ACCEPTED, grown_bytes=grown)


def discard(work: SqlWork, conflict_id: int, *, by: By) -> Resolved:
    """Remove the newcomer. Commit after it. Raises NotFound."""
    newcomer = _locked(work, conflict_id)
    at = work.clock()
    _decide(work, conflict_id, Resolution.DISCARDED, at=at)
    _queue(work, newcomer.object_key, at=at)
    _journal(work, "conflict_discard", newcomer, by)
    return _resolved(newcomer, Resolution.DISCARDED)


def expire(work: SqlWork, limits: Limits, *, limit: int) -> list[Expired]:
    """Remove up to `limit` undecided newcomers: those too old, and the oldest of too much.

    Journaled, charged to nobody. Commit where the list is not empty.
    """
    now = work.clock()
    waiting = t.conflicts.c.resolved_at.is_(None)
    total = work.connection.execute(
        select(func.coalesce(func.sum(t.conflicts.c.size_bytes), 0)).where(waiting)
    ).scalar_one()
    oldest = select(t.conflicts).where(waiting).order_by(t.conflicts.c.filed_at, t.conflicts.c.id)
    expired = []
    for row in work.connection.execute(oldest.limit(limit)).all():
        too_old = row.filed_at <= now - limits.age_max
        if not too_old and total <= limits.bytes_max:
            break
        gone = delete(t.conflicts).where(t.conflicts.c.id == row.id, waiting)
        if work.connection.execute(gone).rowcount == 0:
            continue  # somebody decided on it a moment ago
        _queue(work, row.object_key, at=now)
        total -= row.size_bytes
        reason = "age" if too_old else "room"
        _journal(work, "conflict_expire", row, By(actor=KEEPER, reason=reason))
        expired.append(
            Expired(examination_id=row.examination_id, bytes=row.size_bytes, reason=reason)
        )
    return expired


def _account_id(work: SqlWork, conflict_id: int) -> int:
    owner = (
        select(t.examinations.c.account_id)
        .join(t.conflicts, t.conflicts.c.examination_id == t.examinations.c.id)
        .where(t.conflicts.c.id == conflict_id)
    )
    account_id = work.connection.execute(owner).scalar_one_or_none()
    if account_id is None:
        raise _no_such(conflict_id)
    return int(account_id)


def _locked(work: SqlWork, conflict_id: int) -> Row[Any]:
    row = work.connection.execute(
        select(t.conflicts)
        .where(t.conflicts.c.id == conflict_id, t.conflicts.c.resolved_at.is_(None))
        .with_for_update()
    ).one_or_none()
    if row is None:
        raise _no_such(conflict_id)
    return row


def _no_such(conflict_id: int) -> NotFound:
    return NotFound(f"there is no conflict {conflict_id} that waits for a decision")


def _owns_study(work: SqlWork, newcomer: Row[Any]) -> bool:
    """KEY-1: whether the newcomer's study is, or becomes, its examination's."""
    if newcomer.study_instance_uid is None:
        return True  # set aside before this was noted: the first filed's is kept
    key = {
        "institution_id": newcomer.institution_id,
        "study_instance_uid": newcomer.study_instance_uid,
    }
    work.insert_missing(t.examination_studies, {**key, "examination_id": newcomer.examination_id})
    owner = select(t.examination_studies.c.examination_id).filter_by(**key)
    return bool(work.connection.execute(owner).scalar_one() == newcomer.examination_id)


def _content(newcomer: Row[Any], *, instead_of: Row[Any]) -> dict[str, Any]:
    """The columns of an instance that a newcomer brings."""
    names = ("study_instance_uid", "series_instance_uid", "sop_class_uid")
    return {
        **{name: getattr(newcomer, name) or getattr(instead_of, name) for name in names},
        "device_id": newcomer.device_id,
        "transfer_syntax_uid": newcomer.transfer_syntax_uid,
        "sha256": newcomer.sha256,
        "object_key": newcomer.object_key,
        "size_bytes": newcomer.size_bytes,
        "fingerprint": newcomer.fingerprint,
        "filed_at": newcomer.filed_at,
    }


def _discard_first(work: SqlWork, first: Row[Any], newcomer: Row[Any], *, at: Instant) -> None:
    """Keep on record that its bytes were given up, and remove its object."""
    fate = {"resolution": Resolution.DISCARDED, "resolved_at": at}
    known = (
        t.conflicts.c.institution_id == first.institution_id,
        t.conflicts.c.sop_instance_uid == first.sop_instance_uid,
        t.conflicts.c.sha256 == first.sha256,
    )
    if work.connection.execute(update(t.conflicts).where(*known).values(**fate)).rowcount == 0:
        columns = t.conflicts.columns.keys()
        values = {name: value for name, value in first._asdict().items() if name in columns}
        work.connection.execute(insert(t.conflicts), {**values, **fate, "kind": newcomer.kind})
    work.connection.execute(
        delete(t.damaged_objects).where(t.damaged_objects.c.object_key == first.object_key)
    )
    _queue(work, first.object_key, at=at)


def _compare_others(work: SqlWork, accepted: Row[Any]) -> None:
    """Other newcomers under the UID differ from the accepted one now."""
    others = (
        t.conflicts.c.institution_id == accepted.institution_id,
        t.conflicts.c.sop_instance_uid == accepted.sop_instance_uid,
        t.conflicts.c.resolved_at.is_(None),
    )
    same_syntax = t.conflicts.c.transfer_syntax_uid == accepted.transfer_syntax_uid
    for kind, so in ((Difference.CONFLICT, same_syntax), (Difference.VARIANT, ~same_syntax)):
        work.connection.execute(update(t.conflicts).where(*others, so).values(kind=kind))


def _decide(work: SqlWork, conflict_id: int, resolution: Resolution, *, at: Instant) -> None:
    work.connection.execute(
        update(t.conflicts)
        .where(t.conflicts.c.id == conflict_id)
        .values(resolution=resolution, resolved_at=at)
    )


def _queue(work: SqlWork, object_key: str, *, at: Instant) -> None:
    work.connection.execute(insert(t.deleted_objects), {"object_key": object_key, "deleted_at": at})


def _journal(work: SqlWork, action: str, newcomer: Row[Any], by: By) -> None:
    subject = f"{newcomer.examination_id}/{newcomer.id}"
    work.note_action(actor=by.actor, action=action, subject=subject, reason=by.reason)


def _resolved(newcomer: Row[Any], resolution: Resolution, *, grown_bytes: int = 0) -> Resolved:
    return Resolved(
        conflict_id=newcomer.id,
        examination_id=newcomer.examination_id,
        sop_instance_uid=newcomer.sop_instance_uid,
        resolution=resolution,
        grown_bytes=grown_bytes,
    )
