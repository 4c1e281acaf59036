"""How full a spool is."""

from __future__ import annotations

from dataclasses import dataclass

from quota.time import Instant


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """How full the spool is; sizes in bytes.

    `bytes` are those of the `records` to be filed: over the filer's rate they give the time to
    drain. `allocated_bytes` is what all segments take on the disk, and never exceeds `limit_bytes`.
    """

    records: int
    bytes: int
    allocated_bytes: int
    free_segments: int
    limit_bytes: int
    oldest_received_at: Instant | None

    @property
    def fill(self) -> float:
        """Between 0 and 1: how much of the limit unfiled records take."""
        return min(self.bytes / self.limit_bytes, 1.0) if self.limit_bytes else 1.0
