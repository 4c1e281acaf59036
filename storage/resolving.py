"""Which examination an instance belongs to (KEY-1 to KEY-3), and whether it is new (ADM-5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, bindparam, literal, select, union_all

from quota.account import Plan
from quota.time import Instant
from storage import tables as t
from storage.records import Incoming
from storage.view import SqlView

_STANDING = frozenset({"funded", "owed"})


class By(IntEnum):
    """What decided; the smaller the number, the stronger (KEY-1, KEY-2)."""

    INSTANCE = 0
    STUDY = 1
    KEY = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Examination:
    """An examination as admission and filing see it.

    `last_charge` is the state of the latest of its charges, `generation_at` the instant from which
    its present generation counts: of its last deletion.
    """

    id: str
    account_id: int
    plan: Plan
    generation: int = 0
    generation_at: Instant | None = None
    admitted_at: Instant = 0
    retained_until: Instant | None = None
    deleted_at: Instant | None = None
    instances: int = 0
    patient_id_raw: bytes = b""
    last_charge: str | None = None
    on_record: bool = True
    """False for one that is admitted by filing it: the ledger could not be asked before."""

    @property
    def is_new(self) -> bool:
        """Whether the next instance is to be admitted as the first of a new examination is.

        ADM-5: without a live instance, and no charge stands. A charge that was written off stands
        for what came before a deletion, not for what is uploaded after it. Where the plan counts
        bytes nothing stands for what was deleted.
        """
        if not self.on_record:
            return True
        if self.plan is Plan.PER_CAPACITY:
            return self.deleted_at is not None
        if self.instances or self.last_charge in _STANDING:
            return False
        return self.last_charge != "written_off" or self.deleted_at is not None

    def is_over(self, at: Instant) -> bool:
        """Deleted, and its term has ended: what is uploaded now is another examination (ADM-5)."""
        return (
            self.deleted_at is not None
            and self.retained_until is not None
            and self.retained_until <= at
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A known examination, and by what it was found."""

    examination: Examination
    by: By


_LAST_CHARGE = (
    select(t.charges.c.state)
    .where(t.charges.c.examination_id == t.examinations.c.id)
    .order_by(t.charges.c.id.desc())
    .limit(1)
    .scalar_subquery()
)
_COLUMNS = (
    t.examinations.c.id,
    t.examinations.c.account_id,
    t.accounts.c.plan,
    t.examinations.c.generation,
    t.examinations.c.generation_at,
    t.examinations.c.admitted_at,
    t.examinations.c.retained_until,
    t.examinations.c.deleted_at,
    t.examinations.c.instances,
    t.examinations.c.patient_id_raw,
    _LAST_CHARGE.label("last_charge"),
)
_SELECT: Select[Any] = select(*_COLUMNS).select_from(t.examinations.join(t.accounts))
_BY_INSTANCE = select(
    t.instances.c.examination_id.label("id"), literal(int(By.INSTANCE)).label("by")
).where(
    t.instances.c.institution_id == bindparam("institution_id"),
    t.instances.c.sop_instance_uid == bindparam("sop_instance_uid"),
)
_BY_STUDY = select(
    t.examination_studies.c.examination_id.label("id"), literal(int(By.STUDY)).label("by")
).where(
    t.examination_studies.c.institution_id == bindparam("institution_id"),
    t.examination_studies.c.study_instance_uid == bindparam("study_instance_uid"),
)
_BY_KEY = select(t.examinations.c.id, literal(int(By.KEY)).label("by")).where(
    t.examinations.c.institution_id == bindparam("institution_id"),
    t.examinations.c.key == bindparam("key"),
)


def _strongest(*candidates: Select[Any]) -> Select[Any]:
    found = union_all(*candidates).subquery()
    tables = t.examinations.join(t.accounts).join(found, found.c.id == t.examinations.c.id)
    return select(*_COLUMNS, found.c.by).select_from(tables).order_by(found.c.by).limit(1)


