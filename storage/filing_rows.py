"""The rows of a batch, a statement or two for each kind, however many records it has."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from sqlalchemy import bindparam, case, insert, update

from quota.time import MICROSECONDS_PER_SECOND, Instant
from storage import tables as t
from storage.dialect import insert_all_missing
from storage.placing import Arrival, Decision
from storage.work import SqlWork

LATE_AFTER = 30 * 86_400 * MICROSECONDS_PER_SECOND
"""KEY-4: instances later than this after admission are listed for the operator, in µs."""

Pair: TypeAlias = tuple[Arrival, Decision]

_ADD_INSTANCES = insert(t.instances)
_GROW = (
    update(t.examinations)
    .where(t.examinations.c.id == bindparam("examination_id"))
    .values(
        instances=t.examinations.c.instances + bindparam("added"),
        bytes=t.examinations.c.bytes + bindparam("size_bytes"),
        quiet_until=case(
            (t.examinations.c.quiet_until > bindparam("until"), t.examinations.c.quiet_until),
            else_=bindparam("until"),
        ),
        completed_at=None,
        deleted_at=None,
    )
)
_COUNT_FINDINGS = (
    update(t.examination_findings)
    .where(
        t.examination_findings.c.examination_id == bindparam("of"),
        t.examination_findings.c.kind == bindparam("what"),
    )
    .values(
        instances=t.examination_findings.c.instances + bindparam("added"), last_at=bindparam("at")
    )
)


def add_instances(work: SqlWork, filed: Sequence[Pair], *, filed_at: Mapping[int, Instant]) -> bool:
    """Insert the instances; `filed_at` by account. False where one of them was added meanwhile."""
    if not filed:
        return True
    # Claims before instances, each in the order of its key: whoever waits for us in one of them
    # holds none that we come to later (§13).
    insert_all_missing(work.connection, t.examination_studies, _claims(filed))
    values = sorted(
        (
            {
                **_identity(arrival, decision),
                "filed_at": filed_at[decision.examination.account_id],
            }
            for arrival, decision in filed
        ),
        key=lambda row: (row["institution_id"], row["sop_instance_uid"]),
    )
    if work.alone:
        # None of them was there when we looked; to be told so costs as much again.
        work.connection.execute(_ADD_INSTANCES, values)
        return True
    return insert_all_missing(work.connection, t.instances, values) == len(values)


def set_aside(work: SqlWork, newcomers: Sequence[Pair]) -> None:
    """List newcomers in quarantine for the operator."""
    now = work.clock() if newcomers else 0
    values = [
        {**_identity(arrival, decision), "kind": decision.difference, "filed_at": now}
        for arrival, decision in newcomers
    ]
    insert_all_missing(work.connection, t.conflicts, values)


def grow(
    work: SqlWork,
    filed: Sequence[Pair],
    *,
    filed_at: Mapping[int, Instant],
    quiet_period: Instant,
) -> None:
    """Count the instances in their examinations, and what the operator should see (KEY-4)."""
    if not filed:
        return
    instances: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    times: dict[str, Instant] = {}
    findings: Counter[tuple[str, str]] = Counter()
    for arrival, decision in filed:
        examination = decision.examination
        instances[examination.id] += 1
        sizes[examination.id] += arrival.size_bytes
        times[examination.id] = filed_at[examination.account_id]
        for kind in _striking(arrival, decision):
            findings[examination.id, kind] += 1
    work.connection.execute(
        _GROW,
        [
            {
                "examination_id": examination_id,
                "added": instances[examination_id],
                "size_bytes": sizes[examination_id],
                "until": times[examination_id] + quiet_period,
            }
            for examination_id in sorted(instances)
        ],
    )
    _note(work, findings, times)


def discard(work: SqlWork, discarded: Sequence[Decision]) -> None:
    """Journal what was received before its examination was deleted, and is gone with it."""
    counted: dict[str, list[Decision]] = defaultdict(list)
    for decision in discarded:
        counted[decision.examination.id].append(decision)
    for examination_id, decisions in counted.items():
        generation = decisions[0].examination.generation
        work.note_action(
            actor="gateway",
            action="record_discard",
            subject=examination_id,
            reason=f"{len(decisions)} received before its deletion {generation}, and not yet filed",
        )


def _identity(arrival: Arrival, decision: Decision) -> dict[str, object]:
    """What instances and conflicts have in common."""
    incoming = arrival.incoming
    return {
        "institution_id": incoming.institution_id,
        "sop_instance_uid": incoming.sop_instance_uid,
        "examination_id": decision.examination.id,
        "device_id": incoming.device_id,
        "study_instance_uid": incoming.study_instance_uid,
        "series_instance_uid": incoming.series_instance_uid,
        "sop_class_uid": incoming.sop_class_uid,
        "transfer_syntax_uid": incoming.transfer_syntax_uid,
        "sha256": arrival.sha256,
        "object_key": decision.object_key,
        "size_bytes": arrival.size_bytes,
        "fingerprint": arrival.fingerprint,
    }


def _claims(filed: Sequence[Pair]) -> list[dict[str, object]]:
    """KEY-1: one per study; admission has made nearly all of them."""
    claims = {
        (arrival.incoming.institution_id, arrival.incoming.study_instance_uid): (
            decision.examination.id
        )
        for arrival, decision in reversed(filed)
    }
    return [
        {"institution_id": institution_id, "study_instance_uid": study, "examination_id": owner}
        for (institution_id, study), owner in sorted(claims.items())
    ]


def _striking(arrival: Arrival, decision: Decision) -> Iterator[str]:
    examination = decision.examination
    if examination.on_record and arrival.received_at > examination.admitted_at + LATE_AFTER:
        yield "late_instance"
    if examination.patient_id_raw != arrival.incoming.patient_id_raw:
        yield "other_patient"


def _note(work: SqlWork, findings: Counter[tuple[str, str]], times: Mapping[str, Instant]) -> None:
    """KEY-4: stored, and listed for the operator."""
    if not findings:
        return
    keys = [
        {
            "examination_id": examination_id,
            "kind": kind,
            "first_at": times[examination_id],
            "last_at": times[examination_id],
        }
        for examination_id, kind in sorted(findings)
    ]
    insert_all_missing(work.connection, t.examination_findings, keys)
    work.connection.execute(
        _COUNT_FINDINGS,
        [
            {"of": of, "what": what, "added": added, "at": times[of]}
            for (of, what), added in sorted(findings.items())
        ],
    )
