"""Ledgers to try things on: in memory and on SQLite, with a clock that is set by hand."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import event, select, update
from sqlalchemy.engine.interfaces import CacheStats

from quota import service
from quota.account import EXAM, Account, Plan
from quota.ledger import Episode
from quota.order import Order, Rejected
from quota.ports import Ledger, Work
from quota.service import Admission, Admitted, MeterReading
from quota.time import Clock, Instant
from storage import tables as t
from storage.archive import LocalArchive
from storage.engine import Database, open_database
from storage.ledger import SqlLedger
from storage.postgresql import PostgresDatabase
from storage.schema import migrate
from storage.sqlite import SqliteDatabase
from storage.verify import Report, verify
from storage.work import SqlWork
from tests.quota.makers import HOUR, NOON, an_order

DATABASE = "ledger.sqlite3"


@dataclass
class HandClock:
    """A clock that moves when it is told to."""

    at: Instant = NOON

    def __call__(self) -> Instant:
        """The time."""
        return self.at


def open_sqlite(folder: Path, clock: Clock) -> SqlLedger:
    """A ledger on the SQLite file in `folder`, made there with the current schema if need be."""
    path = folder / DATABASE
    if not path.exists():
        path.write_bytes(_migrated())
    return SqlLedger(database_in(folder), clock)


def database_in(folder: Path) -> Database:
    """The SQLite database in `folder`, as it is."""
    return open_database(f"sqlite:///{folder / DATABASE}", lock_dir=folder)


def url_of(ledger: SqlLedger) -> str:
    """Where the ledger's database is, for another process."""
    assert isinstance(ledger.database, SqliteDatabase | PostgresDatabase)
    return ledger.database.engine.url.render_as_string(hide_password=False)


@contextmanager
def counted(ledger: SqlLedger, *, unmet: bool = False) -> Iterator[list[str]]:
    """Note every statement that the ledger's database is given, or those compiled for it anew."""
    assert isinstance(ledger.database, SqliteDatabase | PostgresDatabase)
    engine, seen = ledger.database.engine, list[str]()

    def note(_c: Any, _k: Any, statement: str, _p: Any, context: Any, _m: Any) -> None:
        if not unmet or context.cache_hit is CacheStats.CACHE_MISS:
            seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


@cache
def _migrated() -> bytes:
    """The file of an empty database that `storage.schema` has brought up to date."""
    with tempfile.TemporaryDirectory() as folder:
        database = database_in(Path(folder))
        migrate(database)
        database.dispose()
        return (Path(folder) / DATABASE).read_bytes()


def add_account(
    ledger: Ledger,
    name: str = "North",
    *,
    plan: Plan = Plan.PER_EXAM,
    agreement_no: str = "AG-1",
    timezone: str = "Asia/Shanghai",
) -> Account:
    """Add an account and commit."""
    with ledger.begin() as work:
        account = work.add_account(
            name=name, plan=plan, agreement_no=agreement_no, timezone=timezone
        )
        work.commit()
    assert account is not None
    return account


def place(ledger: Ledger, account: Account, number: str, *quantities: int) -> Order | Rejected:
    """Place an order with one line per quantity and commit."""
    with ledger.begin() as work:
        placed = service.place(work, an_order(*quantities, number=number, account_id=account.id))
        work.commit()
    return placed


def place_small(ledger: Ledger, account: Account, number: str, *quantities: int) -> None:
    """Record an order that no one could place, of a few units only, so that zero is near."""
    with ledger.begin() as work:
        request = an_order(*quantities, number=number, account_id=account.id)
        work.add_order(request, placed_at=work.clock())
        work.commit()


def pay(ledger: Ledger, number: str) -> Order:
    """Pay an order and commit."""
    with ledger.begin() as work:
        order = service.pay(work, number)
        work.commit()
    return order


def credit(ledger: Ledger, number: str) -> Order:
    """Credit an order and commit."""
    with ledger.begin() as work:
        order = service.credit(work, number)
        work.commit()
    return order


