"""Segments made ready before they are leased: blocks that were written, not only reserved.

The first write into a reserved block must be told to the file system's log, so a sync of it costs
twice that of one into blocks written before. No lease ever waits for this: what is not ready is
reserved as it is leased, and a segment under way makes way for whoever needs its room.
"""

from __future__ import annotations

import errno
import os
from threading import Event, Thread

from storage.errors import StorageError
from storage.spool import segment as files
from storage.spool.disk import forget_cached, open_file
from storage.spool.segment import Segment
from storage.spool.segments import Segments

_STEP_BYTES = 2 << 20
_PAUSE_S = 0.01
"""After each step, so that this takes a part of the disk only."""
_AGAIN_S = 60.0
"""When to look again for room, where nobody takes a segment."""
_SPARE_SEGMENTS = 16
"""No new segment is made beforehand unless the disk has room for so many."""


class Preparing:
    """Makes segments ready, on a thread of its own (`start`) or when it is called (`once`)."""

    def __init__(self, segments: Segments) -> None:
        self._segments = segments
        self._space = segments.space
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="spool-ready", daemon=True)

    def start(self, segments: int) -> None:
        """Keep so many ready, and one more for each lease that found none."""
        self._space.ready_wanted = min(segments, self._space.pool_max)
        self._thread.start()

    def stop(self) -> None:
        """Leave off, within a step. A segment half made is an ordinary one to the next opening."""
        self._stopping.set()
        self._segments.taken.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set() and not self._segments.health.sick:
            self._segments.taken.clear()
            if not self.once():
                self._segments.taken.wait(_AGAIN_S)

    def once(self) -> bool:
        """Make one segment ready; False if that was not wanted or not possible. Never raises."""
        claimed = self._claim()
        if claimed is None:
            return False
        segment, is_new = claimed
        try:
            segment.ready = self._write(segment, is_new=is_new)
        except (OSError, StorageError):
            # A failed sync is final, and told by now. What else goes wrong is nobody's loss here:
            # a lease that needs room finds out for itself.
            segment.ready = False
        with self._segments.lock:
            kept = self._space.take_back(segment, keep=segment.ready or not is_new)
        if not kept:
            # Its name was removed, perhaps before the file was made.
            segment.path.unlink(missing_ok=True)
        self._space.bury()
        return segment.ready and kept

    def _claim(self) -> tuple[Segment, bool] | None:
        """A free segment that is not ready, or a new one; and whether it is new.

        Only where a lease that comes meanwhile still finds room without it.
        """
        segments, space = self._segments, self._space
        status = os.statvfs(segments.folder)
        spare = status.f_bavail * status.f_frsize > _SPARE_SEGMENTS * space.segment_bytes
        with segments.lock:
            unready = [one for one in space.pool if not one.ready]
            if len(space.pool) - len(unready) >= space.ready_wanted or segments.health.sick:
                return None
            if unready and (len(space.pool) > 1 or (spare and space.fits(space.segment_bytes))):
                space.underway = unready[-1]
                space.pool.remove(space.underway)
                return space.underway, False
            if unready or not (spare and space.fits(2 * space.segment_bytes)):
                return None
            space.reserve(space.segment_bytes)
            path = files.path_of(segments.folder, space.next_number())
            space.underway = Segment(path, size_bytes=space.segment_bytes)
            return space.underway, True

    def _write(self, segment: Segment, *, is_new: bool) -> bool:
        """Write zeros wherever nothing was written, durable with the name; False if left off.

        Raises OSError, SpoolSick.
        """
        segments, disk = self._segments, self._segments.disk
        if is_new:
            descriptor = files.create(segment.path, segment.size_bytes, disk).descriptor
        else:
            descriptor = open_file(segment.path, os.O_RDWR)
        try:
            if not is_new:
                # What was read of a hole, and lies in the cache, would pass for written.
                segments.health.sync(disk.sync, descriptor)
                forget_cached(segment.path)
            offset = 0
            while (hole := _hole(descriptor, offset, segment.size_bytes)) is not None:
                if self._stopping.wait(_PAUSE_S if offset else 0) or self._makes_way(segment):
                    return False
                offset, end = hole[0], min(hole[1], hole[0] + _STEP_BYTES)
                disk.write(descriptor, [bytes(end - offset)], offset)
                segments.health.sync(disk.sync, descriptor)
                offset = end
            if is_new:
                segments.health.sync(disk.sync_file, descriptor)
                segments.health.sync(lambda _: disk.sync_folder(segments.folder), descriptor)
        finally:
            os.close(descriptor)
        forget_cached(segment.path)
        return True

    def _makes_way(self, segment: Segment) -> bool:
        return self._space.underway is not segment


def _hole(descriptor: int, offset: int, end: int) -> tuple[int, int] | None:
    """The next part before `end` that was never written; None if there is none.

    The file system knows: to it, blocks that are only reserved are a hole.
    """
    if offset >= end or (start := os.lseek(descriptor, offset, os.SEEK_HOLE)) >= end:
        return None
    try:
        return start, min(end, os.lseek(descriptor, start, os.SEEK_DATA))
    except OSError as error:
        if error.errno == errno.ENXIO:  # nothing but a hole up to the end
            return start, end
        raise
