"""Who did what, and why: an operator's acts, journaled in the transaction that does them."""

from __future__ import annotations

from dataclasses import dataclass

from quota.time import Instant


@dataclass(frozen=True, kw_only=True, slots=True)
class By:
    """Who acts, and why; neither may be empty."""

    actor: str
    reason: str

    def __post_init__(self) -> None:
        assert self.actor.strip() and self.reason.strip(), "an act has somebody and a reason"


@dataclass(frozen=True, kw_only=True, slots=True)
class Action:
    """One act on record; `subject` names what it was done to."""

    acted_at: Instant
    actor: str
    action: str
    subject: str
    reason: str
