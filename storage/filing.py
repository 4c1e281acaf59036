"""Files an instance whose object is durable: admission, charge, rows and sizes in ONE transaction.

Order, always: object durable -> rows committed -> answered. Whoever calls `file` puts the object
first, commits if told to, and only then answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from sqlalchemy import bindparam, case, insert, select, update

from quota import service
from quota.admission import Refused
from quota.book import Book
from quota.service import Admitted
from quota.time import MICROSECONDS_PER_SECOND, Instant
from storage import refusals
from storage import tables as t
from storage.examinations import Different, Known, New, Same, resolve
from storage.records import Incoming
from storage.registry import payer
from storage.work import SqlWork

LATE_AFTER = 30 * 86_400 * MICROSECONDS_PER_SECOND
"""KEY-4: instances later than this after admission are listed for the operator, in µs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrival:
    """An instance and where its object is; `size_bytes` is the Part 10 object's."""

    incoming: Incoming
    examination_id: str
    """The examination it was put under: a known one, or the id proposed for a new one."""
    quarantined: bool
    object_key: str
    sha256: str
    size_bytes: int
    generation: int = 0
    """The examination's, as it was when the object was put: a deletion raises it."""
    fingerprint: str | None = None
    """What the archive said it will know the object by (`PutResult.fingerprint`)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Filed:
    """The instance is on record; `admission` is set where it was its examination's first."""

    examination_id: str
    size_bytes: int
    admission: Admitted | None


@dataclass(frozen=True, kw_only=True, slots=True)
class SetAside:
    """Another content under a known UID: kept in quarantine, shown to the operator."""

    examination_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Overtaken:
    """Another association got there first; the object lies in the wrong place: resolve again."""


Filing: TypeAlias = Filed | SetAside | Same | Refused | Overtaken

_GROW = (
    update(t.examinations)
    .where(t.examinations.c.id == bindparam("examination_id"))
    .values(
        instances=t.examinations.c.instances + 1,
        bytes=t.examinations.c.bytes + bindparam("size_bytes"),
        quiet_until=case(
            (t.examinations.c.quiet_until > bindparam("until"), t.examinations.c.quiet_until),
            else_=bindparam("until"),
        ),
        completed_at=None,
        deleted_at=None,
    )
    .returning(t.examinations.c.admitted_at, t.examinations.c.patient_id_raw)
)


def file(work: SqlWork, arrival: Arrival, *, quiet_period: int) -> Filing:
    """Record one arrival. Commit after Filed and SetAside; after anything else, don't."""
    match resolve(work, arrival.incoming, sha256=arrival.sha256):
        case Same() as same:
            return same
        case Different(examination_id=known, generation=generation, difference=difference):
            if not arrival.quarantined or _place(arrival) != (known, generation):
                return Overtaken()
            _set_aside(work, arrival, difference)
            return SetAside(examination_id=known)
        case Known(examination_id=known, generation=generation, account_id=account_id):
            if arrival.quarantined or _place(arrival) != (known, generation):
                return Overtaken()
            # An examination belongs for ever to the account that admitted it (§1).
            level = service.open_level(work, work.account(account_id))
            return _add_instance(work, arrival, level, quiet_period=quiet_period, admission=None)
        case New():
            return _admit(work, arrival, quiet_period=quiet_period)


def _place(arrival: Arrival) -> tuple[str, int]:
    return arrival.examination_id, arrival.generation


def _admit(work: SqlWork, arrival: Arrival, *, quiet_period: int) -> Filed | Refused | Overtaken:
    if arrival.quarantined:
        return Overtaken()
    account = payer(work, arrival.incoming.institution_id)
    admission = service.admit(work, account, arrival.examination_id)
    # While we waited for the meter the account may have been closed or capped, the institution
    # moved: what was read before the lock decides nothing (§13).
    if payer(work, arrival.incoming.institution_id) != account:
        return Overtaken()
    if isinstance(admission, Refused):
        return admission
    # Both meters are locked before any row, `exam` first: one order for everybody (§13).
    level = service.open_level(work, account)
    if not _add_examination(work, arrival, admission, account_id=account.id):
        return Overtaken()
    return _add_instance(work, arrival, level, quiet_period=quiet_period, admission=admission)


