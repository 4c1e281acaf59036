"""The register of refused examinations (ADM-2): what was refused, and what is still missing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, exists, func, select, update

from quota.account import CAPACITY
from quota.admission import RefusalReason
from quota.notice import Notice, NoticeKind
from quota.time import Instant
from storage import tables as t
from storage.recording_rare import add_notice
from storage.records import Incoming
from storage.registry import institution
from storage.work import SqlWork

LISTED_MAX = 20_000
"""SOP Instance UIDs kept per entry; beyond it refusals are only counted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RefusedInstance:
    """One instance that a quota refusal sent back."""

    incoming: Incoming
    reason: RefusalReason
    at: Instant


_OPEN = select(t.refusals.c.id, t.refusals.c.refused).where(
    t.refusals.c.institution_id == bindparam("institution_id"),
    t.refusals.c.examination_key == bindparam("examination_key"),
    t.refusals.c.resolved_at.is_(None),
)
_LEVELS = (
    select(t.meters.c.id)
    .join(t.institutions, t.institutions.c.account_id == t.meters.c.account_id)
    .where(
        t.institutions.c.id.in_(bindparam("institution_ids", expanding=True)),
        t.meters.c.name == CAPACITY,
    )
    .order_by(t.meters.c.account_id)
    .with_for_update(read=True, of=t.meters)
)
"""What whoever files an instance has locked: each sees what the other has written."""
_ANY_MISSING = select(
    exists().select_from(t.refused_instances).where(t.refused_instances.c.stored_at.is_(None))
)
_NOTE_STORED = (
    update(t.refused_instances)
    .where(
        t.refused_instances.c.institution_id == bindparam("institution"),
        t.refused_instances.c.sop_instance_uid.in_(bindparam("uids", expanding=True)),
        t.refused_instances.c.stored_at.is_(None),
    )
    .values(stored_at=bindparam("at"))
    .returning(t.refused_instances.c.refusal_id)
)


def register(work: SqlWork, batch: Sequence[RefusedInstance]) -> None:
    """Write a batch of refusals into the register.

    A batch is written late: an entry whose instances have all been stored by now closes at once,
    but only after the whole batch, so that the order within it makes no difference.
    """
    if not work.alone:
        institution_ids = sorted({refused.incoming.institution_id for refused in batch})
        work.connection.execute(_LEVELS, {"institution_ids": institution_ids})
    touched: set[int] = set()
    for refused in batch:
        refusal_id, listed = _open_entry(work, refused)
        counted, missing = _list_instance(work, refused, refusal_id, listed)
        work.connection.execute(
            update(t.refusals)
            .where(t.refusals.c.id == refusal_id)
            .values(
                refused=t.refusals.c.refused + counted,
                missing=t.refusals.c.missing + missing,
                reason=refused.reason,
                last_at=refused.at,
            )
        )
        touched.add(refusal_id)
    for refusal_id in touched:
        _resolve_if_whole(work, refusal_id, at=_last_stored(work, refusal_id))


def note_stored(work: SqlWork, stored: Sequence[Incoming]) -> None:
    """Refused instances that have been stored after all; an entry with none missing closes."""
    # Hardly ever: a batch's UIDs need not be written out to be told that.
    if not stored or not work.connection.execute(_ANY_MISSING).scalar_one():
        return
    uids: dict[int, set[str]] = defaultdict(set)
    for incoming in stored:
        uids[incoming.institution_id].add(incoming.sop_instance_uid)
    for institution_id, of_institution in sorted(uids.items()):
        at = work.clock()
        found = work.connection.execute(
            _NOTE_STORED, {"institution": institution_id, "uids": sorted(of_institution), "at": at}
        ).scalars()
        for refusal_id, count in sorted(Counter(found.all()).items()):
            work.connection.execute(
                update(t.refusals)
                .where(t.refusals.c.id == refusal_id)
                .values(missing=t.refusals.c.missing - count)
            )
            _resolve_if_whole(work, refusal_id, at=at)


def _open_entry(work: SqlWork, refused: RefusedInstance) -> tuple[int, int]:
    """The open entry of the examination, made if need be: its id and how many it lists."""
    incoming = refused.incoming
    key = {
        "institution_id": incoming.institution_id,
        "examination_key": incoming.examination_key,
    }
    row = work.connection.execute(_OPEN, key).one_or_none()
    if row is not None:
        return row.id, row.refused
    values: dict[str, object] = {
        **key,
        "device_id": incoming.device_id,
        "study_instance_uid": incoming.study_instance_uid,
        "accession": incoming.description.accession,
        "reason": refused.reason,
        "first_at": refused.at,
        "last_at": refused.at,
    }
    refusal_id = work.insert_new(t.refusals, values)
    if refusal_id is None:
        row = work.connection.execute(_OPEN, key).one()
        return row.id, row.refused
    _tell_first(work, refused, refusal_id)
    return refusal_id, 0


def _tell_first(work: SqlWork, refused: RefusedInstance, refusal_id: int) -> None:
    """FIRST_REFUSAL: told once per examination, by the number of its entry (§10)."""
    account_id = institution(work, refused.incoming.institution_id).account_id
    notice = Notice(
        account_id=account_id,
        kind=NoticeKind.FIRST_REFUSAL,
        key=f"{NoticeKind.FIRST_REFUSAL}:{refusal_id}",
        raised_at=refused.at,
        details={
            "refusal": refusal_id,
            "institution": refused.incoming.institution_id,
            "device": refused.incoming.device_id,
            "reason": str(refused.reason),
        },
    )
    add_notice(work.connection, notice)


def _list_instance(
    work: SqlWork, refused: RefusedInstance, refusal_id: int, listed: int
) -> tuple[int, int]:
    """List one instance; returns what to add to `refused` and to `missing`."""
    if listed >= LISTED_MAX:
        return 1, 0
    incoming = refused.incoming
    # The instance may have been sent again and stored by now.
    stored = work.connection.execute(
        select(t.instances.c.filed_at).where(
            t.instances.c.institution_id == incoming.institution_id,
            t.instances.c.sop_instance_uid == incoming.sop_instance_uid,
        )
    ).scalar_one_or_none()
    added = work.insert_missing(
        t.refused_instances,
        {
            "refusal_id": refusal_id,
            "sop_instance_uid": incoming.sop_instance_uid,
            "institution_id": incoming.institution_id,
            "stored_at": stored,
        },
    )
    return int(added), int(added and stored is None)


def _last_stored(work: SqlWork, refusal_id: int) -> Instant | None:
    statement = select(func.max(t.refused_instances.c.stored_at)).where(
        t.refused_instances.c.refusal_id == refusal_id
    )
    last: Instant | None = work.connection.execute(statement).scalar_one()
    return last


def _resolve_if_whole(work: SqlWork, refusal_id: int, *, at: Instant | None) -> None:
    work.connection.execute(
        update(t.refusals)
        .where(t.refusals.c.id == refusal_id, t.refusals.c.missing == 0)
        .values(resolved_at=at)
    )
