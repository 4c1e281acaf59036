"""Reads the archive again, a little at a time: every object within 30 days.

A round goes through the examinations by id, and through the objects of each by key. How far it has
come is on record, so that a restart goes on; what it found stays on record until it is whole again
or gone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, delete, func, insert, literal_column, select, union_all, update

from quota.time import MICROSECONDS_PER_SECOND, Instant
from storage import tables as t
from storage.archive import Archive, ObjectInfo
from storage.archive.checking import Expected, Verdict, check
from storage.ledger import SqlLedger
from storage.view import SqlView
from storage.work import SqlWork

ROUND_S = 30 * 86_400
_ROUND = ROUND_S * MICROSECONDS_PER_SECOND
BYTES_PER_S_MIN = 1024 * 1024
"""A small archive is through in hours, and still nobody's disk notices."""
_AHEAD = 1.25
"""By how much faster than needed: what is added meanwhile, and time that was lost."""
_OBJECTS_AT_ONCE = 200
_STEPS_UNTIL_NOTED = 30
_KIND = "scrub"


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """Past this object of this examination; both are empty at the beginning."""

    examination_id: str = ""
    object_key: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scrubbed:
    """What one step did."""

    bytes: int
    damaged: tuple[Verdict, ...]


class Scrubber:
    """The rounds of one keeper. A step ends when its bytes are used up, within an object too."""

    def __init__(self, ledger: SqlLedger, archive: Archive) -> None:
        self._ledger = ledger
        self._archive = archive
        self._round_id: int | None = None
        self._position = Position()
        self._ahead: deque[tuple[Expected, ObjectInfo | None]] = deque()
        self._open: Generator[int, None, Verdict] | None = None
        self._verdicts: list[Verdict] = []
        self._unnoted_bytes = 0
        self._steps = 0
        self._budget = 0.0
        self._bytes_per_s = float(BYTES_PER_S_MIN)

    def step(self, seconds: float) -> Scrubbed:
        """Check what is due in so many seconds. Raises ArchiveUnavailable, LedgerUnavailable."""
        if self._round_id is None and not self._begin():
            return Scrubbed(bytes=0, damaged=())
        # What a big piece took too much is missing from the next steps.
        self._budget = min(self._budget, 0.0) + self._bytes_per_s * seconds
        read = 0
        ended = False
        while self._budget > 0 and not ended:
            taken = self._read_on()
            ended = taken is None
            read += taken or 0
            self._budget -= taken or 0
        self._unnoted_bytes += read
        self._steps += 1
        damaged = tuple(verdict for verdict in self._verdicts if verdict.damage)
        if damaged or ended or self._steps >= _STEPS_UNTIL_NOTED:
            damaged = self._note(ended=ended)
        return Scrubbed(bytes=read, damaged=damaged)

    def _read_on(self) -> int | None:
        """Read one piece; its bytes, or None where the round is through."""
        if self._open is None:
            if not self._ahead and not self._look_ahead():
                return None
            self._open = check(self._archive, *self._ahead[0])
        try:
            return next(self._open)
        except StopIteration as done:
            verdict: Verdict = done.value
        except BaseException:
            self._open = None  # an archive that is down: the same object again
            raise
        self._open = None
        self._ahead.popleft()
        self._verdicts.append(verdict)
        expected = verdict.expected
        self._position = Position(examination_id=expected.examination_id, object_key=expected.key)
        return 0

    def _begin(self) -> bool:
        """Go on with the round on record, or begin one where it is time."""
        with self._ledger.begin() as work:
            last = work.connection.execute(last_round()).one_or_none()
            now = work.clock()
            self._bytes_per_s = bytes_per_s(work)
            if last is not None and last.ended_at is None:
                self._round_id = last.id
                self._position = Position(
                    examination_id=last.examination_id, object_key=last.object_key
                )
                return True
            if last is not None and now < last.began_at + _ROUND:
                return False
            self._round_id = work.insert_new(t.archive_rounds, {"kind": _KIND, "began_at": now})
            self._position = Position()
            work.commit()
        return True

    def _look_ahead(self) -> bool:
        with self._ledger.read() as view:
            expected = following(view, self._position, limit=_OBJECTS_AT_ONCE)
        infos = self._archive.infos([one.key for one in expected])
        self._ahead.extend((one, infos.get(one.key)) for one in expected)
        return bool(expected)

    def _note(self, *, ended: bool) -> tuple[Verdict, ...]:
        """Write down how far the round has come and what it found; what of it is damage."""
        with self._ledger.begin() as work:
            damaged = note_verdicts(work, self._verdicts)
            rounds = t.archive_rounds.c
            work.connection.execute(
                update(t.archive_rounds)
                .where(rounds.id == self._round_id)
                .values(
                    examination_id=self._position.examination_id,
                    object_key=self._position.object_key,
                    objects=rounds.objects + len(self._verdicts),
                    bytes=rounds.bytes + self._unnoted_bytes,
                    damaged=rounds.damaged + len(damaged),
                    ended_at=work.clock() if ended else None,
                )
            )
            self._bytes_per_s = bytes_per_s(work)
            work.commit()
        self._verdicts = []
        self._unnoted_bytes = self._steps = 0
        if ended:
            self._round_id = None
        return damaged


