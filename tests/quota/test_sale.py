"""What is sold and what is refused by name (ORD-1), and what it costs (ORD-5)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from quota.catalogue import Catalogue, Per
from quota.order import LineRequest, OrderRequest, Rejected
from quota.price import Quote, quote
from quota.sale import check
from tests.quota.goods import GOODS
from tests.quota.makers import an_account, an_order

UNLIMITED = LineRequest(meter="ai:colorectal", quantity=0, years=0)


def order_of(*lines: LineRequest) -> OrderRequest:
    """An order with these lines, for a named institution."""
    return OrderRequest(number="SO-1", account_id=1, lines=lines, institution_id=3)


@pytest.mark.parametrize(
    "line",
    [
        LineRequest(meter="ai:glaucoma", quantity=1_000),
        LineRequest(meter="ai:report-assistant", quantity=7_000),
        LineRequest(meter="licence:basic", quantity=1, years=3),
        LineRequest(meter="licence:mobile", quantity=1, consortium_id=2),
        LineRequest(meter="service:delivery", quantity=1),
        LineRequest(meter="service:maintenance", quantity=1, years=0, months=7),
        LineRequest(meter="service:maintenance", quantity=1, years=2),
    ],
)
def test_what_the_catalogue_lists_is_sold(line: LineRequest) -> None:
    """On either plan: nothing but examinations and capacity depends on it (STATE-5)."""
    assert check(order_of(line), an_account(), catalogue=GOODS) is None
    assert isinstance(quote([line], GOODS), Quote)


@pytest.mark.parametrize(
    "line",
    [
        LineRequest(meter="ai:glaucoma", quantity=999),
        LineRequest(meter="ai:glaucoma", quantity=1_500),
        LineRequest(meter="ai:glaucoma", quantity=-1_000),
        LineRequest(meter="ai:glaucoma", quantity=0),
        LineRequest(meter="ai:glaucoma", quantity=10**12),
        LineRequest(meter="ai:glaucoma", quantity=1_000, years=2),
        LineRequest(meter="ai:pneumonia", quantity=1_000),
        LineRequest(meter="ai:colorectal", quantity=1_000),
        LineRequest(meter="ai:report-assistant", quantity=0, years=0),
        LineRequest(meter="ai:", quantity=1_000),
        LineRequest(meter="licence:teleportation", quantity=1),
        LineRequest(meter="licence:basic", quantity=2),
        LineRequest(meter="licence:basic", quantity=1, years=0),
        LineRequest(meter="licence:basic", quantity=1, years=16),
        LineRequest(meter="licence:basic", quantity=1, renews_package_id=1),
        LineRequest(meter="licence:basic", quantity=1, years=0, months=6),
        LineRequest(meter="service:development", quantity=1),
        LineRequest(meter="service:juggling", quantity=1),
        LineRequest(meter="service:delivery", quantity=1, years=2),
        LineRequest(meter="service:delivery", quantity=1, months=2),
        LineRequest(meter="service:delivery", quantity=1, consortium_id=1),
        LineRequest(meter="service:maintenance", quantity=1, years=1, months=2),
        LineRequest(meter="service:maintenance", quantity=1, years=0),
        LineRequest(meter="service:maintenance", quantity=1, years=0, months=-1),
        LineRequest(meter="exam", quantity=1_000, months=1),
        LineRequest(meter="exam", quantity=1_000, consortium_id=1),
        LineRequest(meter="exam", quantity=1_000, renews_licence_id=1),
    ],
)
def test_what_is_not_sold_is_refused_by_name(line: LineRequest) -> None:
    """ORD-1, whether it is ordered or only asked for its price."""
    for refused in (
        check(order_of(line), an_account(), catalogue=GOODS, by_operator=True),
        quote([line], GOODS),
    ):
        assert isinstance(refused, Rejected)
        assert refused.rule == "ORD-1"


def test_ai_without_limit_is_sold_by_an_operator_only() -> None:
    """ORD-1: one-time AI purchases are not sold online."""
    refused = check(order_of(UNLIMITED), an_account(), catalogue=GOODS)

    assert isinstance(refused, Rejected)
    assert (refused.rule, "operator" in refused.message) == ("ORD-1", True)
    assert check(order_of(UNLIMITED), an_account(), catalogue=GOODS, by_operator=True) is None


def test_an_order_of_before_there_were_licences_keeps_its_fingerprint() -> None:
    """§9: a second delivery of an order on record must find it, whatever version wrote it."""
    request = an_order(1_000, 2_000, account_id=7)

    assert request.fingerprint == (
        "c27ec2308ee8a21318ba932d288bea1ce01fd3de134d79e8645a357359b7ce08"
    )


def test_everything_that_is_bought_is_in_the_fingerprint() -> None:
    """§9: licences, terms in months, scopes and whom the order is for count as content."""
    line = LineRequest(meter="licence:mobile", quantity=1)
    orders = [
        order_of(line),
        replace(order_of(line), institution_id=4),
        replace(order_of(line), institution_id=None),
        order_of(replace(line, months=1)),
        order_of(replace(line, consortium_id=1)),
        order_of(replace(line, consortium_id=2)),
        order_of(replace(line, renews_licence_id=1)),
        order_of(replace(line, meter="licence:basic")),
        order_of(replace(line, years=2)),
    ]

    assert len({request.fingerprint for request in orders}) == len(orders)


@pytest.mark.parametrize(
    "line, amount",
    [
        (LineRequest(meter="exam", quantity=1_000, storage_years=5), 1_000 * 200),
        (LineRequest(meter="exam", quantity=1_000, storage_years=15), 1_000 * 200 * 3),
        (LineRequest(meter="exam", quantity=2_000, storage_years=6), 2_000 * 200 * 2),
        (LineRequest(meter="exam", quantity=1_000, storage_years=1), 1_000 * 200),
        (LineRequest(meter="capacity", quantity=10**12, years=5), 600_000 * 5),
        (LineRequest(meter="capacity", quantity=3 * 10**12, years=2), 3 * 600_000 * 2),
        (LineRequest(meter="ai:glaucoma", quantity=2_000), 2_000 * 500),
        (UNLIMITED, 40_000_000),
        (LineRequest(meter="licence:basic", quantity=1, years=3), 15_000_000),
        (LineRequest(meter="service:delivery", quantity=1), 2_000_000),
        (LineRequest(meter="service:maintenance", quantity=1, years=0, months=7), 1_400_000),
        (LineRequest(meter="service:maintenance", quantity=1, years=2), 4_000_000),
    ],
)
def test_the_price_is_the_domains(line: LineRequest, amount: int) -> None:
    """ORD-5: 1,000 × unit price per 5 years; TB × years × unit price; no float anywhere."""
    quoted = quote([line], GOODS)

    assert isinstance(quoted, Quote)
    assert (quoted.total, quoted.currency) == (amount, "CNY")
    assert isinstance(quoted.total, int)


def test_the_total_is_the_sum_of_the_lines() -> None:
    """Exact for amounts beyond what a float holds."""
    lines = [LineRequest(meter="exam", quantity=1_000_000_000)] * 3
    dear = Catalogue(
        currency="CNY",
        items={"exam": replace(GOODS.items["exam"], prices={Per.EXAM_5_YEARS: 10**15 - 1})},
    )

    quoted = quote(lines, dear)

    assert isinstance(quoted, Quote)
    assert quoted.total == 9 * 10**9 * (10**15 - 1)