def top_up(ledger: Ledger, account: Account, number: str, *quantities: int) -> Order:
    """A few units, placed, paid and credited at once."""
    place_small(ledger, account, number, *quantities)
    pay(ledger, number)
    return credit(ledger, number)


def admit(ledger: Ledger, account: Account, examination_id: str) -> Admission:
    """Admit an examination, with its row where the store has one, and commit unless refused."""
    with ledger.begin() as work:
        admission = service.admit(work, account, examination_id)
        if isinstance(admission, Admitted):
            note_examination(work, account, admission)
            work.commit()
    return admission


def admit_each(
    ledger: Ledger, account: Account, examination_ids: Sequence[str]
) -> Sequence[Admission]:
    """Admit new examinations in one transaction, and commit unless all are refused."""
    with ledger.begin() as work:
        admissions = service.admit_each(work, account, examination_ids)
        admitted = [one for one in admissions if isinstance(one, Admitted)]
        for one in admitted:
            note_examination(work, account, one)
        if admitted:
            work.commit()
    return admissions


def note_examination(work: Work, account: Account, admitted: Admitted) -> None:
    """Where the store is SQL, an admitted examination has a row, as filing would make it."""
    if not isinstance(work, SqlWork):
        return
    now = {"created_at": admitted.admitted_at}
    hospital: dict[str, object] = {"id": account.id, "account_id": account.id, **now}
    work.insert_missing(t.institutions, {**hospital, "name": f"Hospital {account.id}"})
    device: dict[str, object] = {"id": account.id, "institution_id": account.id, **now}
    work.insert_missing(t.devices, {**device, "ae_title": "CT", "grouping": "study"})
    text = dict.fromkeys(
        (
            *("study_instance_uid", "accession", "patient_id", "patient_name", "modality"),
            *("study_date", "study_description"),
        ),
        "",
    )
    row: dict[str, object] = {
        **text,
        "id": admitted.examination_id,
        "institution_id": account.id,
        "account_id": account.id,
        "device_id": account.id,
        "key": admitted.examination_id,
        "patient_id_raw": b"",
        "admitted_at": admitted.admitted_at,
        "quiet_until": admitted.admitted_at,
        "retained_until": admitted.retained_until,
    }
    if not work.insert_missing(t.examinations, row) and admitted.retained_until is not None:
        # Charged anew after a reversal: kept for as long as the later charge says (ADM-5).
        work.connection.execute(
            update(t.examinations)
            .where(
                t.examinations.c.id == admitted.examination_id,
                t.examinations.c.retained_until < admitted.retained_until,
            )
            .values(retained_until=admitted.retained_until)
        )


def reading(ledger: Ledger, account: Account) -> MeterReading:
    """What the exam meter says now."""
    with ledger.read() as view:
        return service.read_meter(view, account, EXAM)


def funder(admission: Admission) -> int | None:
    """The package that funded an admitted examination; None where it is owed."""
    assert isinstance(admission, Admitted)
    assert admission.charge is not None
    return admission.charge.package_id


def in_arrears(ledger: Ledger, account: Account, clock: HandClock) -> Episode:
    """Use one unit up and owe one; returns the open episode."""
    top_up(ledger, account, "SO-0", 1)
    admit(ledger, account, "exam-0")
    clock.at += HOUR
    admit(ledger, account, "exam-1")
    episode = reading(ledger, account).meter.episode
    assert episode is not None
    return episode


def verified(ledger: SqlLedger, *, archive_root: Path | None = None) -> Report:
    """The invariants of §12, checked."""
    with ledger.read() as view:
        archive = None if archive_root is None else LocalArchive(archive_root)
        return verify(view, archive=archive)


def failed(report: Report) -> set[int]:
    """The numbers of the invariants that do not hold."""
    return {violation.check.number for violation in report.violations}


def dump(ledger: SqlLedger) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, in the order of the tables' first columns."""
    with ledger.read() as view:
        return {
            table.name: sorted(
                (tuple(row) for row in view.connection.execute(select(table))),
                key=lambda row: tuple(map(repr, row)),
            )
            for table in t.metadata.sorted_tables
        }