_FIND = _strongest(_BY_INSTANCE, _BY_STUDY, _BY_KEY)
_FIND_BY_STUDY = _strongest(_BY_STUDY, _BY_KEY)


def _any_of(by: By, column: ColumnElement[str], institution: ColumnElement[int]) -> Select[Any]:
    columns: Sequence[ColumnElement[Any]] = literal(int(by)).label("by"), column.label("identifier")
    listed: Any = bindparam(f"of_{by.name}", expanding=True)
    return select(*columns).where(institution == bindparam("institution_id"), column.in_(listed))


_KNOWN = union_all(
    _any_of(By.INSTANCE, t.instances.c.sop_instance_uid, t.instances.c.institution_id),
    _any_of(
        By.STUDY,
        t.examination_studies.c.study_instance_uid,
        t.examination_studies.c.institution_id,
    ),
    _any_of(By.KEY, t.examinations.c.key, t.examinations.c.institution_id),
)
_BY_IDS = (
    _SELECT.where(t.examinations.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(t.examinations.c.id)
    .with_for_update(of=t.examinations)
)
_LOOK_BY_IDS = _SELECT.where(t.examinations.c.id.in_(bindparam("ids", expanding=True)))


def known_among(view: SqlView, institution_id: int, incoming: Sequence[Incoming]) -> list[bool]:
    """Of each of one institution's instances: whether it belongs to an examination on record, or
    has its study or its key in common with one before it."""
    identifiers = [_identifiers(one) for one in incoming]
    listed: dict[str, object] = {f"of_{by.name}": [each[by] for each in identifiers] for by in By}
    rows = view.connection.execute(_KNOWN, {"institution_id": institution_id, **listed})
    seen = {(By(row.by), row.identifier) for row in rows}
    known = []
    for each in identifiers:
        known.append(not seen.isdisjoint(each.items()))
        seen.update(each.items())
    return known


def find(view: SqlView, incoming: Incoming) -> Found | None:
    """The examination that the instance belongs to, or None where the institution has none."""
    return _found(view, _FIND, incoming)


def find_by_study(view: SqlView, incoming: Incoming) -> Found | None:
    """The examination of its study or its key, whatever is known of the instance itself."""
    return _found(view, _FIND_BY_STUDY, incoming)


def _found(view: SqlView, statement: Select[Any], incoming: Incoming) -> Found | None:
    parameters = {
        "institution_id": incoming.institution_id,
        "sop_instance_uid": incoming.sop_instance_uid,
        "study_instance_uid": incoming.study_instance_uid,
        "key": incoming.examination_key,
    }
    row = view.connection.execute(statement, parameters).one_or_none()
    return None if row is None else Found(examination=_examination_of(row), by=By(row.by))


def examinations(view: SqlView, ids: set[str], *, lock: bool = False) -> dict[str, Examination]:
    """Those of the examinations that are on record, by id; their rows locked if asked for."""
    if not ids:
        return {}
    statement = _BY_IDS if lock else _LOOK_BY_IDS
    rows = view.connection.execute(statement, {"ids": sorted(ids)})
    return {row.id: _examination_of(row) for row in rows}


def _identifiers(incoming: Incoming) -> dict[By, str]:
    return {
        By.INSTANCE: incoming.sop_instance_uid,
        By.STUDY: incoming.study_instance_uid,
        By.KEY: incoming.examination_key,
    }


def _examination_of(row: Row[Any]) -> Examination:
    return Examination(
        id=row.id,
        account_id=row.account_id,
        plan=Plan(row.plan),
        generation=row.generation,
        generation_at=row.generation_at,
        admitted_at=row.admitted_at,
        retained_until=row.retained_until,
        deleted_at=row.deleted_at,
        instances=row.instances,
        patient_id_raw=row.patient_id_raw,
        last_charge=row.last_charge,
    )
