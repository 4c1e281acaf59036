"""Admits examinations: one transaction {resolve, decide, charge, examination, study claim}.

No instance is recorded here. An instance may be acknowledged once its examination is pinned, and
its rows come with filing; an examination may thus have none yet (design: never stored).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from sqlalchemy import bindparam, delete, select, update

from quota import service
from quota.account import Account
from quota.admission import Refused
from quota.service import Admitted
from quota.time import Instant
from storage import registry
from storage import tables as t
from storage.records import Incoming
from storage.resolving import By, Examination, find
from storage.view import SqlView
from storage.work import SqlWork


@dataclass(frozen=True, kw_only=True, slots=True)
class Pinned:
    """The examination an instance belongs to, for ever (KEY-3)."""

    examination_id: str
    generation: int
    admission: Admitted | None
    """Set where this made it a new examination."""
    by_study: bool
    """Whether every instance of this study belongs to it, or only this one (KEY-1)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Overtaken:
    """Another transaction got there first: roll back and ask again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unsettled:
    """Its examination is on record, but something of it is to be written first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """An instance that asks for its examination; `proposed_id` becomes that of a new one."""

    incoming: Incoming
    proposed_id: str


Admission: TypeAlias = Pinned | Refused | Overtaken

_CLAIMED_BY = select(t.examination_studies.c.examination_id).where(
    t.examination_studies.c.institution_id == bindparam("institution_id"),
    t.examination_studies.c.study_instance_uid == bindparam("study_instance_uid"),
)
_READMIT = update(t.examinations).where(t.examinations.c.id == bindparam("examination_id"))


def look(view: SqlView, incoming: Incoming) -> Pinned | Unsettled | None:
    """The examination where it is known and nothing is to be written; None where none is known."""
    found = find(view, incoming)
    if found is None:
        return None
    if found.by is By.KEY or found.examination.is_new or found.examination.is_over(view.clock()):
        return Unsettled()
    return _pinned(found.examination, by_study=found.by is By.STUDY)


def admit(work: SqlWork, asked: Asked) -> Admission:
    """Pin the instance's examination, admitting it where it is new (ADM-1 to ADM-5).

    Commit after `Pinned`; after anything else, don't: nothing was to be written. Raises NotFound
    where the institution is unknown.
    """
    incoming = asked.incoming
    found = find(work, incoming)
    if found is None:
        return _admit_new(work, asked, instead_of=None)
    if found.examination.is_over(work.clock()):
        return _admit_new(work, asked, instead_of=found.examination)
    admission = None
    if found.examination.is_new:
        decided = _admit_again(work, found.examination)
        if not isinstance(decided, Admitted):
            return decided
        admission = decided
    if found.by is By.KEY and not claim_study(work, incoming, found.examination.id):
        return Overtaken()
    by_study = found.by is not By.INSTANCE
    return _pinned(found.examination, by_study=by_study, admission=admission)


def _admit_again(work: SqlWork, known: Examination) -> Admitted | Refused | Overtaken:
    """Decide on it as on a new one; it stays with the account that admitted it first (§1)."""
    account = work.account(known.account_id)
    decided = service.admit(work, account, known.id)
    if not work.alone and work.account(known.account_id) != account:
        return Overtaken()
    if isinstance(decided, Admitted):
        readmit(work, decided)
    return decided


def _pinned(known: Examination, *, by_study: bool, admission: Admitted | None = None) -> Pinned:
    return Pinned(
        examination_id=known.id,
        generation=known.generation,
        admission=admission,
        by_study=by_study,
    )


def _admit_new(work: SqlWork, asked: Asked, *, instead_of: Examination | None) -> Admission:
    account = registry.payer(work, asked.incoming.institution_id)
    admission = service.admit(work, account, asked.proposed_id)
    # While we waited for the meter the account may have been closed or capped, the institution
    # moved: what was read before the lock decides nothing (§13).
    if not work.alone and registry.payer(work, asked.incoming.institution_id) != account:
        return Overtaken()
    if isinstance(admission, Refused):
        return admission
    # The meter is locked before any row (§13).
    if instead_of is not None:
        _retire(work, instead_of)
    return _add(work, asked, admission, account)


def _add(work: SqlWork, asked: Asked, admission: Admitted, account: Account) -> Pinned | Overtaken:
    added = add_examination(work, asked.incoming, admission, account_id=account.id)
    if not (added and claim_study(work, asked.incoming, asked.proposed_id)):
        return Overtaken()
    return pinned_new(asked, admission)


def pinned_new(asked: Asked, admission: Admitted) -> Pinned:
    """What has just become an examination."""
    return Pinned(
        examination_id=asked.proposed_id, generation=0, admission=admission, by_study=True
    )


def add_examination(
    work: SqlWork,
    incoming: Incoming,
    admission: Admitted,
    *,
    account_id: int,
    provisional_at: Instant | None = None,
) -> bool:
    """Insert the examination; False where another transaction admitted it while we waited.

    `provisional_at`: when its first instance was let in without the ledger, None otherwise.
    """
    row = examination_row(incoming, admission, account_id=account_id, provisional_at=provisional_at)
    return work.insert_missing(t.examinations, row)


def examination_row(
    incoming: Incoming, admission: Admitted, *, account_id: int, provisional_at: Instant | None
) -> dict[str, object]:
    """An examination as `admission` lets it in."""
    description = incoming.description
    return {
        "id": admission.examination_id,
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
        "provisional_at": provisional_at,
    }


def readmit(work: SqlWork, admission: Admitted, *, provisional_at: Instant | None = None) -> None:
    """Charged anew after a reversal or write-off: kept for as long as the longest charge says."""
    values: dict[str, object] = {
        "admitted_at": admission.admitted_at,
        "quiet_until": admission.admitted_at,
        "completed_at": None,
        "deleted_at": None,
    }
    if provisional_at is not None:
        values["provisional_at"] = provisional_at
    key = {"examination_id": admission.examination_id}
    work.connection.execute(_READMIT.values(values), key)
    if admission.retained_until is not None:
        longer = t.examinations.c.retained_until < admission.retained_until
        work.connection.execute(
            _READMIT.where(longer).values(retained_until=admission.retained_until), key
        )


def claim_study(work: SqlWork, incoming: Incoming, examination_id: str) -> bool:
    """KEY-1: a Study Instance UID is one examination's for ever; whether it is this one's."""
    key = study_key(incoming)
    if work.insert_missing(t.examination_studies, {**key, "examination_id": examination_id}):
        return True
    return bool(work.connection.execute(_CLAIMED_BY, key).scalar_one() == examination_id)


def study_key(incoming: Incoming) -> dict[str, object]:
    """What a study is known by."""
    return {
        "institution_id": incoming.institution_id,
        "study_instance_uid": incoming.study_instance_uid,
    }


def _retire(work: SqlWork, known: Examination) -> None:
    """Its term is over and it is deleted: key and studies are free for another examination."""
    work.connection.execute(
        update(t.examinations)
        .where(t.examinations.c.id == known.id)
        .values(key=f"retired:{known.id}")
    )
    work.connection.execute(
        delete(t.examination_studies).where(t.examination_studies.c.examination_id == known.id)
    )
