"""What a spool takes of its disk, within its limit, and the free segments that it keeps."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from storage.spool.errors import SpoolFull
from storage.spool.segment import Segment

READY_SEGMENTS = 2
"""How many are made ready before anybody has asked for one."""


class Space:
    """Counts the bytes of all segments. `Segments` guards it with its lock, but for `bury`."""

    def __init__(self, *, segment_bytes: int, limit_bytes: int, pool_max: int) -> None:
        self.segment_bytes = segment_bytes
        self.limit_bytes = limit_bytes
        self.allocated_bytes = 0
        self.pool: list[Segment] = []
        self.pool_max = pool_max
        self.ready_wanted = min(READY_SEGMENTS, pool_max)
        """How many of the pool are to be ready; each lease that finds none asks for one more."""
        self.underway: Segment | None = None
        """Being made ready: counted, in nobody's hands, and first to make way."""
        self._next = 1
        self._doomed: list[Path] = []

    def next_number(self) -> int:
        """The number of the next segment to be made."""
        self._next += 1
        return self._next - 1

    def adopt(self, segment: Segment) -> None:
        """Count a segment that was found on the disk."""
        self._next = max(self._next, segment.number + 1)
        self.allocated_bytes += segment.size_bytes

    def pick(self) -> Segment | None:
        """A free segment, one that is ready if there is one; None if none is free."""
        found = next((one for one in reversed(self.pool) if one.ready), None)
        if found is None:
            self.ready_wanted = min(self.ready_wanted + 1, self.pool_max)
            return self.pool.pop() if self.pool else None
        self.pool.remove(found)
        return found

    def fits(self, size: int) -> bool:
        """Whether `size` more bytes stay within the limit."""
        return self.allocated_bytes + size <= self.limit_bytes

    def reserve(self, size: int) -> None:
        """Count `size` more bytes; free segments make way for what needs them. Raises SpoolFull."""
        if not self.fits(size) and self.underway is not None:
            segment, self.underway = self.underway, None
            self._remove(segment)
        while self.pool and not self.fits(size):
            self._remove(self.pool.pop(0))
        if not self.fits(size):
            raise SpoolFull
        self.allocated_bytes += size

    def recycle(self, segment: Segment) -> None:
        """Nobody needs what is in it: keep it for the next lease, or give it up."""
        if len(self.pool) < self.pool_max and segment.size_bytes >= self.segment_bytes:
            self._cut(segment)
            self.pool.append(segment)
        else:
            self._remove(segment)

    def take_back(self, segment: Segment, *, keep: bool) -> bool:
        """No longer under way: into the pool or up; False if it had to make way meanwhile."""
        if self.underway is not segment:
            return False
        self.underway = None
        if keep:
            self.pool.append(segment)
        else:
            self._remove(segment)
        while len(self.pool) > self.pool_max:
            self._remove(self.pool.pop(0))
        return True

    def bury(self) -> None:
        """Remove the files of segments that were given up; without a lock, for it takes long."""
        while self._doomed:
            with suppress(OSError, IndexError):
                self._doomed.pop().unlink()

    def _cut(self, segment: Segment) -> None:
        """Give back what one large instance took."""
        if segment.size_bytes > self.segment_bytes:
            with suppress(OSError):
                os.truncate(segment.path, self.segment_bytes)
                self.allocated_bytes -= segment.size_bytes - self.segment_bytes
                segment.size_bytes = self.segment_bytes

    def _remove(self, segment: Segment) -> None:
        self._doomed.append(segment.path)
        self.allocated_bytes -= segment.size_bytes
