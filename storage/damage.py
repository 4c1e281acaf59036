"""What is known to be damaged, and checking on demand what the scrubber comes to by itself."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from quota.time import Instant
from storage import tables as t
from storage.archive import Archive
from storage.archive.checking import Expected, check
from storage.ledger import SqlLedger
from storage.scrub import Position, expected_of, following, last_round, note_verdicts
from storage.view import SqlView

_OBJECTS_AT_ONCE = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Damaged:
    """An object on record that is missing, unreadable or not what was put."""

    object_key: str
    examination_id: str
    damage: str
    found_at: Instant
    seen_at: Instant


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    """The scrubber's latest round."""

    began_at: Instant
    ended_at: Instant | None
    objects: int
    bytes: int
    damaged: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Overview:
    """Everything known to be damaged, the latest found first, and how far the scrubber is."""

    damaged: tuple[Damaged, ...]
    round: Round | None


def overview(view: SqlView) -> Overview:
    """What is known now."""
    rows = view.connection.execute(
        select(t.damaged_objects).order_by(
            t.damaged_objects.c.found_at.desc(), t.damaged_objects.c.object_key
        )
    )
    last = view.connection.execute(last_round()).one_or_none()
    return Overview(
        damaged=tuple(Damaged(**row._asdict()) for row in rows),
        round=None
        if last is None
        else Round(
            began_at=last.began_at,
            ended_at=last.ended_at,
            objects=last.objects,
            bytes=last.bytes,
            damaged=last.damaged,
        ),
    )


def damaged_count(view: SqlView) -> int:
    """How many objects are known to be damaged."""
    return view.connection.execute(select(func.count()).select_from(t.damaged_objects)).scalar_one()


def round_began(view: SqlView) -> Instant | None:
    """When the scrubber's latest round began."""
    last = view.connection.execute(last_round()).one_or_none()
    return None if last is None else last.began_at


def objects_of(view: SqlView, examination_ids: Collection[str] | None) -> int:
    """How many instances these examinations have, or all; what is set aside not counted."""
    total = select(func.coalesce(func.sum(t.examinations.c.instances), 0))
    if examination_ids is not None:
        total = total.where(t.examinations.c.id.in_(examination_ids))
    return int(view.connection.execute(total).scalar_one())


def check_now(
    ledger: SqlLedger, archive: Archive, examination_ids: Sequence[str] | None
) -> Iterator[int]:
    """Check the objects of these examinations, or of all; yields each object's size.

    What is found goes on record, batch by batch. Raises ArchiveUnavailable, LedgerUnavailable.
    """
    for batch in _batches(ledger, examination_ids):
        infos = archive.infos([one.key for one in batch])
        verdicts = []
        for expected in batch:
            checking = check(archive, expected, infos.get(expected.key))
            while True:
                try:
                    next(checking)
                except StopIteration as done:
                    verdicts.append(done.value)
                    break
            yield expected.size_bytes
        with ledger.begin() as work:
            note_verdicts(work, verdicts)
            work.commit()


def _batches(ledger: SqlLedger, examination_ids: Sequence[str] | None) -> Iterator[list[Expected]]:
    if examination_ids is None:
        position = Position()
        while True:
            with ledger.read() as view:
                batch = following(view, position, limit=_OBJECTS_AT_ONCE)
            if not batch:
                return
            position = Position(examination_id=batch[-1].examination_id, object_key=batch[-1].key)
            yield batch
    for examination_id in examination_ids:
        after = ""
        while True:
            with ledger.read() as view:
                batch = expected_of(view, examination_id, after=after, limit=_OBJECTS_AT_ONCE)
            if not batch:
                break
            after = batch[-1].key
            yield batch
