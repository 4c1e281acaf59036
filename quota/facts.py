"""What a book decided, as past-tense facts: all that a store has to persist."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from quota.hold import Hold, HoldState
from quota.ledger import ChargeState, Episode, Posting
from quota.notice import Notice
from quota.time import Instant


@dataclass(frozen=True, kw_only=True, slots=True)
class Posted:
    """A posting entered the journal."""

    posting: Posting


@dataclass(frozen=True, kw_only=True, slots=True)
class Charged:
    """An examination was charged; `package_id` None means that it is owed."""

    examination_id: str
    charged_at: Instant
    package_id: int | None

    @property
    def state(self) -> ChargeState:
        """Funded by a package, or owed."""
        return ChargeState.OWED if self.package_id is None else ChargeState.FUNDED


@dataclass(frozen=True, kw_only=True, slots=True)
class OwedSettled:
    """The `count` oldest owed charges are now funded by `package_id` (offset)."""

    package_id: int
    count: int
    settled_at: Instant


@dataclass(frozen=True, kw_only=True, slots=True)
class OwedWrittenOff:
    """The `count` oldest owed charges will never be paid, by an operator's word (STATE-6)."""

    count: int
    written_off_at: Instant


@dataclass(frozen=True, kw_only=True, slots=True)
class ChargeReversed:
    """The standing charge of an examination was taken back."""

    examination_id: str
    reversed_at: Instant


@dataclass(frozen=True, kw_only=True, slots=True)
class PackageActivated:
    """A package joined the active ones at its own instant `activated_at` (ORD-4)."""

    package_id: int
    activated_at: Instant


@dataclass(frozen=True, kw_only=True, slots=True)
class PackageEnded:
    """A package left the active ones: it expired at its own instant, or was voided."""

    package_id: int
    ended_at: Instant
    voided: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class EpisodeOpened:
    """Arrears appeared; the clock of the grace runs (STATE-1)."""

    episode: Episode


@dataclass(frozen=True, kw_only=True, slots=True)
class EpisodeMoved:
    """The open episode got another start or deadline: an extension, which is journaled (STATE-1,
    STATE-6)."""

    before: Episode
    after: Episode
    moved_at: Instant


@dataclass(frozen=True, kw_only=True, slots=True)
class EpisodeClosed:
    """Nothing is owed any more; uploads resume at `closed_at` (STATE-3)."""

    episode: Episode
    closed_at: Instant


@dataclass(frozen=True, kw_only=True, slots=True)
class LevelMoved:
    """Bytes came to be stored, or ceased to be (CAP-1, CAP-2)."""

    delta: int
    moved_at: Instant


@dataclass(frozen=True, kw_only=True, slots=True)
class HoldPlaced:
    """Units were set aside for calls under way (§8)."""

    hold: Hold


@dataclass(frozen=True, kw_only=True, slots=True)
class HoldSettled:
    """A hold ended: `posted` of its units were used, the rest went back."""

    hold_key: str
    state: HoldState
    posted: int
    settled_at: Instant


@dataclass(frozen=True, kw_only=True, slots=True)
class NoticeRaised:
    """Somebody is to be told; raised once per key (§10)."""

    notice: Notice


Fact: TypeAlias = (
    Posted
    | Charged
    | OwedSettled
    | OwedWrittenOff
    | ChargeReversed
    | PackageActivated
    | PackageEnded
    | EpisodeOpened
    | EpisodeMoved
    | EpisodeClosed
    | LevelMoved
    | HoldPlaced
    | HoldSettled
    | NoticeRaised
)
