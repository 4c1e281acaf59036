"""Orders: what may be bought, and how one becomes a package (quota.md §4)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum

from quota.account import EXAM, Account
from quota.time import Instant, one_year_expiry

UNITS_PER_EXAM_LINE = 1_000
UNITS_MAX = 1_000_000_000
"""A limit on everything: no line sells more units than this."""
STORAGE_YEARS_MAX = 15
ORDER_NUMBER_LENGTH_MAX = 64


class OrderState(StrEnum):
    """ORD-2: placed -> paid -> credited."""

    PLACED = "placed"
    PAID = "paid"
    CREDITED = "credited"


@dataclass(frozen=True, kw_only=True, slots=True)
class LineRequest:
    """What a buyer asks for: `quantity` in the unit of `meter`, stored for `storage_years`."""

    meter: str
    quantity: int
    storage_years: int = STORAGE_YEARS_MAX


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderLine:
    """One line of an order on record; it becomes exactly one package."""

    id: int
    meter: str
    quantity: int
    storage_years: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """An order of the selling system, known by its number."""

    number: str
    account_id: int
    fingerprint: str
    placed_at: Instant
    paid_at: Instant | None
    credited_at: Instant | None
    lines: tuple[OrderLine, ...]

    @property
    def state(self) -> OrderState:
        """How far the order has come."""
        if self.credited_at is not None:
            return OrderState.CREDITED
        return OrderState.PLACED if self.paid_at is None else OrderState.PAID


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejected:
    """The order, or what was asked of it, is refused by `rule`; nothing was written."""

    rule: str
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderRequest:
    """An order as it arrives."""

    number: str
    account_id: int
    lines: tuple[LineRequest, ...]

    @property
    def fingerprint(self) -> str:
        """Equal iff the content is: the second half of the idempotency key (§9)."""
        lines = [(line.meter, line.quantity, line.storage_years) for line in self.lines]
        content = json.dumps([self.account_id, lines], separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()


def check(request: OrderRequest, account: Account) -> Rejected | None:
    """ORD-1 and ORD-2: why the order can't be placed for `account`, or None if it can."""
    if not 0 < len(request.number) <= ORDER_NUMBER_LENGTH_MAX or not request.number.isprintable():
        return Rejected(
            rule="ORD-2",
            message=f"an order number has 1 to {ORDER_NUMBER_LENGTH_MAX} printable characters",
        )
    if account.closed_at is not None:
        return Rejected(rule="ORD-1", message="the account is closed")
    if not account.agreement_no.strip():
        return Rejected(rule="ORD-1", message="no order before the account has an agreement number")
    if not request.lines:
        return Rejected(rule="ORD-1", message="an order has at least one line")
    for line in request.lines:
        if rejected := _check_line(line, account):
            return rejected
    return None


def _check_line(line: LineRequest, account: Account) -> Rejected | None:
    if line.meter != EXAM:
        return Rejected(rule="ORD-1", message=f"nothing is sold for the meter {line.meter!r}")
    if account.plan.enforced_meter != EXAM:
        return Rejected(
            rule="ORD-1",
            message=f"the account's plan ({account.plan}) does not enforce the meter {EXAM!r}",
        )
    if line.quantity < UNITS_PER_EXAM_LINE or line.quantity % UNITS_PER_EXAM_LINE:
        return Rejected(
            rule="ORD-1",
            message="examinations are sold in whole thousands, at least 1,000; "
            f"{line.quantity:,} is not",
        )
    if line.quantity > UNITS_MAX:
        return Rejected(rule="ORD-1", message=f"a line has at most {UNITS_MAX:,} examinations")
    if not 1 <= line.storage_years <= STORAGE_YEARS_MAX:
        return Rejected(
            rule="ORD-1", message=f"examinations are stored for 1 to {STORAGE_YEARS_MAX} years"
        )
    return None


def expires_at(line: OrderLine, account: Account, *, paid_at: Instant) -> Instant:
    """ORD-3, TIME-5: validity counts from purchase, whenever the line is credited."""
    assert line.meter == EXAM, "only the exam meter is sold so far"
    return one_year_expiry(paid_at, account.zone)