def _add_examination(
    work: SqlWork, arrival: Arrival, admission: Admitted, *, account_id: int
) -> bool:
    """Insert the examination; False where another transaction admitted it while we waited."""
    incoming = arrival.incoming
    description = incoming.description
    return work.insert_missing(
        t.examinations,
        {
            "id": arrival.examination_id,
            "institution_id": incoming.institution_id,
            "account_id": account_id,
            "device_id": incoming.device_id,
            "key": incoming.examination_key,
            "study_instance_uid": incoming.study_instance_uid,
            "accession": description.accession,
            "patient_id": description.patient_id,
            "patient_id_raw": incoming.patient_id_raw,
            "patient_name": description.patient_name,
            "modality": description.modality,
            "study_date": description.study_date,
            "study_description": description.study_description,
            "admitted_at": admission.admitted_at,
            "quiet_until": admission.admitted_at,
            "retained_until": admission.retained_until,
        },
    )


def _add_instance(
    work: SqlWork,
    arrival: Arrival,
    level: Book,
    *,
    quiet_period: int,
    admission: Admitted | None,
) -> Filed | Overtaken:
    incoming = arrival.incoming
    at = level.at
    added = work.insert_missing(
        t.instances,
        {
            "institution_id": incoming.institution_id,
            "sop_instance_uid": incoming.sop_instance_uid,
            "examination_id": arrival.examination_id,
            "device_id": incoming.device_id,
            "study_instance_uid": incoming.study_instance_uid,
            "series_instance_uid": incoming.series_instance_uid,
            "sop_class_uid": incoming.sop_class_uid,
            "transfer_syntax_uid": incoming.transfer_syntax_uid,
            "sha256": arrival.sha256,
            "object_key": arrival.object_key,
            "size_bytes": arrival.size_bytes,
            "fingerprint": arrival.fingerprint,
            "filed_at": at,
        },
    )
    if not (added and _claim_study(work, arrival)):
        return Overtaken()
    grown = work.connection.execute(
        _GROW,
        {
            "examination_id": arrival.examination_id,
            "size_bytes": arrival.size_bytes,
            "until": at + quiet_period,
        },
    ).one()
    if at > grown.admitted_at + LATE_AFTER:
        _note(work, arrival.examination_id, "late_instance", at=at)
    if grown.patient_id_raw != incoming.patient_id_raw:
        _note(work, arrival.examination_id, "other_patient", at=at)
    refusals.note_stored(work, [incoming])
    service.move_level(work, level, arrival.size_bytes)
    return Filed(
        examination_id=arrival.examination_id, size_bytes=arrival.size_bytes, admission=admission
    )


def _claim_study(work: SqlWork, arrival: Arrival) -> bool:
    """KEY-1: a Study Instance UID is one examination's for ever; whether it is this one's."""
    key = {
        "institution_id": arrival.incoming.institution_id,
        "study_instance_uid": arrival.incoming.study_instance_uid,
    }
    if work.insert_missing(
        t.examination_studies, {**key, "examination_id": arrival.examination_id}
    ):
        return True
    owner = select(t.examination_studies.c.examination_id).filter_by(**key)
    return bool(work.connection.execute(owner).scalar_one() == arrival.examination_id)


def _note(work: SqlWork, examination_id: str, kind: str, *, at: Instant) -> None:
    """KEY-4: stored, and listed for the operator."""
    key = {"examination_id": examination_id, "kind": kind}
    work.insert_missing(t.examination_findings, {**key, "first_at": at, "last_at": at})
    work.connection.execute(
        update(t.examination_findings)
        .where(
            t.examination_findings.c.examination_id == examination_id,
            t.examination_findings.c.kind == kind,
        )
        .values(instances=t.examination_findings.c.instances + 1, last_at=at)
    )


def _set_aside(work: SqlWork, arrival: Arrival, kind: str) -> None:
    incoming = arrival.incoming
    work.connection.execute(
        insert(t.conflicts),
        {
            "institution_id": incoming.institution_id,
            "sop_instance_uid": incoming.sop_instance_uid,
            "examination_id": arrival.examination_id,
            "device_id": incoming.device_id,
            "kind": kind,
            "study_instance_uid": incoming.study_instance_uid,
            "series_instance_uid": incoming.series_instance_uid,
            "sop_class_uid": incoming.sop_class_uid,
            "transfer_syntax_uid": incoming.transfer_syntax_uid,
            "sha256": arrival.sha256,
            "object_key": arrival.object_key,
            "size_bytes": arrival.size_bytes,
            "fingerprint": arrival.fingerprint,
            "filed_at": work.clock(),
        },
    )
