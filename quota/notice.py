"""Notices: what people are told, decided in the transaction that causes it (§10).

Each has a key, and is told once per key whatever happens again. Delivery is somebody else's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from quota.account import CAPACITY
from quota.ledger import Episode, Meter
from quota.licence import Licence, LicenceState
from quota.package import Package
from quota.service_term import BoughtService, ServiceState
from quota.standing import low_threshold
from quota.time import MICROSECONDS_PER_SECOND, Instant

_HOUR = 3_600 * MICROSECONDS_PER_SECOND
NEAR = 4 * _HOUR
"""SUSPENSION_NEAR comes this long before the deadline, in µs."""
EXPIRING_DAYS = (30, 7, 1)
_DAY = 24 * _HOUR


class NoticeKind(StrEnum):
    """The kinds of §10."""

    LOW = "low"
    EMPTY = "empty"
    ARREARS_STARTED = "arrears_started"
    SUSPENSION_NEAR = "suspension_near"
    SUSPENDED = "suspended"
    RESUMED = "resumed"
    EXPIRING = "expiring"
    FIRST_REFUSAL = "first_refusal"
    CREDITED = "credited"


@dataclass(frozen=True, kw_only=True, slots=True)
class Notice:
    """One thing to tell about an account. `details` are ids, units and instants; no patient."""

    account_id: int
    kind: NoticeKind
    key: str
    raised_at: Instant
    meter: str | None = None
    details: Mapping[str, int | str] = field(default_factory=dict)


def of_episode(meter: Meter, kind: NoticeKind, episode: Episode, *, at: Instant) -> Notice:
    """A notice that comes once per episode; SUSPENSION_NEAR and SUSPENDED once per deadline."""
    once_per = episode.started_at
    if kind in {NoticeKind.SUSPENSION_NEAR, NoticeKind.SUSPENDED}:
        once_per = episode.deadline
    return Notice(
        account_id=meter.account_id,
        kind=kind,
        key=f"{kind}:{meter.id}:{once_per}",
        raised_at=at,
        meter=meter.name,
        details={"owed": meter.owing, "deadline": episode.deadline},
    )


def of_level(before: Meter, after: Meter, *, at: Instant) -> Iterator[Notice]:
    """LOW and EMPTY, when what is left falls that far; once per refill (STATE-2)."""
    if after.purchased == 0 or after.owing > 0:
        return
    threshold = low_threshold(after.active_quantity)
    left_before, left = _left(before), _left(after)
    kind = None
    if left == 0 < left_before:
        kind = NoticeKind.EMPTY
    elif 0 < left <= threshold < left_before:
        kind = NoticeKind.LOW
    if kind is not None:
        yield Notice(
            account_id=after.account_id,
            kind=kind,
            key=f"{kind}:{after.id}:{after.purchased}",
            raised_at=at,
            meter=after.name,
            details={"available": left, "threshold": threshold},
        )


def of_credit(meter: Meter, package: Package, *, at: Instant) -> Notice:
    """CREDITED, once per package; `expired` says that it came after its expiry (ORD-3)."""
    return Notice(
        account_id=meter.account_id,
        kind=NoticeKind.CREDITED,
        key=f"{NoticeKind.CREDITED}:{package.id}",
        raised_at=at,
        meter=meter.name,
        details={
            "package": package.id,
            "quantity": package.quantity,
            "expires_at": package.expires_at or 0,
            "expired": int(package.expired(at)),
        },
    )


def of_licence(opened: Licence, *, at: Instant) -> Notice:
    """CREDITED, once per licence; `expired` says that it came after its term (ORD-3)."""
    over = opened.ends_at is not None and at >= opened.ends_at
    return Notice(
        account_id=opened.account_id,
        kind=NoticeKind.CREDITED,
        key=f"{NoticeKind.CREDITED}:licence:{opened.id}",
        raised_at=at,
        meter=f"licence:{opened.feature}",
        details={
            "licence": opened.id,
            "starts_at": opened.starts_at,
            "expires_at": opened.ends_at or 0,
            "expired": int(over),
        },
    )


def of_service(begun: BoughtService, *, at: Instant) -> Notice:
    """CREDITED, once per service; `expired` says that it came after its time (ORD-3)."""
    return Notice(
        account_id=begun.account_id,
        kind=NoticeKind.CREDITED,
        key=f"{NoticeKind.CREDITED}:service:{begun.id}",
        raised_at=at,
        meter=f"service:{begun.kind}",
        details={
            "service": begun.id,
            "expires_at": begun.ends_at,
            "expired": int(at >= begun.ends_at),
        },
    )


def of_ending(ending: Licence, *, at: Instant) -> Notice | None:
    """EXPIRING of a licence, once for each of 30, 7 and 1 days; None where none is due."""
    if ending.ends_at is None or ending.state(at) is not LicenceState.ACTIVE:
        return None
    meter = f"licence:{ending.feature}"
    return _expiring(
        "licence", ending.id, ending.account_id, meter=meter, ends_at=ending.ends_at, at=at
    )


def of_service_ending(ending: BoughtService, *, at: Instant) -> Notice | None:
    """EXPIRING of a service, once for each of 30, 7 and 1 days; None where none is due.

    A delivery that nobody accepts lapses though it was paid for, and maintenance ends (§8).
    """
    if ending.state(at) not in {ServiceState.PLACED, ServiceState.RUNNING}:
        return None
    meter = f"service:{ending.kind}"
    return _expiring(
        "service", ending.id, ending.account_id, meter=meter, ends_at=ending.ends_at, at=at
    )


def _expiring(
    noun: str, row_id: int, account_id: int, *, meter: str, ends_at: Instant, at: Instant
) -> Notice | None:
    days = _days_within(ends_at, at=at)
    if days is None:
        return None
    return Notice(
        account_id=account_id,
        kind=NoticeKind.EXPIRING,
        key=f"{NoticeKind.EXPIRING}:{noun}:{row_id}:{days}",
        raised_at=at,
        meter=meter,
        details={noun: row_id, "expires_at": ends_at, "days": days},
    )


def due(meter: Meter, packages: Iterable[Package], *, at: Instant) -> Iterator[Notice]:
    """The notices that time alone raises, as of `at`: for an open episode, for packages near
    their end. Of several thresholds that have passed only the nearest is told."""
    episode = meter.episode
    if episode is not None and at >= episode.deadline:
        yield of_episode(meter, NoticeKind.SUSPENDED, episode, at=at)
    elif episode is not None and at >= episode.deadline - NEAR:
        yield of_episode(meter, NoticeKind.SUSPENSION_NEAR, episode, at=at)
    for package in packages:
        days = days_to_tell(package, at=at)
        if days is not None:
            yield Notice(
                account_id=meter.account_id,
                kind=NoticeKind.EXPIRING,
                key=f"{NoticeKind.EXPIRING}:{package.id}:{days}",
                raised_at=at,
                meter=meter.name,
                details={
                    "package": package.id,
                    "remaining": package.remaining,
                    "expires_at": package.expires_at or 0,
                    "days": days,
                },
            )


def days_to_tell(package: Package, *, at: Instant) -> int | None:
    """Of 30, 7 and 1 days the smallest that its expiry is within, where there is reason to tell:
    units are left, or it is capacity, whose bytes stay when it ends."""
    if package.ended_at is not None or package.expires_at is None or package.expired(at):
        return None
    if package.remaining == 0:
        return None
    return _days_within(package.expires_at, at=at)


def _days_within(end: Instant, *, at: Instant) -> int | None:
    return min((days for days in EXPIRING_DAYS if end - at <= days * _DAY), default=None)


def _left(meter: Meter) -> int:
    if meter.name == CAPACITY:
        return max(0, meter.limit - meter.stored)
    return meter.available
