"""Which examination an instance belongs to (KEY-1, KEY-3), and when one is complete."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from sqlalchemy import bindparam, select, update

from quota.time import Instant
from storage import tables as t
from storage.records import Incoming
from storage.view import SqlView
from storage.work import SqlWork


class Difference(StrEnum):
    """How a second instance of one SOP Instance UID differs from the first filed."""

    CONFLICT = "conflict"
    """Other bytes."""
    VARIANT = "variant"
    """Another transfer syntax."""


@dataclass(frozen=True, kw_only=True, slots=True)
class New:
    """The institution has no such examination yet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """The instance is new; its examination was admitted before."""

    examination_id: str
    generation: int
    account_id: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Same:
    """The instance is on record already, filed or set aside: nothing to do (§9)."""

    examination_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Different:
    """The UID is on record with another content: the first filed stays."""

    examination_id: str
    generation: int
    difference: Difference


Resolution: TypeAlias = New | Known | Same | Different

_INSTANCE = (
    select(
        t.instances.c.examination_id,
        t.instances.c.sha256,
        t.instances.c.transfer_syntax_uid,
        t.examinations.c.generation,
    )
    .join(t.examinations)
    .where(
        t.instances.c.institution_id == bindparam("institution_id"),
        t.instances.c.sop_instance_uid == bindparam("sop_instance_uid"),
    )
)
_SET_ASIDE = select(t.conflicts.c.id).where(
    t.conflicts.c.institution_id == bindparam("institution_id"),
    t.conflicts.c.sop_instance_uid == bindparam("sop_instance_uid"),
    t.conflicts.c.sha256 == bindparam("sha256"),
)
_EXAMINATION = (t.examinations.c.id, t.examinations.c.generation, t.examinations.c.account_id)
_BY_STUDY = (
    select(*_EXAMINATION)
    .join(t.examination_studies)
    .where(
        t.examination_studies.c.institution_id == bindparam("institution_id"),
        t.examination_studies.c.study_instance_uid == bindparam("study_instance_uid"),
    )
)
_BY_KEY = select(*_EXAMINATION).where(
    t.examinations.c.institution_id == bindparam("institution_id"),
    t.examinations.c.key == bindparam("key"),
)


def resolve(view: SqlView, incoming: Incoming, *, sha256: str) -> Resolution:
    """KEY-1: a known instance or Study Instance UID decides; else the device's key (KEY-2)."""
    instance = {
        "institution_id": incoming.institution_id,
        "sop_instance_uid": incoming.sop_instance_uid,
    }
    filed = view.connection.execute(_INSTANCE, instance).one_or_none()
    if filed is not None:
        aside = view.connection.execute(_SET_ASIDE, {**instance, "sha256": sha256})
        if filed.sha256 == sha256 or aside.one_or_none() is not None:
            return Same(examination_id=filed.examination_id)
        same_syntax = filed.transfer_syntax_uid == incoming.transfer_syntax_uid
        return Different(
            examination_id=filed.examination_id,
            generation=filed.generation,
            difference=Difference.CONFLICT if same_syntax else Difference.VARIANT,
        )
    keys = {
        "institution_id": incoming.institution_id,
        "study_instance_uid": incoming.study_instance_uid,
        "key": incoming.examination_key,
    }
    for statement in (_BY_STUDY, _BY_KEY):
        row = view.connection.execute(statement, keys).one_or_none()
        if row is not None:
            return Known(
                examination_id=row.id, generation=row.generation, account_id=row.account_id
            )
    return New()


def complete_quiet(work: SqlWork, *, limit: int) -> list[str]:
    """Mark up to `limit` examinations complete whose quiet period is over; returns their ids."""
    now: Instant = work.clock()
    quiet = (
        select(t.examinations.c.id)
        .where(
            t.examinations.c.completed_at.is_(None),
            t.examinations.c.quiet_until <= now,
            # Admitted, and its first instance is still in a spool.
            t.examinations.c.instances > 0,
        )
        .order_by(t.examinations.c.quiet_until)
        .limit(limit)
    )
    statement = (
        update(t.examinations)
        .where(t.examinations.c.id.in_(quiet))
        .values(completed_at=t.examinations.c.quiet_until)
        .returning(t.examinations.c.id)
    )
    return list(work.connection.execute(statement).scalars())
