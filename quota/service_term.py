"""Services that people render: delivery and development until accepted, maintenance for a term.

They are one institution's, and to be used within one year of purchase (domain, §8).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from zoneinfo import ZoneInfo

from quota.order import OrderLine, Rejected
from quota.time import Instant, expiry


class ServiceKind(StrEnum):
    """What is rendered."""

    DELIVERY = "delivery"
    DEVELOPMENT = "development"
    MAINTENANCE = "maintenance"


class ServiceState(StrEnum):
    """What a service is at an instant."""

    PLACED = "placed"
    """Paid for, and to be rendered and accepted."""
    ACCEPTED = "accepted"
    LAPSED = "lapsed"
    RUNNING = "running"
    ENDED = "ended"
    CANCELLED = "cancelled"


@dataclass(frozen=True, kw_only=True, slots=True)
class BoughtService:
    """One credited order line. `ends_at`: when it lapses unaccepted, or when its term ends."""

    id: int
    order_line_id: int
    account_id: int
    institution_id: int
    kind: ServiceKind
    purchased_at: Instant
    credited_at: Instant
    ends_at: Instant
    accepted_at: Instant | None = None
    cancelled_at: Instant | None = None

    def state(self, at: Instant) -> ServiceState:
        """What it is at `at`; the end is the first instant at which it is over (TIME-2)."""
        if self.cancelled_at is not None and at >= self.cancelled_at:
            return ServiceState.CANCELLED
        if self.kind is ServiceKind.MAINTENANCE:
            return ServiceState.ENDED if at >= self.ends_at else ServiceState.RUNNING
        if self.accepted_at is not None and at >= self.accepted_at:
            return ServiceState.ACCEPTED
        return ServiceState.LAPSED if at >= self.ends_at else ServiceState.PLACED


def ends_at(line: OrderLine, zone: ZoneInfo, *, paid_at: Instant) -> Instant:
    """TIME-5: the end of the term, or of the year within which it is to be accepted."""
    return expiry(paid_at, zone, years=line.years, months=line.months)


def continued(known: BoughtService, beside: Iterable[BoughtService]) -> bool:
    """Whether maintenance goes on when `known` ends: another term is bought already."""
    return known.kind is ServiceKind.MAINTENANCE and any(
        one.cancelled_at is None and one.ends_at > known.ends_at
        for one in beside
        if (one.institution_id, one.kind) == (known.institution_id, known.kind)
    )


def fault_in_accepting(service: BoughtService, *, at: Instant) -> Rejected | None:
    """Why a service can't be accepted at `at`; None if it can."""
    if service.kind is ServiceKind.MAINTENANCE:
        return Rejected(rule="SERVICE", message="maintenance ends by itself and is not accepted")
    state = service.state(at)
    if state is not ServiceState.PLACED:
        return Rejected(rule="SERVICE", message=f"the service is {state} and can't be accepted")
    return None
