"""Deletes an examination: rows and bytes in one transaction, the objects after it (CAP-2, §8)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, insert, select, update

from quota import service
from quota.retention import ended
from quota.time import Instant
from storage import tables as t
from storage.archive import Archive
from storage.errors import NotFound
from storage.sweep import unnamed
from storage.view import SqlView
from storage.work import SqlWork


@dataclass(frozen=True, kw_only=True, slots=True)
class Deleted:
    """What was deleted. The charge, if there is one, stands (ADM-5)."""

    examination_id: str
    instances: int
    bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Retained:
    """Nothing was deleted: the examination is to be kept until then (None: for as long as the
    account has capacity)."""

    until: Instant | None


def delete_examination(
    work: SqlWork, examination_id: str, *, actor: str, reason: str, override: bool
) -> Deleted | Retained:
    """Make an examination unreadable and free its bytes. Commit after Deleted.

    Never refused by quota. Before the end of retention only with `override`; either way the act
    is journaled with who and why. The examination itself stays on record with its charge's
    history, under a new generation. Raises NotFound.
    """
    gone = NotFound(f"there is no examination {examination_id}, or it is deleted already")
    owner = select(t.examinations.c.account_id).where(t.examinations.c.id == examination_id)
    account_id = work.connection.execute(owner).scalar_one_or_none()
    if account_id is None:
        raise gone
    # The meter before any row, as whoever files does it (§13); only then is the row final.
    level = service.open_level(work, work.account(account_id))
    statement = select(t.examinations).where(t.examinations.c.id == examination_id)
    row = work.connection.execute(statement.with_for_update()).one()
    if row.deleted_at is not None:
        raise gone
    over = ended(row.retained_until, capacity_active=level.meter.active_quantity > 0, at=level.at)
    if not override and not over:
        return Retained(until=row.retained_until)
    _drop_instances(work, examination_id, at=level.at)
    work.connection.execute(
        update(t.examinations)
        .where(t.examinations.c.id == examination_id)
        .values(
            generation=t.examinations.c.generation + 1,
            generation_at=level.at,
            instances=0,
            bytes=0,
            completed_at=level.at,
            deleted_at=level.at,
        )
    )
    service.move_level(work, level, -row.bytes)
    work.note_action(actor=actor, action="exam_delete", subject=examination_id, reason=reason)
    return Deleted(examination_id=examination_id, instances=row.instances, bytes=row.bytes)


def objects_to_delete(view: SqlView, *, limit: int) -> list[tuple[int, str]]:
    """(row id, object key) of objects that no row names any more, the oldest first."""
    statement = select(t.deleted_objects).order_by(t.deleted_objects.c.id).limit(limit)
    return [(row.id, row.object_key) for row in view.connection.execute(statement)]


def delete_objects(work: SqlWork, archive: Archive, objects: list[tuple[int, str]]) -> None:
    """Remove the objects, then their place in the queue; doing it twice changes nothing.

    A key that a row names again is spared: the same bytes were set aside anew meanwhile.
    """
    archive.discard(sorted(unnamed(work, [key for _, key in objects])))
    done = [row_id for row_id, _ in objects]
    work.connection.execute(delete(t.deleted_objects).where(t.deleted_objects.c.id.in_(done)))


def _drop_instances(work: SqlWork, examination_id: str, *, at: Instant) -> None:
    work.connection.execute(
        delete(t.damaged_objects).where(t.damaged_objects.c.examination_id == examination_id)
    )
    for table in (t.instances, t.conflicts):
        keys = work.connection.execute(
            delete(table)
            .where(table.c.examination_id == examination_id)
            .returning(table.c.object_key)
        ).scalars()
        queued = [{"object_key": key, "deleted_at": at} for key in keys]
        if queued:
            work.connection.execute(insert(t.deleted_objects), queued)
