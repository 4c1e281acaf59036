"""What operators and staff look up: examinations and refusals, as plain values. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, func, select

from quota.time import Instant
from storage import tables as t
from storage.view import SqlView

RECEIVING = "receiving"
COMPLETE = "complete"


@dataclass(frozen=True, kw_only=True, slots=True)
class ExaminationRow:
    """One examination. `charge` is funded, owed, reversed, written_off or None (not metered)."""

    id: str
    institution: str
    account: str
    device: str
    study_instance_uid: str
    accession: str
    patient_id: str
    patient_name: str
    modality: str
    study_date: str
    study_description: str
    state: str
    instances: int
    bytes: int
    missing: int
    """Instances refused and not stored since: an open entry in the register of refusals."""
    charge: str | None
    package_id: int | None
    admitted_at: Instant
    completed_at: Instant | None
    retained_until: Instant | None
    """To be kept until then; None on the capacity plan: while a capacity package is active."""
    deleted_at: Instant | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """Something for the operator to look at (KEY-4): late instances, or another patient's."""

    kind: str
    instances: int
    first_at: Instant
    last_at: Instant


@dataclass(frozen=True, kw_only=True, slots=True)
class SeriesRow:
    """One series of an examination."""

    study_instance_uid: str
    series_instance_uid: str
    instances: int
    bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Quarantined:
    """An instance set aside: another content (conflict) or transfer syntax (variant)."""

    sop_instance_uid: str
    kind: str
    bytes: int
    filed_at: Instant


