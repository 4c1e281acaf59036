"""Admission: may a new examination enter? Pure, by ADM-1 to ADM-6. Start reading here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from quota.standing import Standing, Status
from quota.time import Instant


class RefusalReason(StrEnum):
    """Why a new examination is refused; the values are stable names in registers and metrics."""

    UNPROVISIONED = "unprovisioned"
    GRACE_OVER = "grace_over"
    ACCOUNT_CLOSED = "account_closed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Permitted:
    """The account's status lets a new examination in (ADM-2)."""

    status: Status


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """The examination does not enter; nothing was written on any meter (ADM-2)."""

    reason: RefusalReason
    at: Instant


_REFUSING = {
    Status.CLOSED: RefusalReason.ACCOUNT_CLOSED,
    Status.UNPROVISIONED: RefusalReason.UNPROVISIONED,
    Status.SUSPENDED: RefusalReason.GRACE_OVER,
}


def decide(standing: Standing, *, at: Instant) -> Permitted | Refused:
    """Decide on one new examination from the standing of the account's enforced meter at `at`.

    ADM-2: OK, LOW, EMPTY and ARREARS admit; every other status refuses.
    """
    status = standing.status(at)
    reason = _REFUSING.get(status)
    return Permitted(status=status) if reason is None else Refused(reason=reason, at=at)
