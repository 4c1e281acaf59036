"""Admission: may a new examination enter? Pure, by ADM-1 to ADM-6. Start reading here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from quota.standing import Standing, Status
from quota.time import MICROSECONDS_PER_SECOND, Instant


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


LOOK_AGE_MAX: Instant = 24 * 3600 * MICROSECONDS_PER_SECOND


def lets_in_unasked(status: Status, *, looked_at: Instant, at: Instant) -> bool:
    """Whether a new examination may enter while the ledger can't be asked (design §7).

    As if in grace: for 24 h after the account was last looked at, in whichever direction the
    host's clock was set since, and not where it was refused then.
    """
    return status not in _REFUSING and abs(at - looked_at) < LOOK_AGE_MAX


def decide(standing: Standing, *, at: Instant) -> Permitted | Refused:
    """Decide on one new examination from the standing of the account's enforced meter at `at`.

    ADM-2: OK, LOW, EMPTY and ARREARS admit; every other status refuses.
    """
    status = standing.status(at)
    reason = _REFUSING.get(status)
    return Permitted(status=status) if reason is None else Refused(reason=reason, at=at)
