"""What was set aside and waits for a decision, as plain values. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from quota.time import Instant
from storage import tables as t
from storage.view import SqlView


@dataclass(frozen=True, kw_only=True, slots=True)
class ConflictRow:
    """A newcomer that waits for a decision; `filed_*` is of the first filed, which stays."""

    id: int
    institution: str
    device: str
    account: str
    examination_id: str
    sop_instance_uid: str
    kind: str
    bytes: int
    set_aside_at: Instant
    filed_bytes: int
    filed_at: Instant


def conflicts(
    view: SqlView, *, institution_id: int | None = None, limit: int
) -> Sequence[ConflictRow]:
    """The latest `limit` newcomers that wait for a decision, the newest first."""
    statement = (
        select(
            t.conflicts,
            t.institutions.c.name.label("institution"),
            t.accounts.c.name.label("account"),
            t.devices.c.ae_title.label("device"),
            t.instances.c.size_bytes.label("filed_bytes"),
            t.instances.c.filed_at.label("first_filed_at"),
        )
        .join(t.institutions, t.institutions.c.id == t.conflicts.c.institution_id)
        .join(t.devices, t.devices.c.id == t.conflicts.c.device_id)
        .join(t.examinations, t.examinations.c.id == t.conflicts.c.examination_id)
        .join(t.accounts, t.accounts.c.id == t.examinations.c.account_id)
        .join(
            t.instances,
            (t.instances.c.institution_id == t.conflicts.c.institution_id)
            & (t.instances.c.sop_instance_uid == t.conflicts.c.sop_instance_uid),
        )
        .where(t.conflicts.c.resolved_at.is_(None))
        .order_by(t.conflicts.c.filed_at.desc(), t.conflicts.c.id.desc())
        .limit(limit)
    )
    if institution_id is not None:
        statement = statement.where(t.conflicts.c.institution_id == institution_id)
    return [
        ConflictRow(
            id=row.id,
            institution=row.institution,
            device=row.device,
            account=row.account,
            examination_id=row.examination_id,
            sop_instance_uid=row.sop_instance_uid,
            kind=row.kind,
            bytes=row.size_bytes,
            set_aside_at=row.filed_at,
            filed_bytes=row.filed_bytes,
            filed_at=row.first_filed_at,
        )
        for row in view.connection.execute(statement)
    ]
