"""Files a batch of acknowledged instances in ONE transaction: rows, sizes, levels, refusals.

Order, always: object durable → rows committed → spool record released. Filing alone decides what
is the same again, what is a conflict, and what comes too late; the same batch again, after a COMMIT
of unknown outcome, changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from quota import service
from quota.account import EXAM, Plan
from quota.book import Book
from quota.service import Admitted
from quota.time import Instant
from storage import filing_rows as rows
from storage import refusals
from storage.admitting import Overtaken, add_examination, readmit
from storage.placing import (
    Arrival,
    Decision,
    Known,
    Verdict,
    being_deleted,
    decide,
    look,
    look_again,
    look_at_instances,
)
from storage.resolving import Examination
from storage.work import SqlWork

BATCH_MAX = 500
"""Records per transaction: others wait for its locks, and for its share of the log."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Filed:
    """The instance is on record; `admission` is set where filing it admitted its examination."""

    examination_id: str
    size_bytes: int
    admission: Admitted | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Same:
    """The instance was on record already, filed or set aside (§9)."""

    examination_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SetAside:
    """Another content under a known UID: kept in quarantine, shown to the operator."""

    examination_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Discarded:
    """Its examination was deleted after it was received; journaled."""

    examination_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Deferred:
    """Not now: its object is not where it belongs. Place it again."""

    examination_id: str


Filing: TypeAlias = Filed | Same | SetAside | Discarded | Deferred


def file_batch(
    work: SqlWork, arrivals: Sequence[Arrival], *, quiet_period: Instant
) -> list[Filing] | Overtaken:
    """Record up to `BATCH_MAX` arrivals; one answer each, in their order. `quiet_period` in µs.

    Commit, except after `Overtaken`: then roll back and place them again. What is `Deferred` stays
    in the spool. Raises NotFound where an institution is unknown.
    """
    assert len(arrivals) <= BATCH_MAX
    known = look(work, arrivals)
    meters = _Meters.locked(work, known)
    if not work.alone and not look_again(work, known, arrivals):
        return Overtaken()
    look_at_instances(work, known, arrivals)
    decided = list(zip(arrivals, decide(known, arrivals), strict=True))
    deferred = _misplaced(work, decided)
    due = [
        (arrival, decision) for n, (arrival, decision) in enumerate(decided) if n not in deferred
    ]
    filed = [(a, d) for a, d in due if d.verdict is Verdict.FILE]
    admissions = _admit(work, meters, filed)
    if admissions is None:
        return Overtaken()
    if not rows.add_instances(work, filed, filed_at=meters.level_instants()):
        return Overtaken()
    rows.set_aside(work, [(a, d) for a, d in due if d.verdict is Verdict.SET_ASIDE])
    rows.grow(work, filed, filed_at=meters.level_instants(), quiet_period=quiet_period)
    rows.discard(work, [d for _, d in due if d.verdict is Verdict.DISCARD])
    refusals.note_stored(work, [arrival.incoming for arrival, _ in filed])
    meters.move_levels(work, filed)
    return [
        Deferred(examination_id=decision.examination.id)
        if n in deferred
        else _answer(arrival, decision, admissions)
        for n, (arrival, decision) in enumerate(decided)
    ]


class _Meters:
    """The meters of a batch: every account's level, and `exam` where something is to be charged."""

    def __init__(self, levels: dict[int, Book], exams: dict[int, Book]) -> None:
        self.levels = levels
        self.exams = exams

    @classmethod
    def locked(cls, work: SqlWork, known: Known) -> _Meters:
        """Lock them in the one order: by account, `exam` first, and before any row (§13)."""
        accounts = {one.account_id for one in known.examinations.values()}
        charging = {
            one.account_id
            for one in known.examinations.values()
            if one.is_new and one.plan is Plan.PER_EXAM
        }
        levels: dict[int, Book] = {}
        exams: dict[int, Book] = {}
        for account_id in sorted(accounts):
            account = work.account(account_id)
            if account_id in charging:
                exams[account_id] = service.open_book(work, account, EXAM)
            levels[account_id] = service.open_level(work, account)
        return cls(levels, exams)

    def level_instants(self) -> dict[int, Instant]:
        """T of each account's level: when what is filed now is filed."""
        return {account_id: level.at for account_id, level in self.levels.items()}

    def move_levels(self, work: SqlWork, filed: Sequence[tuple[Arrival, Decision]]) -> None:
        """CAP-1: once per account, by the bytes of what is new."""
        added: Counter[int] = Counter()
        for arrival, decision in filed:
            added[decision.examination.account_id] += arrival.size_bytes
        for account_id in sorted(added):
            service.move_level(work, self.levels[account_id], added[account_id])


def _misplaced(work: SqlWork, decided: Sequence[tuple[Arrival, Decision]]) -> frozenset[int]:
    """Records whose objects are not where they belong, and those that count on such a one."""
    leaving = being_deleted(work, [decision for _, decision in decided])
    uids: set[tuple[int, str]] = set()
    found: set[int] = set()
    for n, (arrival, decision) in enumerate(decided):
        uid = arrival.incoming.institution_id, arrival.incoming.sop_instance_uid
        key = decision.object_key
        if uid in uids or (key is not None and (key != arrival.object_key or key in leaving)):
            uids.add(uid)
            found.add(n)
    return frozenset(found)


def _admit(
    work: SqlWork, meters: _Meters, filed: Sequence[tuple[Arrival, Decision]]
) -> dict[str, Admitted] | None:
    """Charge what no charge stands for: let in without the ledger, or reversed meanwhile.

    It was acknowledged, so it is owed whatever the state (design §7). None where a charge went
    while we waited for its examination's row.
    """
    admissions: dict[str, Admitted] = {}
    for arrival, decision in filed:
        examination = decision.examination
        if not examination.is_new or examination.id in admissions:
            continue
        account_id = examination.account_id
        if examination.plan is Plan.PER_EXAM and account_id not in meters.exams:
            return None
        admission = _charge(work, meters, examination)
        if examination.on_record:
            readmit(work, admission, provisional_at=arrival.received_at)
        elif not add_examination(
            work,
            arrival.incoming,
            admission,
            account_id=account_id,
            provisional_at=arrival.received_at,
        ):
            return None
        admissions[examination.id] = admission
    return admissions


def _charge(work: SqlWork, meters: _Meters, examination: Examination) -> Admitted:
    if examination.plan is Plan.PER_EXAM:
        return service.charge_arrived(work, meters.exams[examination.account_id], examination.id)
    return Admitted(
        examination_id=examination.id,
        admitted_at=meters.levels[examination.account_id].at,
        charge=None,
        retained_until=None,
    )


def _answer(arrival: Arrival, decision: Decision, admissions: dict[str, Admitted]) -> Filing:
    examination_id = decision.examination.id
    match decision.verdict:
        case Verdict.SAME:
            return Same(examination_id=examination_id)
        case Verdict.SET_ASIDE:
            return SetAside(examination_id=examination_id)
        case Verdict.DISCARD:
            return Discarded(examination_id=examination_id)
        case Verdict.FILE:
            return Filed(
                examination_id=examination_id,
                size_bytes=arrival.size_bytes,
                admission=admissions.pop(examination_id, None),
            )