@dataclass(frozen=True, kw_only=True, slots=True)
class ExaminationDetail:
    """One examination with what belongs to it."""

    row: ExaminationRow
    series: tuple[SeriesRow, ...]
    findings: tuple[Finding, ...]
    quarantined: tuple[Quarantined, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class RefusalRow:
    """One entry of the register of refusals."""

    institution: str
    device: str
    study_instance_uid: str
    accession: str
    reason: str
    refused: int
    missing: int
    first_at: Instant
    last_at: Instant
    resolved_at: Instant | None


def _last_charge(column: Any) -> Any:
    """A column of the examination's latest charge: a reversed one may have a successor."""
    return (
        select(column)
        .where(t.charges.c.examination_id == t.examinations.c.id)
        .order_by(t.charges.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )


_MISSING = (
    select(func.sum(t.refusals.c.missing))
    .where(
        t.refusals.c.institution_id == t.examinations.c.institution_id,
        t.refusals.c.examination_key == t.examinations.c.key,
        t.refusals.c.resolved_at.is_(None),
    )
    .scalar_subquery()
)
_EXAMINATIONS = (
    select(
        t.examinations,
        t.institutions.c.name.label("institution"),
        t.accounts.c.name.label("account"),
        t.devices.c.ae_title.label("device"),
        _last_charge(t.charges.c.state).label("charge"),
        _last_charge(t.charges.c.package_id).label("package_id"),
        func.coalesce(_MISSING, 0).label("missing"),
    )
    .join(t.institutions, t.institutions.c.id == t.examinations.c.institution_id)
    .join(t.accounts, t.accounts.c.id == t.examinations.c.account_id)
    .join(t.devices, t.devices.c.id == t.examinations.c.device_id)
)


def examinations(
    view: SqlView, *, institution_id: int | None = None, limit: int
) -> Sequence[ExaminationRow]:
    """The latest `limit` examinations, the newest first."""
    statement = _EXAMINATIONS.order_by(
        t.examinations.c.admitted_at.desc(), t.examinations.c.id.desc()
    ).limit(limit)
    if institution_id is not None:
        statement = statement.where(t.examinations.c.institution_id == institution_id)
    return _examination_rows(view, statement)


def examination(view: SqlView, examination_id: str) -> ExaminationDetail | None:
    """One examination by its id, or by its Study Instance UID where that names just one."""
    rows = _examination_rows(view, _EXAMINATIONS.where(t.examinations.c.id == examination_id))
    if not rows:
        by_study = _EXAMINATIONS.join(
            t.examination_studies, t.examination_studies.c.examination_id == t.examinations.c.id
        ).where(t.examination_studies.c.study_instance_uid == examination_id)
        rows = _examination_rows(view, by_study)
    if len(rows) != 1:
        return None
    row = rows[0]
    return ExaminationDetail(
        row=row,
        series=_series(view, row.id),
        findings=_findings(view, row.id),
        quarantined=_quarantined(view, row.id),
    )


def refusals(
    view: SqlView, *, institution_id: int | None = None, open_only: bool = False, limit: int
) -> Sequence[RefusalRow]:
    """The latest `limit` entries of the register, the newest first."""
    statement = (
        select(
            t.refusals,
            t.institutions.c.name.label("institution"),
            t.devices.c.ae_title.label("device"),
        )
        .join(t.institutions, t.institutions.c.id == t.refusals.c.institution_id)
        .join(t.devices, t.devices.c.id == t.refusals.c.device_id)
        .order_by(t.refusals.c.last_at.desc(), t.refusals.c.id.desc())
        .limit(limit)
    )
    if institution_id is not None:
        statement = statement.where(t.refusals.c.institution_id == institution_id)
    if open_only:
        statement = statement.where(t.refusals.c.resolved_at.is_(None))
    fields = RefusalRow.__dataclass_fields__
    return [
        RefusalRow(**{name: getattr(row, name) for name in fields})
        for row in view.connection.execute(statement)
    ]


def counts(view: SqlView) -> tuple[int, int]:
    """How many examinations are receiving, and how many entries of the register are open."""
    receiving = select(func.count()).where(
        t.examinations.c.completed_at.is_(None), t.examinations.c.quiet_until > view.clock()
    )
    refused = select(func.count()).where(t.refusals.c.resolved_at.is_(None))
    return (
        view.connection.execute(receiving).scalar_one(),
        view.connection.execute(refused).scalar_one(),
    )


def _examination_rows(view: SqlView, statement: Select[Any]) -> list[ExaminationRow]:
    now = view.clock()
    return [_examination_row(row, now) for row in view.connection.execute(statement)]


def _examination_row(row: Row[Any], now: Instant) -> ExaminationRow:
    # Whether the keeper has come round to it changes no answer: the quiet period decides.
    complete = now >= row.quiet_until
    return ExaminationRow(
        id=row.id,
        institution=row.institution,
        account=row.account,
        device=row.device,
        study_instance_uid=row.study_instance_uid,
        accession=row.accession,
        patient_id=row.patient_id,
        patient_name=row.patient_name,
        modality=row.modality,
        study_date=row.study_date,
        study_description=row.study_description,
        state=COMPLETE if complete else RECEIVING,
        instances=row.instances,
        bytes=row.bytes,
        missing=row.missing,
        charge=row.charge,
        package_id=row.package_id,
        admitted_at=row.admitted_at,
        completed_at=row.quiet_until if complete else None,
        retained_until=row.retained_until,
        deleted_at=row.deleted_at,
    )


def _series(view: SqlView, examination_id: str) -> tuple[SeriesRow, ...]:
    statement = (
        select(
            t.instances.c.study_instance_uid,
            t.instances.c.series_instance_uid,
            func.count().label("instances"),
            func.sum(t.instances.c.size_bytes).label("bytes"),
        )
        .where(t.instances.c.examination_id == examination_id)
        .group_by(t.instances.c.study_instance_uid, t.instances.c.series_instance_uid)
        .order_by(t.instances.c.study_instance_uid, t.instances.c.series_instance_uid)
    )
    return tuple(
        SeriesRow(
            study_instance_uid=row.study_instance_uid,
            series_instance_uid=row.series_instance_uid,
            instances=row.instances,
            bytes=row.bytes,
        )
        for row in view.connection.execute(statement)
    )


def _findings(view: SqlView, examination_id: str) -> tuple[Finding, ...]:
    statement = (
        select(t.examination_findings)
        .where(t.examination_findings.c.examination_id == examination_id)
        .order_by(t.examination_findings.c.kind)
    )
    return tuple(
        Finding(kind=row.kind, instances=row.instances, first_at=row.first_at, last_at=row.last_at)
        for row in view.connection.execute(statement)
    )


def _quarantined(view: SqlView, examination_id: str) -> tuple[Quarantined, ...]:
    statement = (
        select(t.conflicts)
        .where(t.conflicts.c.examination_id == examination_id, t.conflicts.c.resolved_at.is_(None))
        .order_by(t.conflicts.c.id)
    )
    return tuple(
        Quarantined(
            sop_instance_uid=row.sop_instance_uid,
            kind=row.kind,
            bytes=row.size_bytes,
            filed_at=row.filed_at,
        )
        for row in view.connection.execute(statement)
    )
