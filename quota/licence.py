"""Software licences: a term for one feature, an institution's own or its consortium's (§8).

Arrears do not touch a licence. Terms of one scope and feature never overlap (invariant 20): what is
bought while one runs begins where that ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from zoneinfo import ZoneInfo

from quota.order import Validity, term
from quota.time import Instant


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """Whose a licence is: one institution's, or one consortium's."""

    institution_id: int | None = None
    consortium_id: int | None = None

    def __post_init__(self) -> None:
        assert (self.institution_id is None) != (self.consortium_id is None), "one of the two"

    @property
    def lock_key(self) -> tuple[bool, int]:
        """The one order in which scopes are locked: institutions first (§13)."""
        return (self.consortium_id is not None, self.consortium_id or self.institution_id or 0)


class LicenceState(StrEnum):
    """What a licence is at an instant."""

    AHEAD = "ahead"
    ACTIVE = "active"
    ENDED = "ended"
    REVOKED = "revoked"


@dataclass(frozen=True, kw_only=True, slots=True)
class Licence:
    """One credited order line: starts_at <= T < ends_at, or for good, unless revoked.

    One that was credited when its term was over has starts_at = ends_at and was never active.
    """

    id: int
    order_line_id: int
    account_id: int
    scope: Scope
    feature: str
    purchased_at: Instant
    credited_at: Instant
    starts_at: Instant
    ends_at: Instant | None
    revoked_at: Instant | None = None

    def state(self, at: Instant) -> LicenceState:
        """What it is at `at`."""
        if self.revoked_at is not None and at >= self.revoked_at:
            return LicenceState.REVOKED
        if self.ends_at is not None and at >= self.ends_at:
            return LicenceState.ENDED
        return LicenceState.AHEAD if at < self.starts_at else LicenceState.ACTIVE


def overlapping(one: Licence, other: Licence) -> bool:
    """Whether two licences that nobody revoked cover an instant twice (invariant 20)."""
    if (one.scope, one.feature) != (other.scope, other.feature):
        return False
    if one.revoked_at is not None or other.revoked_at is not None:
        return False
    starts = max(one.starts_at, other.starts_at)
    ends = [known.ends_at for known in (one, other) if known.ends_at is not None]
    return all(starts < end for end in ends)


def continued(known: Licence, beside: Iterable[Licence]) -> bool:
    """Whether the feature stays open when `known` ends: a renewal is bought already."""
    return known.ends_at is None or any(
        one.revoked_at is None and (one.ends_at is None or one.ends_at > known.ends_at)
        for one in beside
        if (one.scope, one.feature) == (known.scope, known.feature)
    )


def effective(licences: Iterable[Licence], feature: str, *, at: Instant) -> Licence | None:
    """The licence that opens `feature` at `at`, of an institution's own and its consortia's."""
    opening = (
        one for one in licences if one.feature == feature and one.state(at) is LicenceState.ACTIVE
    )
    return next(opening, None)


def next_term(
    known: Sequence[Licence],
    *,
    years: int,
    zone: ZoneInfo,
    paid_at: Instant,
    credited_at: Instant,
) -> Validity:
    """ORD-3, ORD-4: where a new term lies, beside `known` ones of the same scope and feature.

    Credited after its end, or beside a licence for good, the term is empty.
    """
    standing = [one for one in known if one.revoked_at is None]
    if any(one.ends_at is None for one in standing):
        return Validity(effective_at=credited_at, expires_at=credited_at)
    ends = [one.ends_at for one in standing if one.ends_at is not None]
    bought = term(
        years=years,
        zone=zone,
        paid_at=paid_at,
        credited_at=credited_at,
        renewed_until=max(ends, default=None),
    )
    assert bought.expires_at is not None
    return Validity(
        effective_at=min(bought.effective_at, bought.expires_at), expires_at=bought.expires_at
    )
