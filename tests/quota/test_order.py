"""Orders: what may be bought (ORD-1, ORD-2), and what makes two orders the same (§9)."""

from __future__ import annotations

import pytest

from quota.account import CAPACITY, EXAM, Account, Plan
from quota.order import (
    LineRequest,
    Order,
    OrderLine,
    OrderRequest,
    OrderState,
    validity,
)
from quota.sale import check
from quota.time import isoformat
from tests.quota.makers import HOUR, NOON, an_account, an_order


@pytest.mark.parametrize("quantity", [1_000, 2_000, 999_000, 1_000_000_000])
def test_whole_thousands_are_sold(quantity: int) -> None:
    """ORD-1: at least 1,000 and whole thousands."""
    assert check(an_order(quantity), an_account()) is None


@pytest.mark.parametrize(
    "quantity", [-1_000, 0, 1, 999, 1_001, 1_500, 999_999, 1_000_001_000, 2**63]
)
def test_anything_but_whole_thousands_is_refused_by_name(quantity: int) -> None:
    """ORD-1: the refusal names the rule, and the limit holds in both directions."""
    rejected = check(an_order(quantity), an_account())

    assert rejected is not None
    assert rejected.rule == "ORD-1"


@pytest.mark.parametrize(
    "account, says",
    [
        (an_account(agreement_no=""), "agreement"),
        (an_account(agreement_no="  "), "agreement"),
        (an_account(closed_at=NOON), "closed"),
        (an_account(plan=Plan.PER_CAPACITY), "plan"),
    ],
)
def test_an_account_that_may_not_buy_is_refused_by_name(account: Account, says: str) -> None:
    """ORD-1: no order before the agreement, none once closed, none that the plan ignores."""
    rejected = check(an_order(1_000), account)

    assert rejected is not None
    assert rejected.rule == "ORD-1"
    assert says in rejected.message


@pytest.mark.parametrize(
    "lines",
    [
        (),
        (LineRequest(meter=CAPACITY, quantity=10**12),),
        (LineRequest(meter="ai:glaucoma", quantity=1_000),),
        (LineRequest(meter="", quantity=1_000),),
        (LineRequest(meter=EXAM, quantity=1_000, storage_years=0),),
        (LineRequest(meter=EXAM, quantity=1_000, storage_years=16),),
        (LineRequest(meter=EXAM, quantity=1_000), LineRequest(meter=EXAM, quantity=1)),
    ],
)
def test_one_bad_line_refuses_the_whole_order(lines: tuple[LineRequest, ...]) -> None:
    """ORD-1: nothing of a refused order is sold, whichever line is at fault."""
    rejected = check(OrderRequest(number="SO-1", account_id=1, lines=lines), an_account())

    assert rejected is not None
    assert rejected.rule == "ORD-1"


@pytest.mark.parametrize("storage_years", [1, 5, 15])
def test_examinations_are_stored_for_one_to_fifteen_years(storage_years: int) -> None:
    """The term of storage is part of what is bought."""
    assert check(an_order(1_000, storage_years=storage_years), an_account()) is None


@pytest.mark.parametrize("number", ["", "x" * 65, "SO\n1", "SO\x001", "SO\u20281"])
def test_an_order_number_that_nobody_can_read_is_refused(number: str) -> None:
    """ORD-2: 1 to 64 printable characters, for it is a key and stands in every report."""
    rejected = check(an_order(1_000, number=number), an_account())

    assert rejected is not None
    assert rejected.rule == "ORD-2"


@pytest.mark.parametrize("number", ["1", "x" * 64, "订单-7", "SO 1/2"])
def test_any_readable_order_number_is_taken(number: str) -> None:
    """ORD-2: the selling system numbers as it likes."""
    assert check(an_order(1_000, number=number), an_account()) is None


def test_the_fingerprint_is_the_contents_and_not_the_numbers() -> None:
    """§9: the same content has one fingerprint, under any number and in any object."""
    assert an_order(1_000, 2_000).fingerprint == an_order(1_000, 2_000, number="SO-2").fingerprint


def test_another_content_has_another_fingerprint() -> None:
    """§9: account, meter, quantity, years, number of lines and their order all count."""
    lines = {
        "twice as much": an_order(2_000),
        "as much": an_order(1_000),
        "in two lines": an_order(1_000, 1_000),
        "smaller first": an_order(1_000, 2_000),
        "larger first": an_order(2_000, 1_000),
        "another account": an_order(1_000, account_id=11),
        "other years": an_order(1_000, storage_years=5),
        "another meter": OrderRequest(
            number="SO-1", account_id=1, lines=(LineRequest(meter="ai:x", quantity=1_000),)
        ),
    }

    assert len({request.fingerprint for request in lines.values()}) == len(lines)


@pytest.mark.parametrize(
    "paid_at, credited_at, state",
    [
        (None, None, OrderState.PLACED),
        (NOON, None, OrderState.PAID),
        (NOON, NOON + 1, OrderState.CREDITED),
    ],
)
def test_an_order_is_placed_then_paid_then_credited(
    paid_at: int | None, credited_at: int | None, state: OrderState
) -> None:
    """ORD-2: the state is read off the instants."""
    order = Order(
        number="SO-1",
        account_id=1,
        fingerprint="",
        placed_at=NOON,
        paid_at=paid_at,
        credited_at=credited_at,
        lines=(),
    )

    assert order.state is state


def test_validity_counts_from_the_payment() -> None:
    """ORD-3, TIME-5: paid on 10 March in Shanghai, good until the end of 10 March next year."""
    line = OrderLine(
        id=1, meter=EXAM, quantity=1_000, storage_years=15, years=1, renews_package_id=None
    )

    term = validity(line, an_account(), paid_at=NOON, credited_at=NOON + HOUR, renewed=None)

    assert term.effective_at == NOON + HOUR
    assert term.expires_at is not None
    assert isoformat(term.expires_at) == "2026-03-10T16:00:00.000000Z"
