"""Admits several new examinations of one institution in one transaction, a statement for a table.

For those that wait at the same moment: each alone would have the lock of the others before it to
wait for, and their syncs.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.exc import IntegrityError

from quota import service
from quota.account import Account
from quota.admission import Refused
from quota.service import Admitted
from storage import registry
from storage import tables as t
from storage.admitting import (
    Asked,
    Overtaken,
    Pinned,
    examination_row,
    pinned_new,
    study_key,
)
from storage.dialect import insert_all_missing
from storage.resolving import known_among
from storage.work import SqlWork


def admit_together(
    work: SqlWork, asked: Sequence[Asked]
) -> Sequence[Pinned | Refused | None] | Overtaken:
    """Pin several of one institution that are new to the ledger, with a dozen statements for all.

    None for one that is not new, or whose study or key one before it has: it is asked for alone.
    Rows that are there already are left alone for that reason: of several, two transactions might
    wait for one another's. Commit where any is `Pinned`; after `Overtaken` don't, and ask for each
    alone. Raises as `admit`.
    """
    institution_id = asked[0].incoming.institution_id
    known = known_among(work, institution_id, [one.incoming for one in asked])
    new = [one for one, is_known in zip(asked, known, strict=True) if not is_known]
    account = registry.payer(work, institution_id)
    try:
        decided = service.admit_each(work, account, [one.proposed_id for one in new])
        # As in `_admit_new`.
        if not work.alone and registry.payer(work, institution_id) != account:
            return Overtaken()
        admitted = [
            (one, answer)
            for one, answer in zip(new, decided, strict=True)
            if isinstance(answer, Admitted)
        ]
        if not _add_all(work, admitted, account):
            return Overtaken()
    except IntegrityError:
        # One of them is charged already (ADM-3), or of a device that is not on record.
        return Overtaken()
    answers = iter(decided)
    return [
        None if is_known else _answer(one, next(answers))
        for one, is_known in zip(asked, known, strict=True)
    ]


def _add_all(work: SqlWork, admitted: Sequence[tuple[Asked, Admitted]], account: Account) -> bool:
    """Insert their examinations and claim their studies; False where any is there already."""
    examinations = [
        examination_row(one.incoming, admission, account_id=account.id, provisional_at=None)
        for one, admission in admitted
    ]
    studies = [
        {**study_key(one.incoming), "examination_id": admission.examination_id}
        for one, admission in admitted
    ]
    return all(
        insert_all_missing(work.connection, table, rows) == len(rows)
        for table, rows in ((t.examinations, examinations), (t.examination_studies, studies))
    )


def _answer(asked: Asked, decided: service.Admission) -> Pinned | Refused:
    return decided if isinstance(decided, Refused) else pinned_new(asked, decided)
