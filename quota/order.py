"""Orders: what may be bought, and how one becomes a package (quota.md §4)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from zoneinfo import ZoneInfo

from quota.account import CAPACITY, EXAM, Account
from quota.catalogue import LICENCE_PREFIX, SERVICE_PREFIX
from quota.package import Package
from quota.time import Instant, expiry, renewed_expiry

UNITS_PER_EXAM_LINE = 1_000
TERABYTE = 10**12
"""UNIT-1: bytes of 1 TB as it is sold."""
UNITS_MAX = {EXAM: 1_000_000_000, CAPACITY: 1_000_000 * TERABYTE}
"""A limit on everything: no line sells more units than this; an exabyte fits in 63 bits."""
AI_UNITS_MAX = 1_000_000_000
TERM_YEARS_MAX = 15
TERM_MONTHS_MAX = 12 * TERM_YEARS_MAX
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

    `meter` is the catalogue's name of what is bought: a meter's (exam, capacity, ai:glaucoma), or
    that of a licence (licence:basic) or service (service:delivery), of which `quantity` is 1.
    Examinations are stored for `storage_years`; capacity has a term of `years`, and may renew
    another package, whose end it then begins at (ORD-4). AI with quantity and years 0 is without
    limit and for good. A licence is the institution's that the order names, or a consortium's.
    """

    meter: str
    quantity: int
    storage_years: int = STORAGE_YEARS_MAX
    years: int = 1
    renews_package_id: int | None = None
    months: int = 0
    """Maintenance by the month: a term of `months`, and 0 years."""
    consortium_id: int | None = None
    renews_licence_id: int | None = None

    @property
    def content(self) -> list[int | str | None]:
        """What the fingerprint covers. Lines of before there were licences keep theirs (§9)."""
        metered: list[int | str | None] = [
            *(self.meter, self.quantity, self.storage_years, self.years, self.renews_package_id)
        ]
        further = [self.months, self.consortium_id, self.renews_licence_id]
        return metered if further == [0, None, None] else [*metered, *further]


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderLine:
    """One line of an order on record; it becomes exactly one package, licence or service."""

    id: int
    meter: str
    quantity: int
    storage_years: int
    years: int
    renews_package_id: int | None
    months: int = 0
    consortium_id: int | None = None
    renews_licence_id: int | None = None

    @property
    def metered(self) -> bool:
        """Whether it becomes a package on a meter."""
        return not self.meter.startswith((LICENCE_PREFIX, SERVICE_PREFIX))


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
    institution_id: int | None = None

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
    """When what was bought may be used: effective_at <= T < expires_at, or for good."""

    effective_at: Instant
    expires_at: Instant | None


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderRequest:
    """An order as it arrives; `institution_id` is whose licences and services it buys."""

    number: str
    account_id: int
    lines: tuple[LineRequest, ...]
    institution_id: int | None = None

    @property
    def fingerprint(self) -> str:
        """Equal iff the content is: the second half of the idempotency key (§9)."""
        content: list[object] = [self.account_id, [line.content for line in self.lines]]
        if self.institution_id is not None:
            content.append(self.institution_id)
        return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()


def validity(
    line: OrderLine,
    account: Account,
    *,
    paid_at: Instant,
    credited_at: Instant,
    renewed: Package | None,
) -> Validity:
    """ORD-3, ORD-4, TIME-5: usable from the credit, counted from purchase; or for good (AI)."""
    if line.years == 0:
        return Validity(effective_at=credited_at, expires_at=None)
    return term(
        years=line.years,
        zone=account.zone,
        paid_at=paid_at,
        credited_at=credited_at,
        renewed_until=None if renewed is None else renewed.expires_at,
    )


def term(
    *,
    years: int,
    zone: ZoneInfo,
    paid_at: Instant,
    credited_at: Instant,
    renewed_until: Instant | None,
) -> Validity:
    """ORD-4: a renewal begins and counts where what it renews ends, or now, if that is later."""
    if renewed_until is None or paid_at >= renewed_until:
        return Validity(effective_at=credited_at, expires_at=expiry(paid_at, zone, years=years))
    return Validity(
        effective_at=max(renewed_until, credited_at),
        expires_at=renewed_expiry(renewed_until, zone, years=years),
    )
