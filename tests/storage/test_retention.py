"""The list of ended retentions on both databases: by storage years, by capacity, by page (§8)."""

from __future__ import annotations

import random
from typing import Any

import pytest
from sqlalchemy import event

from quota import service
from quota.account import CAPACITY, Account, Plan
from quota.order import TERABYTE, LineRequest, OrderRequest
from quota.service import Admitted
from storage import tables as t
from storage.deletion import Deleted, Retained, delete_examination
from storage.ledger import SqlLedger
from storage.retention import retention_ended
from tests.quota.makers import DAY, an_order
from tests.quota.test_time import utc
from tests.storage import kit
from tests.storage.kit import HandClock, add_account, admit


@pytest.fixture(params=["sound_sqlite", "postgresql"])
def sql(request: pytest.FixtureRequest) -> SqlLedger:
    """An empty ledger on each database; it is noon UTC of 10 March 2025."""
    ledger: SqlLedger = request.getfixturevalue(request.param)
    return ledger


def name(number: int) -> str:
    """An examination's id as the gateway would make it."""
    return f"0198c2a4-7d1e-7b52-9a31-{number:012x}"


def buy_years(ledger: SqlLedger, payer: Account, number: str, years: int, units: int = 1) -> None:
    """Examinations that are stored for so many years."""
    request = an_order(units, number=number, account_id=payer.id, storage_years=years)
    with ledger.begin() as work:
        work.add_order(request, placed_at=work.clock())
        work.commit()
    kit.pay(ledger, number)
    kit.credit(ledger, number)


def buy_bytes(ledger: SqlLedger, payer: Account, number: str, renews: int | None = None) -> None:
    """One TB for a year."""
    line = LineRequest(meter=CAPACITY, quantity=TERABYTE, renews_package_id=renews)
    request = OrderRequest(number=number, account_id=payer.id, lines=(line,))
    with ledger.begin() as work:
        service.place(work, request)
        work.commit()
    kit.pay(ledger, number)
    kit.credit(ledger, number)


def page(ledger: SqlLedger, **wanted: object) -> list[str]:
    """The ids of one page."""
    with ledger.read() as view:
        found = retention_ended(view, **{"limit": 100, **wanted})  # type: ignore[arg-type]
    assert found is not None
    return [row.id for row in found]


def pages(ledger: SqlLedger, limit: int, **wanted: object) -> list[str]:
    """All pages, each behind the last row of the one before."""
    found = page(ledger, limit=limit, **wanted)
    whole = list(found)
    while found:
        found = page(ledger, limit=limit, before=whole[-1], **wanted)
        whole += found
    return whole


@pytest.mark.parametrize("years", [1, 5, 15])
def test_an_examination_is_kept_for_the_years_of_what_paid_for_it(
    sql: SqlLedger, clock: HandClock, years: int
) -> None:
    """Listed at the very end of its term, deletable from there on without an override."""
    payer = add_account(sql)
    buy_years(sql, payer, "SO-1", years)
    admission = admit(sql, payer, name(1))
    assert isinstance(admission, Admitted)
    until = admission.retained_until
    assert until == admission.admitted_at + (utc(f"{2025 + years}-03-10") - utc("2025-03-10"))
    clock.at = until - 1
    assert page(sql) == []
    assert isinstance(_delete(sql, name(1)), Retained)
    clock.at = until
    assert page(sql) == [name(1)]
    assert isinstance(_delete(sql, name(1)), Deleted)
    assert page(sql) == []


def test_what_is_owed_is_kept_for_the_longest_term(sql: SqlLedger, clock: HandClock) -> None:
    """15 years, and a package of one year that pays for it later shortens nothing."""
    payer = add_account(sql)
    buy_years(sql, payer, "SO-1", 1)
    admit(sql, payer, name(1))
    admit(sql, payer, name(2))
    buy_years(sql, payer, "SO-2", 1, units=2)
    clock.at = utc("2026-03-11 00:00")
    assert page(sql) == [name(1)]
    clock.at = utc("2040-03-11 00:00")
    assert page(sql) == [name(2), name(1)]


def test_capacity_keeps_everything_until_its_last_package_ends(
    sql: SqlLedger, clock: HandClock
) -> None:
    """A renewal keeps it on; after the last end all are listed at once, without a sweeper."""
    payer = add_account(sql, "Bytes", plan=Plan.PER_CAPACITY)
    buy_bytes(sql, payer, "C-1")
    admit(sql, payer, name(1))
    buy_bytes(sql, payer, "C-2", renews=1)
    admit(sql, payer, name(2))
    clock.at += 600 * DAY
    assert page(sql) == []
    assert isinstance(_delete(sql, name(1)), Retained)
    clock.at = utc("2027-03-10 16:00") - 1
    assert page(sql) == []
    clock.at += 1
    assert page(sql) == [name(2), name(1)]
    with sql.read() as view:
        found = retention_ended(view, limit=1)
    assert found is not None
    assert (found[0].retained_until, found[0].ended_at) == (None, clock.at)
    assert isinstance(_delete(sql, name(2)), Deleted)
    assert page(sql) == [name(1)]
    buy_bytes(sql, payer, "C-3")
    assert page(sql) == []