def bytes_per_s(view: SqlView) -> float:
    """The pace that goes through everything on record in time."""
    stored = view.connection.execute(select(func.coalesce(func.sum(t.meters.c.stored), 0)))
    return max(float(BYTES_PER_S_MIN), int(stored.scalar_one()) * _AHEAD / ROUND_S)


def following(view: SqlView, position: Position, *, limit: int) -> list[Expected]:
    """The next objects on record after `position`, of one examination; none at the end."""
    examination_id, after = position.examination_id, position.object_key
    while True:
        if examination_id:
            found = expected_of(view, examination_id, after=after, limit=limit)
            if found:
                return found
        later = select(func.min(t.examinations.c.id)).where(
            t.examinations.c.id > examination_id, t.examinations.c.instances > 0
        )
        next_id = view.connection.execute(later).scalar_one()
        if next_id is None:
            return []
        examination_id, after = next_id, ""


def expected_of(
    view: SqlView, examination_id: str, *, after: str = "", limit: int
) -> list[Expected]:
    """The objects of an examination after one key, in the order of their keys: what is on record
    and what waits for a decision."""
    both = union_all(*(_objects(table, examination_id, after) for table in _TABLES)).subquery()
    rows = view.connection.execute(select(both).order_by(both.c.object_key).limit(limit))
    return [
        Expected(
            key=row.object_key,
            examination_id=row.examination_id,
            size_bytes=row.size_bytes,
            sha256=row.sha256,
            transfer_syntax_uid=row.transfer_syntax_uid,
            fingerprint=row.fingerprint,
        )
        for row in rows
    ]


_TABLES = (t.instances, t.conflicts)


def _objects(table: t.Table, examination_id: str, after: str) -> Select[Any]:
    names = (
        *("object_key", "examination_id", "size_bytes", "sha256"),
        *("transfer_syntax_uid", "fingerprint"),
    )
    statement = select(*(table.c[name] for name in names)).where(
        table.c.examination_id == examination_id, table.c.object_key > after
    )
    return statement if table is t.instances else statement.where(table.c.resolved_at.is_(None))


def note_verdicts(work: SqlWork, verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """Record damage, clear what is whole again, adopt fingerprints; returns the damaged.

    An object that no row names any more was deleted meanwhile: nothing is wrong with it.
    """
    now = work.clock()
    damaged = []
    for verdict in verdicts:
        expected = verdict.expected
        if not _named(work, expected):
            continue
        if verdict.damage is not None:
            damaged.append(verdict)
            _note_damage(work, verdict, at=now)
            continue
        _clear(work, expected.key)
        if verdict.fingerprint is not None:
            for table in _TABLES:
                work.connection.execute(
                    update(table)
                    .where(*_row_of(table, expected))
                    .values(fingerprint=verdict.fingerprint)
                )
    return tuple(damaged)


def _row_of(table: t.Table, expected: Expected) -> tuple[Any, ...]:
    return (
        table.c.examination_id == expected.examination_id,
        table.c.object_key == expected.key,
    )


def _named(work: SqlWork, expected: Expected) -> bool:
    return any(
        work.connection.execute(
            select(literal_column("1")).select_from(table).where(*_row_of(table, expected)).limit(1)
        ).scalar_one_or_none()
        for table in _TABLES
    )


def _note_damage(work: SqlWork, verdict: Verdict, *, at: Instant) -> None:
    key = {"object_key": verdict.expected.key}
    values = {"damage": verdict.damage, "seen_at": at}
    known = t.damaged_objects.c.object_key == verdict.expected.key
    again = update(t.damaged_objects).where(known).values(**values)
    if work.connection.execute(again).rowcount == 0:
        first = {**key, **values, "examination_id": verdict.expected.examination_id}
        work.connection.execute(insert(t.damaged_objects), {**first, "found_at": at})


def _clear(work: SqlWork, key: str) -> None:
    work.connection.execute(delete(t.damaged_objects).where(t.damaged_objects.c.object_key == key))


def last_round() -> Select[Any]:
    """The scrubber's latest round, ended or not."""
    return (
        select(t.archive_rounds)
        .where(t.archive_rounds.c.kind == _KIND)
        .order_by(t.archive_rounds.c.id.desc())
        .limit(1)
    )
