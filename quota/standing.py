"""Standing: one meter of an account at an instant, and the status that follows from it (§6)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from quota.time import Instant


class Status(StrEnum):
    """The seven states of quota.md §6; a pure function of ledger and instant, never stored."""

    CLOSED = "closed"
    UNPROVISIONED = "unprovisioned"
    SUSPENDED = "suspended"
    ARREARS = "arrears"
    EMPTY = "empty"
    LOW = "low"
    OK = "ok"


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """What decides on a meter. Units: examinations, calls or bytes, by the meter."""

    provisioned: bool
    """A package was credited on this meter at some time, whatever became of it."""
    closed: bool
    free: int
    owed: int
    low_threshold: int
    deadline: Instant | None
    """End of the grace of the open episode; None iff nothing is owed."""
    arrears_cap: int | None = None
    """STATE-6: what is owed from which on uploads stop before the grace ends; None for no cap."""

    def status(self, at: Instant) -> Status:
        """The status at `at`; the grace holds for `at < deadline` (TIME-2)."""
        if self.closed:
            return Status.CLOSED
        if not self.provisioned:
            return Status.UNPROVISIONED
        if self.owed > 0:
            assert self.deadline is not None, "owed without an open episode"
            capped = self.arrears_cap is not None and self.owed >= self.arrears_cap
            return Status.SUSPENDED if capped or at >= self.deadline else Status.ARREARS
        if self.free == 0:
            return Status.EMPTY
        return Status.LOW if self.free <= self.low_threshold else Status.OK


def low_threshold(active_quantity: int) -> int:
    """STATE table, LOW: 10 % of what the active packages held when bought, rounded down."""
    return active_quantity // 10
