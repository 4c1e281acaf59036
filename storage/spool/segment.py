"""One segment: a preallocated file, and what this process knows of the records in it."""

from __future__ import annotations

import os
import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from operator import le
from pathlib import Path

from xxhash import xxh3_128_digest

from quota.time import Instant
from storage.spool.disk import Disk, open_file
from storage.spool.layout import (
    DATA_OFFSET,
    LEASE_OFFSET,
    RECORDS_MAX,
    RELEASED_OFFSET,
    SEAL_OFFSET,
    Seal,
    lease_pages,
    released_pages,
    seal_page,
)
from storage.spool.record import LeaseKey, Place, RecordRef, whole_pages

NEVER_LEASED = LeaseKey(nonce=bytes(16), generation=0)
_LOST = 0
_SUFFIX = ".segment"


@dataclass(frozen=True, kw_only=True, slots=True)
class Damage:
    """Something acknowledged that a segment does not give back; the segment is kept for a look.

    `records`: how many records, None where not even that is known.
    """

    segment: int
    path: Path
    records: int | None
    what: str


class Segment:
    """The file, its lease, and an index of its records: 16 bytes each, however large they are.

    Not safe to use from several threads: `Segments` guards it.
    """

    def __init__(self, path: Path, *, size_bytes: int, key: LeaseKey = NEVER_LEASED) -> None:
        self.path = path
        self.number = int(path.stem)
        self.size_bytes = size_bytes
        self.descriptor = -1
        """Open for its one appender while it is leased."""
        self.ready = False
        """Whether all its blocks were written before, so that a sync need not tell the log."""
        self.damages: list[Damage] = []
        self.forget(key)

    def forget(self, key: LeaseKey) -> None:
        """Begin anew under another lease."""
        self.end = DATA_OFFSET
        self.offsets = array("Q")
        self.received = array("q")
        self.bits = bytearray()
        self.in_order = True
        """Whether no record was received before an earlier one: the host's clock went forward."""
        self.unreleased = 0
        self.sealed = False
        self.torn = 0
        """How many records recovery dropped, being torn."""
        self._cursor = 0
        # The key last: whoever notes at this moment what was released must not find old bits
        # under the new key, for they would void records that are acknowledged under it.
        self.key = key

    @property
    def leased(self) -> bool:
        """Whether an association appends to it."""
        return self.descriptor >= 0

    @property
    def done(self) -> bool:
        """Whether nobody needs what is in it."""
        return not (self.leased or self.unreleased or self.damages)

    @property
    def has_room_for_a_record(self) -> bool:
        """Whether there is a bit left for one more record."""
        return len(self.offsets) < RECORDS_MAX

    def append(self, *, offset: int, end: int, received_at: Instant) -> int:
        """Take a durable record into the index; returns its number."""
        if self.received and received_at < self.received[-1]:
            self.in_order = False
        self.offsets.append(offset)
        self.received.append(received_at)
        if len(self.bits) * 8 < len(self.offsets):
            self.bits.append(0)
        self.unreleased += 1
        self.end = end
        return len(self.offsets) - 1

    def append_lost(self, count: int) -> None:
        """Count records that were acknowledged and are not to be read any more.

        Their time is that of the record before, or 0: nothing later may be taken for filed.
        """
        for _ in range(count):
            received_at = self.received[-1] if self.received else 0
            self.append(offset=_LOST, end=self.end, received_at=received_at)
            self.unreleased -= 1

    def lose(self, number: int) -> bool:
        """A record turned out to be damaged; False if that was known, or nobody needs it."""
        if not self.is_pending(number):
            return False
        self.offsets[number] = _LOST
        self.unreleased -= 1
        return True

    def lost(self) -> list[int]:
        """The numbers of the records that can't be read, and were not written off."""
        return [
            number
            for number, offset in enumerate(self.offsets)
            if offset == _LOST and not self.is_released(number)
        ]

    def write_off(self) -> None:
        """Give up what can't be read, so that the segment can be used again."""
        for number in self.lost():
            self.bits[number >> 3] |= 1 << (number & 7)
        self.damages.clear()

    def drop_last(self, offset: int) -> None:
        """Recovery: the last record is torn, so it was never acknowledged."""
        self.offsets.pop()
        self.received.pop()
        self.unreleased -= 1
        self.torn += 1
        self.end = offset

    def is_pending(self, number: int) -> bool:
        """Whether the record is there and was not released."""
        return self.offsets[number] != _LOST and not self.is_released(number)

    def is_released(self, number: int) -> bool:
        """Whether the record was released."""
        return bool(self.bits[number >> 3] & 1 << (number & 7))

    def release(self, number: int) -> bool:
        """Release a record; False if there is none, or it was released before."""
        if not 0 <= number < len(self.offsets) or not self.is_pending(number):
            return False
        self.bits[number >> 3] |= 1 << (number & 7)
        self.unreleased -= 1
        return True

    def take_over_bits(self, bits: bytes) -> None:
        """Recovery: what was released before."""
        for number in range(min(len(self.offsets), len(bits) * 8)):
            if bits[number >> 3] & 1 << (number & 7) and not self.release(number):
                self.bits[number >> 3] |= 1 << (number & 7)

    def pending(self) -> Iterator[tuple[Instant, int]]:
        """(received_at, number) of each record that is to be filed, in the order they came."""
        for number in range(self._first_open(), len(self.offsets)):
            if self.is_pending(number):
                yield self.received[number], number

    def place(self, number: int) -> Place:
        """Where a record lies."""
        key = self.key
        ref = RecordRef(segment=self.number, generation=key.generation, number=number)
        return Place(ref=ref, nonce=key.nonce, offset=self.offsets[number])

    def oldest(self) -> Instant | None:
        """received_at of the oldest record that was neither filed nor written off."""
        if not self.unreleased and not self.damages:
            return None
        open_ones = range(self._first_open(), len(self.offsets))
        times = (self.received[n] for n in open_ones if not self.is_released(n))
        if self.in_order:  # asked every second, of a million records after a crash
            return next(times, 0 if self.damages else None)
        return min(times, default=0 if self.damages else None)

    def _first_open(self) -> int:
        """The first number that was not released; what lies before never comes back."""
        while self._cursor < len(self.offsets) and self.is_released(self._cursor):
            self._cursor += 1
        return self._cursor

    def pending_bytes(self) -> int:
        """Bytes that all records which are to be filed take in the segment."""
        if self.unreleased == len(self.offsets):
            # After a crash nearly every segment is whole, and there may be a million records.
            return self.end - self.offsets[0] if self.offsets else 0
        return sum(self.size_of(number) for _, number in self.pending())

    def size_of(self, number: int) -> int:
        """Bytes that a record takes in the segment."""
        later = map(self.offsets.__getitem__, range(number + 1, len(self.offsets)))
        return (
            next((offset for offset in later if offset != _LOST), self.end) - self.offsets[number]
        )


