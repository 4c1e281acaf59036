"""Orders: what may be bought, and how one becomes a package (quota.md §4)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from quota.account import CAPACITY, EXAM, Account
from quota.package import Package
from quota.time import Instant, expiry, renewed_expiry

UNITS_PER_EXAM_LINE = 1_000
TERABYTE = 10**12
"""UNIT-1: bytes of 1 TB as it is sold."""
UNITS_MAX = {EXAM: 1_000_000_000, CAPACITY: 1_000_000 * TERABYTE}
"""A limit on everything: no line sells more units than this; an exabyte fits in 63 bits."""
TERM_YEARS_MAX = 15
STORAGE_YEARS_MAX = 15
ORDER_NUMBER_LENGTH_MAX = 64


class OrderState(StrEnum):
    """ORD-2: placed -> paid -> credited (-> voided)."""

    PLACED = "placed"
    PAID = "paid"
    CREDITED = "credited"
    VOIDED = "voided"


@dataclass(frozen=True, kw_only=True, slots=True)
class LineRequest:
    """What a buyer asks for: `quantity` in the unit of `meter`.

    Examinations are stored for `storage_years`; capacity has a term of `years`, and may renew
    another package, whose end it then begins at (ORD-4).
    """

    meter: str
    quantity: int
    storage_years: int = STORAGE_YEARS_MAX
    years: int = 1
    renews_package_id: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderLine:
    """One line of an order on record; it becomes exactly one package."""

    id: int
    meter: str
    quantity: int
    storage_years: int
    years: int
    renews_package_id: int | None


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
    voided_at: Instant | None = None

    @property
    def state(self) -> OrderState:
        """How far the order has come."""
        if self.voided_at is not None:
            return OrderState.VOIDED
        if self.credited_at is not None:
            return OrderState.CREDITED
        return OrderState.PLACED if self.paid_at is None else OrderState.PAID


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejected:
    """The order, or what was asked of it, is refused by `rule`; nothing was written."""

    rule: str
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Validity:
    """When a package may be used: effective_at <= T < expires_at."""

    effective_at: Instant
    expires_at: Instant


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderRequest:
    """An order as it arrives."""

    number: str
    account_id: int
    lines: tuple[LineRequest, ...]

    @property
    def fingerprint(self) -> str:
        """Equal iff the content is: the second half of the idempotency key (§9)."""
        lines = [
            (line.meter, line.quantity, line.storage_years, line.years, line.renews_package_id)
            for line in self.lines
        ]
        content = json.dumps([self.account_id, lines], separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()


def check(
    request: OrderRequest, account: Account, *, packages: Sequence[Package] = ()
) -> Rejected | None:
    """ORD-1, ORD-2, ORD-4: why the order can't be placed for `account`, or None if it can.

    `packages` are the account's: a renewal must name one of them.
    """
    if not 0 < len(request.number) <= ORDER_NUMBER_LENGTH_MAX or not request.number.isprintable():
        return Rejected(
            rule="ORD-2",
            message=f"an order number has 1 to {ORDER_NUMBER_LENGTH_MAX} printable characters",
        )
    if account.closed_at is not None:
        return _ord_1("the account is closed")
    if not account.agreement_no.strip():
        return _ord_1("no order before the account has an agreement number")
    if not request.lines:
        return _ord_1("an order has at least one line")
    renewable = {package.id for package in packages if package.voided_at is None}
    for line in request.lines:
        if rejected := _check_line(line, account, renewable):
            return rejected
    return None


def _check_line(line: LineRequest, account: Account, renewable: set[int]) -> Rejected | None:
    if line.meter not in _CHECKS:
        return _ord_1(f"nothing is sold for the meter {line.meter!r}")
    if account.plan.enforced_meter != line.meter:
        return _ord_1(
            f"the account's plan ({account.plan}) does not enforce the meter {line.meter!r}"
        )
    if line.quantity > UNITS_MAX[line.meter]:
        unit = "examinations" if line.meter == EXAM else "bytes"
        return _ord_1(f"a line has at most {UNITS_MAX[line.meter]:,} {unit}")
    if not 1 <= line.storage_years <= STORAGE_YEARS_MAX:
        return _ord_1(f"examinations are stored for 1 to {STORAGE_YEARS_MAX} years")
    if line.renews_package_id is not None and line.renews_package_id not in renewable:
        return Rejected(
            rule="ORD-4", message=f"the account has no package {line.renews_package_id} to renew"
        )
    return _CHECKS[line.meter](line)


def _check_exam(line: LineRequest) -> Rejected | None:
    if line.quantity < UNITS_PER_EXAM_LINE or line.quantity % UNITS_PER_EXAM_LINE:
        return _ord_1(
            f"examinations are sold in whole thousands, at least 1,000; {line.quantity:,} is not"
        )
    if line.years != 1 or line.renews_package_id is not None:
        return _ord_1("examinations are valid for one year from purchase and are not renewed")
    return None


def _check_capacity(line: LineRequest) -> Rejected | None:
    if line.quantity < TERABYTE or line.quantity % TERABYTE:
        return _ord_1(f"capacity is sold in whole TB, at least 1; {line.quantity:,} bytes is not")
    if not 1 <= line.years <= TERM_YEARS_MAX:
        return _ord_1(f"capacity is sold for 1 to {TERM_YEARS_MAX} whole years")
    return None


_CHECKS: Mapping[str, Callable[[LineRequest], Rejected | None]] = {
    EXAM: _check_exam,
    CAPACITY: _check_capacity,
}


def _ord_1(message: str) -> Rejected:
    return Rejected(rule="ORD-1", message=message)


def validity(
    line: OrderLine,
    account: Account,
    *,
    paid_at: Instant,
    credited_at: Instant,
    renewed: Package | None,
) -> Validity:
    """ORD-3, ORD-4, TIME-5: usable from the credit, counted from purchase.

    A renewal begins and counts where the renewed package ends, or now, if that is later.
    """
    if renewed is None or renewed.expires_at is None or paid_at >= renewed.expires_at:
        return Validity(
            effective_at=credited_at,
            expires_at=expiry(paid_at, account.zone, years=line.years),
        )
    return Validity(
        effective_at=max(renewed.expires_at, credited_at),
        expires_at=renewed_expiry(renewed.expires_at, account.zone, years=line.years),
    )
