"""What is left of packages, as of now, on both databases (§11)."""

from __future__ import annotations

import pytest

from quota import service
from quota.account import CAPACITY, EXAM, Account, Plan
from quota.order import TERABYTE, LineRequest, OrderRequest
from storage import packages
from storage.ledger import SqlLedger
from storage.packages import Stock, overview, stocks
from tests.quota.makers import DAY
from tests.storage import calls, kit
from tests.storage.kit import HandClock, add_account, admit, top_up
from tests.storage.operator import void_order


@pytest.fixture(params=["sound_sqlite", "postgresql"])
def sql(request: pytest.FixtureRequest) -> SqlLedger:
    """An empty ledger on each database."""
    ledger: SqlLedger = request.getfixturevalue(request.param)
    return ledger


@pytest.fixture
def payer(sql: SqlLedger) -> Account:
    """An account that has bought nothing."""
    return add_account(sql)


def listed(ledger: SqlLedger, account: Account) -> list[tuple[str, str, int]]:
    """Order, state and what is left, in the order of the list."""
    with ledger.read() as view:
        return [(stock.order_no, stock.state.value, stock.left) for stock in stocks(view, account)]


def test_what_is_used_next_comes_first_and_what_is_over_last(
    sql: SqlLedger, payer: Account, clock: HandClock
) -> None:
    """BURN over what can be used; then used up, expired and voided. A sweeper is not needed."""
    top_up(sql, payer, "SO-1", 2)
    clock.at += 300 * DAY
    top_up(sql, payer, "SO-2", 1)
    top_up(sql, payer, "SO-3", 5)
    top_up(sql, payer, "SO-4", 7)
    assert [order for order, _, _ in listed(sql, payer)] == ["SO-1", "SO-2", "SO-3", "SO-4"]
    admit(sql, payer, "exam-1")
    void_order(sql, "SO-4")
    clock.at += 100 * DAY
    assert listed(sql, payer) == [
        ("SO-2", "active", 1),
        ("SO-3", "active", 5),
        ("SO-1", "expired", 0),
        ("SO-4", "voided", 0),
    ]
    admit(sql, payer, "exam-2")
    assert listed(sql, payer)[:3] == [
        ("SO-3", "active", 5),
        ("SO-1", "expired", 0),
        ("SO-2", "used_up", 0),
    ]


def test_a_hold_that_ended_unseen_has_given_its_calls_back(
    sql: SqlLedger, payer: Account, clock: HandClock
) -> None:
    """TIME-4: the units are there, though nobody recorded it. An unlimited one stays active."""
    calls.buy_calls(sql, payer, "AI-1", 3)
    calls.hold(sql, payer, "a", 3, ttl_s=60)
    assert listed(sql, payer) == [("AI-1", "used_up", 0)]
    clock.at += DAY
    assert listed(sql, payer) == [("AI-1", "active", 3)]
    calls.buy_calls(sql, payer, "AI-2", 0)
    assert listed(sql, payer)[1] == ("AI-2", "active", 0)


def test_a_renewal_lies_ahead_until_it_begins(sql: SqlLedger, clock: HandClock) -> None:
    """ORD-4; of capacity all is left until it ends, for bytes are a level and burn nothing."""
    payer = add_account(sql, "Bytes", plan=Plan.PER_CAPACITY)
    for number, renews in (("C-1", None), ("C-2", 1)):
        line = LineRequest(meter=CAPACITY, quantity=TERABYTE, renews_package_id=renews)
        request = OrderRequest(number=number, account_id=payer.id, lines=(line,))
        with sql.begin() as work:
            service.place(work, request)
            work.commit()
        kit.pay(sql, number)
        kit.credit(sql, number)
    assert listed(sql, payer) == [("C-1", "active", TERABYTE), ("C-2", "ahead", TERABYTE)]
    clock.at += 370 * DAY
    assert listed(sql, payer) == [("C-2", "active", TERABYTE), ("C-1", "expired", 0)]


def test_what_is_left_adds_up_to_what_is_available(
    sql: SqlLedger, payer: Account, clock: HandClock
) -> None:
    """The list and the meter are two views of one thing; accounts do not mix."""
    other = add_account(sql, "South")
    top_up(sql, other, "SO-9", 9)
    for n in range(4):
        top_up(sql, payer, f"SO-{n}", n + 1)
        admit(sql, payer, f"exam-{n}")
        clock.at += 150 * DAY
        with sql.read() as view:
            found: list[Stock] = list(stocks(view, payer))
            available = service.read_meter(view, payer, EXAM).available
        assert sum(stock.left for stock in found) == available
        assert len(found) == n + 1


def test_an_overview_leaves_out_only_what_there_is_too_much_of(
    sql: SqlLedger, payer: Account, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever has happened to packages, the list and the overview agree; calls are units too."""
    for n in range(3):
        top_up(sql, payer, f"SO-{n}", n + 1)
        admit(sql, payer, f"exam-{n}")
        clock.at += 150 * DAY
    calls.buy_calls(sql, payer, "AI-1", 3)
    calls.hold(sql, payer, "a", 3, ttl_s=60)
    calls.buy_calls(sql, payer, "AI-2", 0)
    clock.at += DAY
    with sql.read() as view:
        every, found = stocks(view, payer), overview(view, payer)
    assert (found.stocks, found.more) == (every, 0)
    monkeypatch.setattr(packages, "USABLE_SHOWN", 1)
    monkeypatch.setattr(packages, "OVER_SHOWN", 1)
    with sql.read() as view:
        found = overview(view, payer)
    shown = [(stock.order_no, stock.state.value, stock.left) for stock in found.stocks]
    assert shown == [("SO-2", "active", 3), ("SO-1", "used_up", 0), ("AI-1", "active", 3)]
    assert found.more == len(every) - len(found.stocks)
