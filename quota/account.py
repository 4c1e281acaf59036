"""Accounts: who pays, by which plan, under which agreement (quota.md §1)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from zoneinfo import ZoneInfo

from quota.time import Instant

EXAM = "exam"
CAPACITY = "capacity"
AI_PREFIX = "ai:"
"""Meters of AI calls are called by their product: ai:glaucoma."""


class Plan(StrEnum):
    """How an account buys. A plan never changes; it names the meter that admission enforces."""

    PER_EXAM = "per_exam"
    PER_CAPACITY = "per_capacity"

    @property
    def enforced_meter(self) -> str:
        """The meter that decides on new examinations (ADM-2)."""
        return EXAM if self is Plan.PER_EXAM else CAPACITY


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """One account. Purchases expire by the local calendar of `timezone` (TIME-5)."""

    id: int
    name: str
    plan: Plan
    agreement_no: str
    timezone: str
    created_at: Instant
    closed_at: Instant | None
    arrears_cap: int | None = None
    """STATE-6: owed units or bytes from which on ARREARS counts as SUSPENDED; None for no cap."""

    @property
    def zone(self) -> ZoneInfo:
        """The account's time zone."""
        return ZoneInfo(self.timezone)
