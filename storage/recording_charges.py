"""Persists several charges of one book with a statement for each table: what was decided together
is written together, for every statement is time in which nobody else is admitted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache

from sqlalchemy import Connection, Insert, insert

from quota.facts import Charged, EpisodeClosed, EpisodeOpened, Fact, NoticeRaised, Posted
from quota.ledger import LedgerAccount, Meter, Posting, PostingKind
from storage import tables as t
from storage.dialect import locks_rows
from storage.recording_meter import MOVE_REMAINING

Charge = tuple[Posting, Charged]


_ADD_ENTRIES = insert(t.entries).returning(t.entries.c.line_no)


def split(facts: Sequence[Fact]) -> tuple[list[Charge], list[Fact]]:
    """The charges, and what else there is; no charges where the order of the two matters."""
    charges: list[Charge] = []
    others: list[Fact] = []
    for fact in facts:
        match fact:
            case Charged():
                posted = others.pop()
                assert isinstance(posted, Posted), "a charge follows its posting"
                charges.append((posted.posting, fact))
            case Posted(posting=posting) if posting.kind is PostingKind.CHARGE:
                others.append(fact)
            case EpisodeOpened() | EpisodeClosed() | NoticeRaised():
                others.append(fact)
            case _ if charges:
                return [], list(facts)
            case _:
                others.append(fact)
    return charges, others


def record(connection: Connection, meter: Meter, charges: Sequence[Charge]) -> None:
    """Persist the charges; the meter is saved by whoever calls."""
    posting_ids = _add(
        connection,
        t.postings,
        [
            {
                "meter_id": meter.id,
                "kind": posting.kind,
                "effective_at": posting.effective_at,
                "recorded_at": posting.recorded_at,
                "examination_id": posting.examination_id,
            }
            for posting, _ in charges
        ],
    )
    entries = [
        {
            "posting_id": posting_id,
            "line_no": line_no,
            "account": entry.account,
            "package_id": entry.package_id,
            "amount": entry.amount,
        }
        for posting_id, (posting, _) in zip(posting_ids, charges, strict=True)
        for line_no, entry in enumerate(posting.entries)
    ]
    connection.execute(_ADD_ENTRIES, entries).all()
    moved: Counter[int | None] = Counter()
    for posting, _ in charges:
        for entry in posting.entries:
            if entry.account is LedgerAccount.PACKAGE:
                moved[entry.package_id] += entry.amount
    for package_id, amount in moved.items():
        connection.execute(MOVE_REMAINING, {"package_id": package_id, "amount": amount})
    _add(
        connection,
        t.charges,
        [
            {
                "meter_id": meter.id,
                "examination_id": charged.examination_id,
                "state": charged.state,
                "package_id": charged.package_id,
                "charged_at": charged.charged_at,
            }
            for _, charged in charges
        ],
    )


def _add(connection: Connection, table: t.Table, rows: Sequence[dict[str, object]]) -> list[int]:
    """Insert rows of an examination each; their numbers, which rise in the order given: the oldest
    owed charge is the first to be paid (§3)."""
    added = connection.execute(_numbered(table, in_order=locks_rows(connection)), rows)
    number = {row.examination_id: row.id for row in added}
    numbers = [number[row["examination_id"]] for row in rows]
    assert numbers == sorted(numbers)
    return numbers


@cache
def _numbered(table: t.Table, *, in_order: bool) -> Insert:
    # SQLite numbers the rows of one INSERT as they come; asked to warrant it, SQLAlchemy makes an
    # INSERT of each.
    return insert(table).returning(
        table.c.id, table.c.examination_id, sort_by_parameter_order=in_order
    )
