"""Appending: one association's thread, one segment, no lock and no copy beyond a page."""

from __future__ import annotations

import mmap
import os

from xxhash import xxh3_128

from storage.spool.disk import open_file
from storage.spool.record import (
    PAGE_BYTES,
    Envelope,
    RecordHeader,
    RecordRef,
    encode_metadata,
    fits_inline,
    header_page,
    metadata_digest,
    whole_pages,
)
from storage.spool.segment import Segment
from storage.spool.segments import Segments


class Lease:
    """A segment for one association; the next one where it is full. For one thread only."""

    def __init__(self, segments: Segments) -> None:
        self._segments = segments
        self._segment: Segment | None = segments.take()
        self._largest_bytes = 0

    def begin(self) -> Reception:
        """Make ready for one instance; what an earlier reception did not commit is forgotten.

        Raises SpoolFull, SpoolSick.
        """
        self._segments.health.require()
        if self._segment is not None and not self._fits(self._segment):
            self.end()
        if self._segment is None:
            self._segment = self._segments.take()
        return Reception(self, self._segments, self._segment)

    def _fits(self, segment: Segment) -> bool:
        """Whether another record like those before should fit; a larger one makes it grow."""
        room = segment.size_bytes - segment.end
        wanted = max(self._largest_bytes, self._segments.space.segment_bytes // 64, 2 * PAGE_BYTES)
        return segment.has_room_for_a_record and (
            room >= wanted or (not segment.offsets and room >= 2 * PAGE_BYTES)
        )

    def committed(self, size: int) -> None:
        """A reception became a record of `size` bytes."""
        self._largest_bytes = max(self._largest_bytes, size)

    def end(self) -> None:
        """Give the segment back. Raises SpoolSick; everything committed stays what it is."""
        segment, self._segment = self._segment, None
        if segment is not None:
            self._segments.retire(segment)


class Reception:
    """One instance on its way into the spool. Until `commit` returns nothing of it counts."""

    def __init__(self, lease: Lease, segments: Segments, segment: Segment) -> None:
        self._lease = lease
        self._segments = segments
        self._segment = segment
        self._offset = segment.end
        self.rewind()

    def rewind(self) -> None:
        """Forget what was written; another instance may follow."""
        self.body_size = 0
        """Bytes of the body so far."""
        self._position = self._offset + PAGE_BYTES
        # What does not fill a page waits here: half a page on its way to a recycled block would
        # make the kernel read that block first.
        self._rest = b""
        self._running = xxh3_128()

    def write(self, chunk: bytes | memoryview) -> None:
        """Append to the body; the caller may use the buffer again. Raises SpoolFull, SpoolSick."""
        size = len(chunk)
        self._running.update(chunk)
        whole = (len(self._rest) + size) // PAGE_BYTES * PAGE_BYTES
        if whole == 0:
            self._rest += chunk
        else:
            cut = whole - len(self._rest)
            view = memoryview(chunk)
            self._append([self._rest, view[:cut]] if self._rest else [view[:cut]], whole)
            self._rest = bytes(view[cut:])
        self.body_size += size

    def _append(self, views: list[bytes | memoryview], size: int) -> None:
        end = self._position + size
        segment = self._segment
        if end > segment.size_bytes:
            self._segments.grow(segment, end, end - self._offset)
        try:
            self._segments.disk.write(segment.descriptor, views, self._position)
        except OSError as error:
            raise self._segments.health.broken(error) from error
        self._position = end

    def mapped(self) -> memoryview:
        """The body so far, to be looked at before it is committed: the file's pages, no copy.

        Whoever looks at a gigabyte thus holds only what it touches. Raises SpoolFull, SpoolSick.
        """
        position = self._position
        if self._rest:
            self._append([self._rest.ljust(PAGE_BYTES, b"\0")], PAGE_BYTES)
            self._position = position
        # Written a moment ago, the pages are in the cache; one that a disk would not give back ends
        # the process, which no other lane can be harmed by: nothing of theirs is promised yet.
        start = self._offset + PAGE_BYTES
        before = start % mmap.ALLOCATIONGRANULARITY
        descriptor = open_file(self._segment.path, os.O_RDONLY)
        try:
            pages = mmap.mmap(
                descriptor, before + self.body_size, prot=mmap.PROT_READ, offset=start - before
            )
        finally:
            os.close(descriptor)
        return memoryview(pages)[before:]

    def commit(self, header: RecordHeader) -> RecordRef:
        """Make the instance durable: then, and only then, it may be acknowledged.

        Raises SpoolFull (rewind, and go on) and SpoolSick (a sync failed: final).
        HeaderTooLarge is raised before anything happens.
        """
        metadata = encode_metadata(header)
        segment, segments = self._segment, self._segments
        rest = self._rest if fits_inline(len(metadata)) else self._rest + metadata
        if rest:
            size = whole_pages(len(rest))
            self._append([rest.ljust(size, b"\0")], size)
            self._rest = b""
        envelope = Envelope(
            number=len(segment.offsets),
            offset=self._offset,
            body_size=self.body_size,
            received_at=header.received_at,
            body_digest=self._running.digest(),
            metadata_size=len(metadata),
            metadata_digest=metadata_digest(metadata),
        )
        try:
            page = header_page(envelope, segment.key, metadata)
            segments.disk.write(segment.descriptor, [page], self._offset)
        except OSError as error:
            raise segments.health.broken(error) from error
        segments.health.sync(segments.disk.sync, segment.descriptor)
        self._lease.committed(self._position - self._offset)
        return segments.published(
            segment, offset=self._offset, end=self._position, received_at=header.received_at
        )