def test_no_page_loses_or_repeats_anything(sql: SqlLedger, clock: HandClock) -> None:
    """Terms, equal instants and two capacities that ended at once, in pages of any size."""
    expected = _mixed(sql, clock)
    assert len(expected) == 40
    for limit in (1, 3, 7, 39, 40, 41):
        assert pages(sql, limit) == expected
    assert sorted(pages(sql, 2, account_id=1) + pages(sql, 3, account_id=2)) == sorted(
        one for one in expected if one in {*page(sql, account_id=1), *page(sql, account_id=2)}
    )
    assert pages(sql, 4, institution_id=3) == page(sql, institution_id=3) != []


def test_deleting_what_a_page_showed_shifts_nothing(sql: SqlLedger, clock: HandClock) -> None:
    """Whoever works the list off goes on behind the last one, deleted or not."""
    expected = _mixed(sql, clock)
    done: list[str] = []
    while found := page(sql, limit=6, before=done[-1] if done else None):
        for one in found:
            assert isinstance(_delete(sql, one), Deleted)
        done += found
    assert done == expected
    assert page(sql) == []


def test_the_list_does_not_go_on_behind_what_is_kept(sql: SqlLedger, clock: HandClock) -> None:
    """An id that is unknown, or whose retention goes on, is no place in the list."""
    payer = add_account(sql)
    buy_years(sql, payer, "SO-1", 5)
    admit(sql, payer, name(1))
    with sql.read() as view:
        assert retention_ended(view, limit=1, before=name(1)) is None
        assert retention_ended(view, limit=1, before="unknown") is None


def test_the_list_is_read_from_its_indexes(sqlite: SqlLedger, clock: HandClock) -> None:
    """What is kept or deleted is not even looked at, however much there is."""
    _mixed(sqlite, clock)
    asked: list[tuple[str, Any]] = []
    with sqlite.read() as view:
        event.listen(
            view.connection,
            "before_cursor_execute",
            lambda _connection, _cursor, statement, parameters, _context, _many: asked.append(
                (statement, parameters)
            ),
        )
        first = retention_ended(view, limit=2)
        assert first is not None
        assert retention_ended(view, limit=2, before=first[-1].id)
        plans = [
            [row.detail for row in view.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", p)]
            for sql, p in asked.copy()
            if "FROM examinations JOIN" in sql
        ]
    assert len(plans) == 6, "by term and by each capacity, for either page"
    for plan in plans:
        assert any("ix_examinations_retained" in line or "by_capacity" in line for line in plan)
        assert not any("SCAN" in line or "B-TREE" in line for line in plan), plan


def _delete(ledger: SqlLedger, examination_id: str) -> Deleted | Retained:
    with ledger.begin() as work:
        result = delete_examination(
            work, examination_id, actor="ann", reason="over", override=False
        )
        if isinstance(result, Deleted):
            work.commit()
    return result


def _mixed(ledger: SqlLedger, clock: HandClock) -> list[str]:
    """40 examinations of four accounts whose retention is over, and some whose is not.

    Returns their ids in the order of the list.
    """
    rng = random.Random(7)
    accounts = [add_account(ledger, f"Exams {n}") for n in range(2)]
    accounts += [add_account(ledger, f"Bytes {n}", plan=Plan.PER_CAPACITY) for n in range(2)]
    for n, account in enumerate(accounts):
        if account.plan is Plan.PER_EXAM:
            buy_years(ledger, account, f"SO-{n}", 1, units=10)
            buy_years(ledger, account, f"SO-{n}-long", 15, units=3)
        else:
            buy_bytes(ledger, account, f"SO-{n}")
    numbers = rng.sample(range(1_000), 52)
    for account in accounts:
        for _ in range(13 if account.plan is Plan.PER_EXAM else 10):
            admit(ledger, account, name(numbers.pop()))
            clock.at += rng.choice([0, 1, DAY])
    clock.at = utc("2027-01-01 00:00")
    with ledger.read() as view:
        rows = view.connection.execute(
            t.examinations.select().where(
                t.examinations.c.retained_until.is_(None)
                | (t.examinations.c.retained_until <= clock.at)
            )
        ).all()
        found = retention_ended(view, limit=100)
    assert found is not None
    ended = {row.id: row.ended_at for row in found}
    assert set(ended) == {row.id for row in rows}
    return sorted(ended, key=lambda one: (ended[one], one), reverse=True)
