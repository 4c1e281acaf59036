"""The double-entry journal: postings that sum to zero, and the balances derived from them (§3)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from quota.account import CAPACITY
from quota.time import MICROSECONDS_PER_SECOND, Instant

GRACE = 86_400 * MICROSECONDS_PER_SECOND
"""TIME-6: the grace is exactly 24 hours, in µs."""


class LedgerAccount(StrEnum):
    """The accounts of one meter. ISSUED, ARREARS and WRITTEN_OFF are never positive."""

    ISSUED = "issued"
    PACKAGE = "package"
    HELD = "held"
    CONSUMED = "consumed"
    ARREARS = "arrears"
    EXPIRED = "expired"
    VOIDED = "voided"
    WRITTEN_OFF = "written_off"


class PostingKind(StrEnum):
    """The events of §3 that move units."""

    CREDIT = "credit"
    CHARGE = "charge"
    OFFSET = "offset"
    EXPIRY = "expiry"
    HOLD = "hold"
    POST = "post"
    RELEASE = "release"
    VOID = "void"
    REVERSAL = "reversal"
    WRITE_OFF = "write_off"


class ChargeState(StrEnum):
    """What became of an examination's charge."""

    FUNDED = "funded"
    OWED = "owed"
    REVERSED = "reversed"
    WRITTEN_OFF = "written_off"


_OF_A_PACKAGE = frozenset(
    {LedgerAccount.PACKAGE, LedgerAccount.HELD, LedgerAccount.EXPIRED, LedgerAccount.VOIDED}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One leg of a posting. A PACKAGE leg names its package; so does a leg of HELD, and one of
    EXPIRED or VOIDED whose units come from elsewhere than their package."""

    account: LedgerAccount
    amount: int
    package_id: int | None = None

    def __post_init__(self) -> None:
        assert self.amount != 0, "an entry moves something"
        named = self.package_id is not None
        assert named or self.account not in {LedgerAccount.PACKAGE, LedgerAccount.HELD}
        assert not named or self.account in _OF_A_PACKAGE


@dataclass(frozen=True, kw_only=True, slots=True)
class Posting:
    """One event on one meter. Booked at `effective_at`, recorded at `recorded_at` (TIME-3)."""

    kind: PostingKind
    effective_at: Instant
    recorded_at: Instant
    entries: tuple[Entry, ...]
    examination_id: str | None = None
    order_line_id: int | None = None
    hold_key: str | None = None

    def __post_init__(self) -> None:
        assert sum(entry.amount for entry in self.entries) == 0, "a posting sums to zero"
        assert self.effective_at <= self.recorded_at, "nothing is booked in the future"


@dataclass(frozen=True, kw_only=True, slots=True)
class Episode:
    """From the instant arrears appear until they are gone (STATE-1)."""

    started_at: Instant
    deadline: Instant

    @classmethod
    def starting(cls, at: Instant) -> Episode:
        """An episode that begins at `at` and grants the full grace."""
        return cls(started_at=at, deadline=at + GRACE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Meter:
    """One meter of one account: cached balances, all >= 0, in the meter's unit.

    They are derived from the journal and can be rebuilt from it at any time:
    purchased + owed + written_off = available + held + consumed + expired + voided.
    """

    id: int
    account_id: int
    name: str
    last_at: Instant
    """T of the last transaction on this meter; 0 before the first (TIME-1)."""
    purchased: int = 0
    available: int = 0
    held: int = 0
    consumed: int = 0
    owed: int = 0
    expired: int = 0
    voided: int = 0
    written_off: int = 0
    active_quantity: int = 0
    """Units the active packages held when bought: the base of the LOW threshold, and the limit."""
    stored: int = 0
    """Bytes stored now; on the `capacity` meter only."""
    episode: Episode | None = None

    @property
    def limit(self) -> int:
        """CAP-3: the sum of the capacity packages active now, in bytes."""
        return self.active_quantity

    @property
    def owing(self) -> int:
        """What is in arrears: owed units, or bytes beyond the limit (§6).

        A capacity meter on which nothing was ever credited is only counted, not enforced: either
        the plan does not sell capacity, or nothing was admitted yet (CAP-1).
        """
        if self.name == CAPACITY:
            return max(0, self.stored - self.limit) if self.purchased > 0 else 0
        return self.owed

    @property
    def used(self) -> int:
        """Consumed and paid for: purchased = used + held + expired + voided + available (§11)."""
        return self.consumed - self.owed - self.written_off


_BALANCE_OF = {
    LedgerAccount.ISSUED: ("purchased", -1),
    LedgerAccount.PACKAGE: ("available", 1),
    LedgerAccount.HELD: ("held", 1),
    LedgerAccount.CONSUMED: ("consumed", 1),
    LedgerAccount.ARREARS: ("owed", -1),
    LedgerAccount.EXPIRED: ("expired", 1),
    LedgerAccount.VOIDED: ("voided", 1),
    LedgerAccount.WRITTEN_OFF: ("written_off", -1),
}


def apply(meter: Meter, posting: Posting) -> Meter:
    """The meter after `posting`: the only way in which balances change."""
    balances: dict[str, int] = {}
    for entry in posting.entries:
        name, sign = _BALANCE_OF[entry.account]
        balances[name] = balances.get(name, getattr(meter, name)) + sign * entry.amount
    return replace(meter, **balances)  # type: ignore[arg-type]  # balances are all int fields
