"""The spool: what was acknowledged and is not filed yet, durable on a local disk (design §5).

One object per process and directory. An association's thread leases a segment and appends; one
filer, wherever it runs, reads the oldest records; they are released once their rows are committed.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from quota.time import Instant
from storage.spool import disk as disks
from storage.spool import opening
from storage.spool.disk import Disk
from storage.spool.errors import SpoolUnavailable
from storage.spool.lease import Lease
from storage.spool.opening import Recovered
from storage.spool.preparing import Preparing
from storage.spool.reading import SpooledRecord, read_places
from storage.spool.record import Place, RecordRef
from storage.spool.segment import Damage
from storage.spool.segments import Segments
from storage.spool.space import READY_SEGMENTS
from storage.spool.usage import Usage

SEGMENT_BYTES = 64 << 20
SEGMENT_BYTES_MIN = 64 << 10
POOL_SEGMENTS_MAX = 16
_LOCK = "lock"


class Spool:
    """A directory of segments, held by a lock. Safe to call from many threads."""

    def __init__(self, directory: Path, segments: Segments, lock: int) -> None:
        self.directory = directory
        self.id = uuid.UUID(directory.name)
        self.recovered = Recovered(records=0, bytes=0, torn=0, damages=())
        self._segments = segments
        self._preparing = Preparing(segments)
        self._lock = lock

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        fill_max_bytes: int | None = None,
        pool_max: int = POOL_SEGMENTS_MAX,
        any_file_system: bool = False,
        disk: Disk | None = None,
    ) -> Spool:
        """Lock the spool, make it if need be, and recover what is in it.

        `directory` is named by a UUID. `fill_max_bytes`: at most that much is taken of the disk,
        by default half of the volume; with several spools on it, each is to be given its share.
        `any_file_system` is for tests only. Raises SpoolLocked, SpoolUnsuitable, SpoolUnavailable,
        SpoolSick (a sync failed earlier, and the disk still fails), SpoolUnknown.
        """
        disk = disk or Disk()
        assert segment_bytes >= SEGMENT_BYTES_MIN and segment_bytes % 4096 == 0
        try:
            opening.make(directory, disk)
            if not any_file_system:
                disks.refuse_unsuitable(directory)
            lock = disks.lock(directory / _LOCK)
        except OSError as error:
            raise _unavailable(directory, error) from error
        try:
            segments = Segments(
                directory,
                disk,
                segment_bytes=segment_bytes,
                fill_max_bytes=opening.half_of_volume(directory)
                if fill_max_bytes is None
                else fill_max_bytes,
                pool_max=pool_max,
                failed=lambda: opening.mark_sick(directory),
            )
            spool = cls(directory, segments, lock)
            opening.examine(directory, disk)
            spool.recovered = opening.recover_all(directory, segments, disk)
        except OSError as error:
            os.close(lock)
            raise _unavailable(directory, error) from error
        except BaseException:
            os.close(lock)
            raise
        return spool

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the lock; leases are to be ended before. Does nothing the second time."""
        self._preparing.stop()
        lock, self._lock = self._lock, -1
        if lock >= 0:
            os.close(lock)

    def keep_ready(self, segments: int = READY_SEGMENTS) -> None:
        """Until `close`, have so many segments whose blocks were written before; 0 for none.

        More of them as demand shows.
        """
        if segments:
            self._preparing.start(segments)

    def prepare(self) -> bool:
        """Make one segment ready now; False if none is wanted or there is no room to spare."""
        return self._preparing.once()

    @property
    def sick(self) -> bool:
        """Whether a sync has failed in this process: nothing more may be acknowledged."""
        return self._segments.health.sick

    # the associations' side

    def lease(self) -> Lease:
        """A segment for one association, from its first store on. Raises SpoolFull, SpoolSick."""
        return Lease(self._segments)

    def has_room(self) -> bool:
        """Whether another association can be given a segment."""
        return self._segments.has_room()

    # the filer's side

    def places(self, limit: int) -> list[Place]:
        """Where the oldest `limit` records lie that were neither released nor found damaged.

        They stay there until they are released, so that another process may read them.
        """
        return self._segments.places(limit)

    def unfiled(self, limit: int) -> list[SpooledRecord]:
        """The oldest `limit` records that were not released; damaged ones are left out.

        Raises SpoolUnavailable where a segment can't be read.
        """
        return read_places(self.directory, self.places(limit), damaged=self.damaged)

    def damaged(self, ref: RecordRef, what: str) -> None:
        """Whoever read a record found it damaged: it is kept, and not offered again."""
        self._segments.damaged(ref, what)

    def release(self, refs: Iterable[RecordRef]) -> None:
        """Forget records whose rows are committed; unknown ones and those released before too.

        Not synced: after a power cut a record may be there again, and is a duplicate to the filer.
        """
        self._segments.release(refs)

    def wait_for_records(self, timeout_s: float) -> bool:
        """Wait until there is something to be filed; False after `timeout_s`, or if sick."""
        return self._segments.wait(timeout_s)

    # what others want to know

    def filed_through(self, now: Instant) -> Instant:
        """received_at of the oldest record that is not filed, else `now` (design §5).

        Damage holds it back until it is written off: what was lost may be what is asked for.
        """
        oldest = self._segments.oldest()
        return now if oldest is None else min(oldest, now)

    def newest(self) -> Instant | None:
        """received_at of the latest record that is not filed; walks all of them."""
        return self._segments.newest()

    def usage(self) -> Usage:
        """How full the spool is."""
        return self._segments.usage()

    def damages(self) -> Sequence[Damage]:
        """Everything acknowledged that can't be read back; its segments are kept."""
        return self._segments.damages()

    def write_off(self, segment: int) -> bool:
        """An operator gives up what is damaged in a segment; False if nothing is."""
        return self._segments.write_off(segment)


def _unavailable(directory: Path, error: OSError) -> SpoolUnavailable:
    why = os.strerror(error.errno or 0)
    return SpoolUnavailable(f"the spool {directory} can't be opened ({why})")
