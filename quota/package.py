"""Packages: one credited order line each, immutable, burned first-to-expire first (BURN)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from quota.time import Instant


class PackageState(StrEnum):
    """What a package is good for at an instant."""

    AHEAD = "ahead"
    """A renewal that begins later (ORD-4)."""
    ACTIVE = "active"
    USED_UP = "used_up"
    """Within its validity with nothing left; units may still come back to it."""
    EXPIRED = "expired"
    VOIDED = "voided"


@dataclass(frozen=True, kw_only=True, slots=True)
class Package:
    """What one order line bought on one meter. `quantity` and `remaining` in the meter's unit.

    Usable while effective_at <= T < expires_at (TIME-2); `expires_at` None never expires.
    `remaining` is the cached balance of the ledger account PACKAGE:id.
    """

    id: int
    meter_id: int
    order_line_id: int
    quantity: int
    remaining: int
    purchased_at: Instant
    effective_at: Instant
    activated_at: Instant | None
    """When the beginning was booked. None while it lies ahead (ORD-4)."""
    expires_at: Instant | None
    credited_at: Instant
    storage_years: int
    voided_at: Instant | None
    ended_at: Instant | None
    """When the end was booked: expiry or void. None while the package counts as active."""
    unlimited: bool = False
    """A one-time purchase of AI: takes no units, `quantity` is 0 (§8)."""

    def expired(self, at: Instant) -> bool:
        """Whether the package is unusable at `at` for its age (TIME-2)."""
        return self.expires_at is not None and at >= self.expires_at

    def state(self, at: Instant, *, left: int) -> PackageState:
        """The state at `at`, boundaries counted in though not booked (TIME-4), with `left` units.

        One that is unlimited takes no units, so it is never used up.
        """
        if self.voided_at is not None:
            return PackageState.VOIDED
        if self.ended_at is not None or self.expired(at):
            return PackageState.EXPIRED
        if at < self.effective_at:
            return PackageState.AHEAD
        return PackageState.ACTIVE if left or self.unlimited else PackageState.USED_UP

    @property
    def end_at(self) -> Instant:
        """The boundary of its expiry: one credited later ends when it came, not before (ORD-3)."""
        assert self.expires_at is not None
        return max(self.expires_at, self.credited_at)

    @property
    def burn_key(self) -> tuple[bool, Instant, int]:
        """BURN: by expiry, those without one last; then as credited. Ids rise with crediting."""
        return (self.expires_at is None, self.expires_at or 0, self.id)


def take(packages: list[Package], units: int) -> list[tuple[Package, int]]:
    """Spread `units` over `packages` (already in burn order): pairs of package and share.

    The shares may sum to less than `units`; what is missing is the shortfall (ADM-3).
    """
    shares: list[tuple[Package, int]] = []
    for package in packages:
        share = min(package.remaining, units)
        if share > 0:
            shares.append((package, share))
            units -= share
    return shares
