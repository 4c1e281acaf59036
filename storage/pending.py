"""Acknowledged bytes that are not filed yet, by account: shown, never decided on (CAP-1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, insert, select

from storage import tables as t
from storage.view import SqlView
from storage.work import SqlWork


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """A record in a spool; its bytes belong to the account that admitted its examination (§1)."""

    examination_id: str
    institution_id: int
    size_bytes: int


def by_account(view: SqlView, waiting: Sequence[Waiting]) -> Mapping[int, int]:
    """Bytes by account; an examination let in without the ledger is its institution's payer's."""
    examinations = {one.examination_id for one in waiting}
    owners = {
        row.id: row.account_id
        for row in view.connection.execute(
            select(t.examinations.c.id, t.examinations.c.account_id).where(
                t.examinations.c.id.in_(examinations)
            )
        )
    }
    payers = {
        row.id: row.account_id
        for row in view.connection.execute(select(t.institutions.c.id, t.institutions.c.account_id))
    }
    found: Counter[int] = Counter()
    for one in waiting:
        account_id = owners.get(one.examination_id) or payers.get(one.institution_id)
        if account_id is not None:
            found[account_id] += one.size_bytes
    return found


def note_pending(work: SqlWork, spool_id: str, amounts: Mapping[int, int]) -> None:
    """Replace what is on record of a registered spool."""
    table = t.spool_pending
    work.connection.execute(delete(table).where(table.c.spool_id == spool_id))
    rows = [
        {"spool_id": spool_id, "account_id": account_id, "bytes": size_bytes}
        for account_id, size_bytes in sorted(amounts.items())
    ]
    if rows:
        work.connection.execute(insert(table), rows)


def pending_bytes(view: SqlView) -> Mapping[int, int]:
    """Bytes by account in every spool that is not lost, as its worker last told."""
    table = t.spool_pending
    statement = (
        select(table.c.account_id, func.sum(table.c.bytes).label("bytes"))
        .join(t.spools, t.spools.c.id == table.c.spool_id)
        .where(t.spools.c.declared_lost_at.is_(None))
        .group_by(table.c.account_id)
    )
    return {row.account_id: int(row.bytes) for row in view.connection.execute(statement)}
