"""Holds: AI calls set aside before they are used, so that a call under way has its units (§8)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from quota.package import Package
from quota.time import MICROSECONDS_PER_SECOND, Instant

HOLD_UNITS_MAX = 1_000_000
HOLD_TTL_S_MAX = 86_400
HOLD_KEY_LENGTH_MAX = 100


class HoldState(StrEnum):
    """What became of a hold: pending, or ended once and for all."""

    PENDING = "pending"
    POSTED = "posted"
    VOIDED = "voided"
    EXPIRED = "expired"


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """What a hold took from one package; 0 units from an unlimited one, which it only names."""

    package: Package
    units: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Hold:
    """`units` calls set aside until `expires_at`, known by the client's key (§9)."""

    key: str
    meter_id: int
    units: int
    held_at: Instant
    expires_at: Instant
    shares: tuple[Share, ...]
    state: HoldState = HoldState.PENDING
    posted: int = 0
    settled_at: Instant | None = None

    @property
    def unlimited(self) -> bool:
        """Whether the calls are counted against no units."""
        return any(share.package.unlimited for share in self.shares)

    def expired(self, at: Instant) -> bool:
        """Whether its time is over at `at` (TIME-2: unusable at T >= E)."""
        return at >= self.expires_at


@dataclass(frozen=True, kw_only=True, slots=True)
class NotHeld:
    """A hard stop: fewer calls are available than were asked for; nothing was set aside (§8)."""

    asked: int
    available: int


def ends_at(held_at: Instant, *, ttl_s: int) -> Instant:
    """When a hold of `ttl_s` seconds releases itself."""
    return held_at + ttl_s * MICROSECONDS_PER_SECOND


def fault_in(*, key: str, units: int, ttl_s: int) -> str | None:
    """Why a hold can't be asked for like this, or None."""
    if not 0 < len(key) <= HOLD_KEY_LENGTH_MAX or not key.isprintable():
        return f"a hold's key has 1 to {HOLD_KEY_LENGTH_MAX} printable characters"
    if not 1 <= units <= HOLD_UNITS_MAX:
        return f"a hold is for 1 to {HOLD_UNITS_MAX:,} calls"
    if not 1 <= ttl_s <= HOLD_TTL_S_MAX:
        return f"a hold lasts 1 to {HOLD_TTL_S_MAX:,} seconds"
    return None
