"""Statements on both databases: months by booked time, sums and lines as the journal says (§11)."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from quota import correction, service
from quota.account import CAPACITY, EXAM, Account, Plan
from quota.order import TERABYTE, LineRequest, OrderRequest
from quota.statement import Balances, Finality, Level, Line, MeterStatement, Month, Moves
from storage import statements
from storage.ledger import SqlLedger
from tests.quota.makers import DAY, HOUR
from tests.quota.test_time import utc
from tests.storage import calls, kit
from tests.storage.adding_up import assert_statements_add_up
from tests.storage.kit import HandClock, add_account, admit, top_up
from tests.storage.operator import ME, act, reverse, void_order
from tests.storage.past import Copy

MARCH = Month(year=2025, month=3)
APRIL = Month(year=2025, month=4)


@pytest.fixture(params=["sound_sqlite", "postgresql"])
def sql(request: pytest.FixtureRequest) -> SqlLedger:
    """An empty ledger on each database; it is noon UTC of 10 March 2025."""
    ledger: SqlLedger = request.getfixturevalue(request.param)
    return ledger


@pytest.fixture
def payer(sql: SqlLedger) -> Account:
    """An account in Shanghai that has bought nothing."""
    return add_account(sql)


def of(ledger: SqlLedger, account: Account, month: Month, meter: str = EXAM) -> MeterStatement:
    """One meter of a month's statement."""
    with ledger.read() as view:
        found = statements.statement(view, account, month)
    return next(one for one in found.meters if one.meter == meter)


def lines(ledger: SqlLedger, account: Account, month: Month) -> list[Line]:
    """The lines of a month."""
    with ledger.read() as view:
        return list(statements.lines(view, account, month))


def test_a_month_of_examinations_is_told_move_by_move(
    sql: SqlLedger, payer: Account, clock: HandClock
) -> None:
    """Bought, used, owed, paid off, taken back, forgiven, voided: each under its own name."""
    top_up(sql, payer, "SO-1", 2)
    for n in range(5):
        admit(sql, payer, f"exam-{n}")
    reverse(sql, payer, "exam-4")
    act(sql, lambda work: correction.write_off(work, payer, units=1, by=ME))
    top_up(sql, payer, "SO-2", 3)
    reverse(sql, payer, "exam-0")
    void_order(sql, "SO-2")

    told = of(sql, payer, MARCH)

    assert told.moves == Moves(
        purchased=5,
        used=2,
        owed=3,
        offset=1,
        reversed=1,
        reversed_owed=1,
        written_off=1,
        voided=2,
    )
    assert told.opening == Balances()
    assert told.closing == Balances(available=1, purchased=5, used=2, voided=2, written_off=1)
    assert (told.finality, told.pending) == (Finality.OPEN, 0)
    assert_statements_add_up(sql)


def test_the_booked_instant_decides_and_not_the_sweeper(
    sql: SqlLedger, payer: Account, clock: HandClock
) -> None:
    """What lapses on 11 March counts in March of the next year, though recorded in April (TIME-3).

    Before anybody records it, it is counted as pending (TIME-4).
    """
    top_up(sql, payer, "SO-1", 3)
    lapse = Month(year=2026, month=3)
    clock.at = utc("2026-04-20 08:00")
    pending = of(sql, payer, lapse)
    assert (pending.moves, pending.pending) == (Moves(expired=3), 1)
    assert pending.finality is Finality.PROVISIONAL
    (line,) = lines(sql, payer, lapse)
    assert (line.source, line.id, line.recorded_at, line.moves.expired) == (
        "pending",
        None,
        None,
        3,
    )

    top_up(sql, payer, "SO-2", 1)

    recorded = of(sql, payer, lapse)
    assert (recorded.moves, recorded.closing) == (pending.moves, pending.closing)
    assert (recorded.pending, recorded.finality) == (0, Finality.FINAL)
    (line,) = lines(sql, payer, lapse)
    assert line.booked_at == utc("2026-03-10 16:00")
    assert line.recorded_at == clock.at
    assert of(sql, payer, lapse.next()).moves == Moves(purchased=1)
    assert_statements_add_up(sql)


@pytest.mark.parametrize(
    ("zone", "month"), [("Asia/Shanghai", 4), ("Europe/Berlin", 4), ("America/Havana", 11)]
)
def test_the_last_microsecond_is_of_this_month_and_the_next_of_the_next(
    sql: SqlLedger, clock: HandClock, zone: str, month: int
) -> None:
    """Half-open, on the account's own wall clock (TIME-2); Havana's midnight comes twice."""
    payer = add_account(sql, "Edge", timezone=zone)
    following = Month(year=2026, month=month)
    start, _ = following.span(payer.zone)
    clock.at = start - DAY
    top_up(sql, payer, "SO-1", 5)
    clock.at = start - 1
    admit(sql, payer, "last")
    admit(sql, payer, "first")

    before = of(sql, payer, Month(year=2026, month=month - 1))

    assert before.moves == Moves(purchased=5, used=1)
    assert before.finality is Finality.FINAL
    assert of(sql, payer, following).moves == Moves(used=1)
    (line,) = lines(sql, payer, following)
    assert (line.booked_at, line.examination_id) == (start, "first")
    assert_statements_add_up(sql)


