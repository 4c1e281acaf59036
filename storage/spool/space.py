"""What a spool takes of its disk, within its limit, and the free segments that it keeps."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from storage.spool.errors import SpoolFull
from storage.spool.segment import Segment


class Space:
    """Counts the bytes of all segments. `Segments` guards it with its lock, but for `bury`."""

    def __init__(self, *, segment_bytes: int, limit_bytes: int, pool_max: int) -> None:
        self.segment_bytes = segment_bytes
        self.limit_bytes = limit_bytes
        self.allocated_bytes = 0
        self.pool: list[Segment] = []
        self._pool_max = pool_max
        self._doomed: list[Path] = []

    def fits(self, size: int) -> bool:
        """Whether `size` more bytes stay within the limit."""
        return self.allocated_bytes + size <= self.limit_bytes

    def reserve(self, size: int) -> None:
        """Count `size` more bytes; free segments make way for what needs them. Raises SpoolFull."""
        while self.pool and not self.fits(size):
            self._remove(self.pool.pop(0))
        if not self.fits(size):
            raise SpoolFull
        self.allocated_bytes += size

    def recycle(self, segment: Segment) -> None:
        """Nobody needs what is in it: keep it for the next lease, or give it up."""
        if len(self.pool) < self._pool_max and segment.size_bytes >= self.segment_bytes:
            self._cut(segment)
            self.pool.append(segment)
        else:
            self._remove(segment)

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
