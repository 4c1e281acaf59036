"""All segments of a spool: which are leased, which hold records to be filed, which are free.

The one place with a lock; nothing slow happens under it, and no byte of a body passes through it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from heapq import merge
from itertools import islice
from pathlib import Path
from threading import Condition, Event, Lock

from quota.time import Instant
from storage.spool import segment as files
from storage.spool.disk import Disk, open_file
from storage.spool.health import Health
from storage.spool.record import Place, RecordRef
from storage.spool.segment import Damage, Segment
from storage.spool.space import Space
from storage.spool.usage import Usage

_GROWTH_BYTES_MIN = 1 << 20


class Segments:
    """Leases, grows, releases and recycles. Safe to call from many threads."""

    def __init__(
        self,
        folder: Path,
        disk: Disk,
        *,
        segment_bytes: int,
        fill_max_bytes: int,
        pool_max: int,
        failed: Callable[[], None],
    ) -> None:
        self.folder = folder
        self.disk = disk
        self.space = Space(
            segment_bytes=segment_bytes, limit_bytes=fill_max_bytes, pool_max=pool_max
        )
        self.health = Health(self._told)
        self.lock = self._lock = Lock()
        self.taken = Event()
        """Set whenever a segment was taken: for whoever makes others ready."""
        self._changed = Condition(self._lock)
        self._waiting = 0
        self.used: dict[int, Segment] = {}
        self.unfiled_bytes = 0
        self.unfiled_records = 0
        self._failed = failed

    def adopt(self, segment: Segment) -> None:
        """Recovery: take a segment over."""
        self.space.adopt(segment)
        self.unfiled_records += segment.unreleased
        self.unfiled_bytes += segment.pending_bytes()
        self.used[segment.number] = segment
        self._recycle(segment)
        self.space.bury()

    def has_room(self) -> bool:
        """Whether another association may lease a segment."""
        with self._lock:
            if self.health.sick:
                return False
            if self.space.pool or self.space.underway is not None:
                return True
            if not self.space.fits(self.space.segment_bytes):
                return False
        status = os.statvfs(self.folder)
        return status.f_bavail * status.f_frsize > self.space.segment_bytes

    # what an association's thread calls

    def take(self) -> Segment:
        """A segment to append to, its lease durable. Raises SpoolFull, SpoolSick."""
        with self._lock:
            self.health.require()
            segment, number = self.space.pick(), 0
            if segment is None:
                self.space.reserve(self.space.segment_bytes)
                number = self.space.next_number()
        self.taken.set()
        self.space.bury()
        fresh = segment is None
        try:
            if segment is None:
                path = files.path_of(self.folder, number)
                segment = files.create(path, self.space.segment_bytes, self.disk)
            else:
                segment.descriptor = open_file(segment.path, os.O_RDWR)
            files.begin_lease(segment, self.disk)
        except OSError as error:
            self._give_up(segment)
            raise self.health.broken(error) from error
        if fresh:
            self.health.sync(self.disk.sync_file, segment.descriptor)
            self.health.sync(lambda _: self.disk.sync_folder(self.folder), segment.descriptor)
        else:
            self.health.sync(self.disk.sync, segment.descriptor)
        with self._lock:
            self.used[segment.number] = segment
        return segment

    def _give_up(self, segment: Segment | None) -> None:
        """A segment could not be made ready."""
        with self._lock:
            if segment is None:
                self.space.allocated_bytes -= self.space.segment_bytes
                return
            if segment.leased:
                os.close(segment.descriptor)
                segment.descriptor = -1
            self.space.pool.insert(0, segment)

    def grow(self, segment: Segment, needed_bytes: int, record_bytes: int) -> None:
        """Reserve room for a record that goes beyond its segment. Raises SpoolFull, SpoolSick."""
        step = min(max(record_bytes, _GROWTH_BYTES_MIN), self.space.segment_bytes)
        before = segment.size_bytes
        wanted = max(needed_bytes, before + step)
        with self._lock:
            self.space.reserve(wanted - before)
        self.space.bury()
        try:
            self.disk.preallocate(segment.descriptor, wanted)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(segment.descriptor, before)
            with self._lock:
                self.space.allocated_bytes -= wanted - before
            raise self.health.broken(error) from error
        segment.size_bytes = wanted

    def published(
        self, segment: Segment, *, offset: int, end: int, received_at: Instant
    ) -> RecordRef:
        """A record is durable: let the filer see it. Raises SpoolSick if another sync failed."""
        with self._lock:
            self.health.require()
            number = segment.append(offset=offset, end=end, received_at=received_at)
            self.unfiled_records += 1
            self.unfiled_bytes += end - offset
            if self._waiting:
                self._changed.notify_all()
        return RecordRef(segment=segment.number, generation=segment.key.generation, number=number)

    def retire(self, segment: Segment) -> None:
        """Nothing more will be appended. Raises SpoolSick."""
        try:
            if not self.health.sick:
                self._seal(segment)
        finally:
            with self._lock:
                os.close(segment.descriptor)
                segment.descriptor = -1
                self._recycle(segment)
            self.space.bury()

    def _seal(self, segment: Segment) -> None:
        """Close it with its index. A segment that has no room for one will be walked instead."""
        before = segment.size_bytes
        with suppress(OSError):
            kept = max(self.space.segment_bytes, segment.end)
            if before > kept:
                os.ftruncate(segment.descriptor, kept)
                segment.size_bytes = kept
            files.seal(segment, segment.descriptor, self.disk)
        with self._lock:
            self.space.allocated_bytes += segment.size_bytes - before
            needed = segment.unreleased
        if needed:
            self.health.sync(self.disk.sync, segment.descriptor)

    # what the filer calls, or asks for

    def wait(self, timeout_s: float) -> bool:
        """Wait until there is a record to be filed; False after `timeout_s`, or if sick."""
        with self._lock:
            self._waiting += 1
            try:
                self._changed.wait_for(
                    lambda: self.unfiled_records > 0 or self.health.sick, timeout_s
                )
            finally:
                self._waiting -= 1
            return self.unfiled_records > 0

    def places(self, limit: int) -> list[Place]:
        """Where the oldest records lie that were not released."""
        with self._lock:
            queues = [_queue(segment) for segment in self.used.values() if segment.unreleased]
            oldest = islice(merge(*queues), limit)
            return [self.used[number].place(record) for _, number, record in oldest]

    def release(self, refs: Iterable[RecordRef]) -> None:
        """Forget records whose rows are committed."""
        touched: dict[int, Segment] = {}
        with self._lock:
            for ref in refs:
                segment = self.used.get(ref.segment)
                if segment is None or segment.key.generation != ref.generation:
                    continue
                size = segment.size_of(ref.number)
                if segment.release(ref.number):
                    touched[segment.number] = segment
                    self._no_longer_unfiled(size)
        for segment in touched.values():
            self._note_released(segment)
        with self._lock:
            for segment in touched.values():
                self._recycle(segment)
        self.space.bury()

    def _note_released(self, segment: Segment) -> None:
        with self._lock:
            bits, key = bytes(segment.bits), segment.key
        # A disk that fails here fails a store next, which is where it counts.
        with suppress(OSError):
            files.write_released(segment.path, bits, key, self.disk)

    def damaged(self, ref: RecordRef, what: str) -> None:
        """A record turned out to be damaged as it was read."""
        with self._lock:
            segment = self.used.get(ref.segment)
            if segment is None or segment.key.generation != ref.generation:
                return
            size = segment.size_of(ref.number)
            if segment.lose(ref.number):
                self._no_longer_unfiled(size)
                segment.damages.append(
                    Damage(segment=segment.number, path=segment.path, records=1, what=what)
                )

    def write_off(self, number: int) -> bool:
        """Give up the damaged records of a segment; False if it has none."""
        with self._lock:
            segment = self.used.get(number)
            if segment is None or not segment.damages:
                return False
            segment.write_off()
        self._note_released(segment)
        with self._lock:
            self._recycle(segment)
        return True

    def damages(self) -> Sequence[Damage]:
        """Everything that is known to be damaged."""
        with self._lock:
            return [damage for segment in self.used.values() for damage in segment.damages]

    def usage(self) -> Usage:
        """How full it is."""
        oldest = self.oldest()
        with self._lock:
            return Usage(
                records=self.unfiled_records,
                bytes=self.unfiled_bytes,
                allocated_bytes=self.space.allocated_bytes,
                free_segments=len(self.space.pool),
                limit_bytes=self.space.limit_bytes,
                oldest_received_at=oldest,
            )

    def oldest(self) -> Instant | None:
        """received_at of the oldest record that is not filed."""
        with self._lock:
            times = [segment.oldest() for segment in self.used.values()]
        return min((time for time in times if time is not None), default=None)

    def newest(self) -> Instant | None:
        """received_at of the latest record that is to be filed."""
        with self._lock:
            segments = list(self.used.values())
        return max((at for one in segments for at, _ in one.pending()), default=None)

    def _told(self) -> None:
        """A sync failed: whoever waits for records is to see it."""
        self._failed()
        with self._lock:
            self._changed.notify_all()

    # with the lock held

    def _recycle(self, segment: Segment) -> None:
        if segment.number in self.used and segment.done:
            del self.used[segment.number]
            self.space.recycle(segment)

    def _no_longer_unfiled(self, size: int) -> None:
        self.unfiled_records -= 1
        self.unfiled_bytes -= size


def _queue(segment: Segment) -> Iterator[tuple[Instant, int, int]]:
    return ((received_at, segment.number, number) for received_at, number in segment.pending())