def path_of(folder: Path, number: int) -> Path:
    """Where the segment of that number is: a name of our own making."""
    return folder / f"{number:08d}{_SUFFIX}"


def segments_in(folder: Path) -> list[Path]:
    """The segments of a spool, in the order they were made."""
    return sorted(path for path in folder.glob(f"*{_SUFFIX}") if path.stem.isdecimal())


def create(path: Path, size_bytes: int, disk: Disk) -> Segment:
    """A new segment, whose blocks are reserved; durable with its name. Raises OSError."""
    descriptor = open_file(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        disk.preallocate(descriptor, size_bytes)
    except BaseException:
        os.close(descriptor)
        path.unlink()
        raise
    segment = Segment(path, size_bytes=size_bytes)
    segment.descriptor = descriptor
    return segment


def begin_lease(segment: Segment, disk: Disk) -> None:
    """Write a lease with a new nonce: from here on every older record of the segment is void."""
    key = LeaseKey(nonce=os.urandom(16), generation=segment.key.generation + 1)
    disk.write(segment.descriptor, [lease_pages(segment.number, key)], LEASE_OFFSET)
    segment.forget(key)


def seal(segment: Segment, descriptor: int, disk: Disk) -> None:
    """Write the index and where it is, so that nobody has to walk the records. Raises OSError."""
    index = index_of(segment)
    end = segment.end + whole_pages(len(index))
    if end > segment.size_bytes:
        disk.preallocate(descriptor, end)
        segment.size_bytes = end
    digest = xxh3_128_digest(segment.key.nonce + index)
    page = seal_page(
        Seal(end=segment.end, count=len(segment.offsets), index_digest=digest), segment.key
    )
    disk.write(descriptor, [index.ljust(whole_pages(len(index)), b"\0")], segment.end)
    disk.write(descriptor, [page], SEAL_OFFSET)
    segment.sealed = True


def index_of(segment: Segment) -> bytes:
    """Offsets, then times of receipt, of all records."""
    count = len(segment.offsets)
    return struct.pack(f"<{count}Q{count}q", *segment.offsets, *segment.received)


def load_index(segment: Segment, index: bytes, end: int) -> None:
    """Take over what `index_of` gave."""
    count = len(index) // 16
    values = struct.unpack(f"<{count}Q{count}q", index)
    segment.offsets = array("Q", values[:count])
    segment.received = array("q", values[count:])
    segment.in_order = all(map(le, values[count:], values[count + 1 :]))
    segment.bits = bytearray(-(-count // 8))
    segment.unreleased = count - segment.offsets.count(_LOST)
    segment.end = end


def write_released(path: Path, bits: bytes, key: LeaseKey, disk: Disk) -> None:
    """Note which records were released; not synced, for a record filed again is a duplicate."""
    descriptor = open_file(path, os.O_RDWR)
    try:
        disk.write(descriptor, [released_pages(bits, key)], RELEASED_OFFSET)
    finally:
        os.close(descriptor)