def test_a_package_that_ends_with_the_month_lapses_in_the_next(
    sql: SqlLedger, clock: HandClock
) -> None:
    """Unusable from the first instant on, and booked there: the closing still has it (TIME-5)."""
    payer = add_account(sql, "Edge", timezone="Europe/Berlin")
    clock.at = utc("2024-03-31 10:00")
    top_up(sql, payer, "SO-1", 4)
    clock.at = utc("2025-06-01 00:00")
    assert of(sql, payer, MARCH).closing.available == 4
    april = of(sql, payer, APRIL)
    assert (april.opening.available, april.moves.expired, april.closing.available) == (4, 4, 0)
    (line,) = lines(sql, payer, APRIL)
    assert line.booked_at == APRIL.span(payer.zone)[0]


def test_ai_calls_are_set_aside_in_one_month_and_used_in_the_next(
    sql: SqlLedger, payer: Account, clock: HandClock
) -> None:
    """`held` is a change: up where calls are set aside, down where they are used or given back."""
    end = APRIL.span(payer.zone)[0]
    clock.at = end - HOUR
    calls.buy_calls(sql, payer, "AI-1", 10)
    calls.hold(sql, payer, "a", 4, ttl_s=7_200)
    calls.hold(sql, payer, "b", 3, ttl_s=600)
    clock.at = end + 60_000_000
    calls.post(sql, payer, "a", 1)

    march, april = (of(sql, payer, month, calls.METER) for month in (MARCH, APRIL))

    # "b" ended by itself at ten past eleven: booked in March, recorded in April.
    assert march.moves == Moves(purchased=10, held=4)
    assert (march.closing.available, march.closing.held) == (6, 4)
    assert april.moves == Moves(used=1, held=-4)
    assert april.closing == Balances(available=9, purchased=10, used=1)
    assert_statements_add_up(sql)


def test_capacity_tells_level_and_limit(sql: SqlLedger, clock: HandClock) -> None:
    """Bytes opening, added, freed, closing; the limit of what is active when the month ends."""
    payer = add_account(sql, "Bytes", plan=Plan.PER_CAPACITY)

    def move(delta: int) -> None:
        with sql.begin() as work:
            service.move_level(work, service.open_level(work, payer), delta)
            work.commit()

    move(7)
    assert of(sql, payer, MARCH, CAPACITY).level == Level(opening=0, added=7, freed=0, limit=None)
    buy_capacity(sql, payer, "C-1", None)
    clock.at += 30 * DAY
    move(TERABYTE)
    move(-3)

    march, april = (of(sql, payer, month, CAPACITY).level for month in (MARCH, APRIL))

    assert march == Level(opening=0, added=7, freed=0, limit=TERABYTE)
    assert april == Level(opening=7, added=TERABYTE, freed=3, limit=TERABYTE)
    assert (april.closing, april.over_limit) == (TERABYTE + 4, 4)
    clock.at += 400 * DAY
    ended = of(sql, payer, Month(year=2026, month=3), CAPACITY)
    assert (ended.moves.expired, ended.pending) == (TERABYTE, 1)
    assert ended.level == Level(opening=TERABYTE + 4, added=0, freed=0, limit=0)
    assert ended.level.over_limit == TERABYTE + 4
    move(-TERABYTE - 4)
    assert_statements_add_up(sql)


def buy_capacity(ledger: SqlLedger, payer: Account, number: str, renews: int | None) -> None:
    """One TB for a year, placed, paid and credited."""
    line = LineRequest(meter=CAPACITY, quantity=TERABYTE, renews_package_id=renews)
    request = OrderRequest(number=number, account_id=payer.id, lines=(line,))
    act(ledger, lambda work: service.place(work, request))
    kit.pay(ledger, number)
    kit.credit(ledger, number)


def test_a_renewal_lies_ahead_of_the_limit_until_it_begins(
    sql: SqlLedger, clock: HandClock
) -> None:
    """ORD-4: bought early, it counts from the end of the renewed package, without a gap."""
    payer = add_account(sql, "Bytes", plan=Plan.PER_CAPACITY)
    buy_capacity(sql, payer, "C-1", None)
    buy_capacity(sql, payer, "C-2", 1)
    clock.at += 800 * DAY
    for month, limit in (("2025-03", 1), ("2026-02", 1), ("2026-03", 1), ("2027-03", 0)):
        parsed = Month.parse(month)
        assert parsed is not None
        level = of(sql, payer, parsed, CAPACITY).level
        assert level is not None
        assert level.limit == limit * TERABYTE, month


def test_an_account_without_a_past_has_an_empty_statement(sql: SqlLedger, payer: Account) -> None:
    """No meter, no line, and the month it is now."""
    with sql.read() as view:
        assert statements.current_month(view, payer) == MARCH
        assert statements.statement(view, payer, MARCH).meters == ()
    assert lines(sql, payer, MARCH) == []


def test_accounts_do_not_see_each_other(sql: SqlLedger, payer: Account) -> None:
    """Each statement has its own account's postings only."""
    other = add_account(sql, "South")
    top_up(sql, payer, "SO-1", 2)
    top_up(sql, other, "SO-2", 7)
    admit(sql, other, "exam-1")
    assert of(sql, payer, MARCH).moves == Moves(purchased=2)
    assert of(sql, other, MARCH).moves == Moves(purchased=7, used=1)
    assert_statements_add_up(sql)


def test_a_past_of_years_adds_up(copy: Copy, clock: HandClock) -> None:
    """Lapses, arrears, top-ups: every month, to the entry, with a lapse due and not recorded."""
    with copy.ledger.read() as view:
        clock.at = view.connection.execute(text("SELECT max(last_at) FROM meters")).scalar_one()
    months = assert_statements_add_up(copy.ledger)
    assert months >= 5
    clock.at += 800 * DAY
    assert assert_statements_add_up(copy.ledger) > months
