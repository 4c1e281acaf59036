"""Takes back charges of examinations of which no instance ever became durable (design §7).

An examination is admitted first and its first instance made durable next; between the two a disk
may fail or a device hang up. It stays on record: a resend, or a record that turns up all the same,
is charged again.
"""

from __future__ import annotations

from sqlalchemy import select

from quota import correction
from quota.account import EXAM
from quota.action import By
from quota.order import Rejected
from quota.time import MICROSECONDS_PER_SECOND, Instant
from storage import tables as t
from storage.ledger import SqlLedger
from storage.resolving import examinations
from storage.spool_register import all_filed_through
from storage.view import SqlView
from storage.work import SqlWork

WAIT_S = 86_400
_WAIT = WAIT_S * MICROSECONDS_PER_SECOND
_KEEPER = By(actor="keeper", reason="no instance was ever stored")


def reverse_never_stored(ledger: SqlLedger, *, limit: int) -> list[str]:
    """Reverse up to `limit` charges, each in a transaction of its own; returns the examinations."""
    with ledger.read() as view:
        candidates = _candidates(view, limit)
    reversed_ones = []
    for examination_id, account_id in candidates:
        with ledger.begin() as work:
            if _reverse(work, examination_id, account_id):
                work.commit()
                reversed_ones.append(examination_id)
    return reversed_ones


def _candidates(view: SqlView, limit: int) -> list[tuple[str, int]]:
    before = _admitted_before(view)
    if before is None:
        return []
    columns = t.examinations.c
    undecided = select(t.conflicts.c.id).where(
        t.conflicts.c.examination_id == columns.id, t.conflicts.c.resolved_at.is_(None)
    )
    statement = (
        select(columns.id, columns.account_id)
        .join(t.charges, t.charges.c.examination_id == columns.id)
        .where(
            columns.instances == 0,
            columns.deleted_at.is_(None),
            columns.admitted_at < before,
            t.charges.c.state.in_(("funded", "owed")),
            # What was set aside was stored, and may yet be accepted.
            ~undecided.exists(),
        )
        .order_by(columns.admitted_at)
        .limit(limit)
    )
    return [(row.id, row.account_id) for row in view.connection.execute(statement)]


def _admitted_before(view: SqlView) -> Instant | None:
    """The instant before which an admission is old enough, and every spool is past it."""
    through = all_filed_through(view)
    return None if through is None else min(through, view.clock()) - _WAIT


def _reverse(work: SqlWork, examination_id: str, account_id: int) -> bool:
    """The meter first, then the row (§13): a batch that files meanwhile has won, or sees us."""
    work.lock_meter(account_id, EXAM)
    known = examinations(work, {examination_id}, lock=True)[examination_id]
    if known.instances or known.deleted_at is not None:
        return False
    before = _admitted_before(work)
    if before is None or known.admitted_at >= before:
        return False
    account = work.account(account_id)
    outcome = correction.reverse(work, account, examination_id, by=_KEEPER, never_stored=True)
    return not isinstance(outcome, Rejected)
