"""Values for the quota tests: complete, plain, and told apart by what the test names."""

from __future__ import annotations

from datetime import UTC, datetime

from quota.account import EXAM, Account, Plan
from quota.ledger import Episode, Meter
from quota.order import LineRequest, OrderRequest
from quota.package import Package
from quota.standing import Standing
from quota.time import MICROSECONDS_PER_SECOND, Instant, to_instant

SECOND = MICROSECONDS_PER_SECOND
HOUR = 3_600 * SECOND
DAY = 24 * HOUR
NOON = to_instant(datetime(2025, 3, 10, 12, tzinfo=UTC))
"""An ordinary instant to begin with."""


def an_account(
    *,
    plan: Plan = Plan.PER_EXAM,
    agreement_no: str = "AG-1",
    timezone: str = "Asia/Shanghai",
    closed_at: Instant | None = None,
) -> Account:
    """An account, by default one that may buy examinations."""
    return Account(
        id=1,
        name="North Hospital",
        plan=plan,
        agreement_no=agreement_no,
        timezone=timezone,
        created_at=NOON,
        closed_at=closed_at,
    )


def an_order(
    *quantities: int, number: str = "SO-1", account_id: int = 1, storage_years: int = 15
) -> OrderRequest:
    """An order with one line of examinations per quantity."""
    return OrderRequest(
        number=number,
        account_id=account_id,
        lines=tuple(
            LineRequest(meter=EXAM, quantity=quantity, storage_years=storage_years)
            for quantity in quantities
        ),
    )


def a_package(
    package_id: int = 1,
    *,
    quantity: int = 1_000,
    remaining: int | None = None,
    credited_at: Instant = NOON,
    expires_at: Instant | None = NOON + 365 * DAY,
) -> Package:
    """A package, full unless `remaining` says otherwise."""
    return Package(
        id=package_id,
        meter_id=1,
        order_line_id=package_id,
        quantity=quantity,
        remaining=quantity if remaining is None else remaining,
        purchased_at=credited_at,
        effective_at=credited_at,
        activated_at=credited_at,
        expires_at=expires_at,
        credited_at=credited_at,
        storage_years=15,
        voided_at=None,
        ended_at=None,
    )


def a_meter(*, last_at: Instant = 0, episode: Episode | None = None, **balances: int) -> Meter:
    """The exam meter with the given balances."""
    return Meter(id=1, account_id=1, name=EXAM, last_at=last_at, episode=episode, **balances)


def a_standing(
    *,
    provisioned: bool = True,
    closed: bool = False,
    free: int = 0,
    owed: int = 0,
    low_threshold: int = 100,
    deadline: Instant | None = None,
) -> Standing:
    """A standing; by default provisioned and empty."""
    return Standing(
        provisioned=provisioned,
        closed=closed,
        free=free,
        owed=owed,
        low_threshold=low_threshold,
        deadline=deadline,
    )
