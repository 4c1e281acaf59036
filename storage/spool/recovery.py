"""Recovery: what a segment holds, after whatever happened to the process or to the power.

A sealed segment has an index; another one is walked from header to header. Where the walk ends, the
rest of the segment is searched for a header of the same lease: one that is found proves that
everything before it had been acknowledged, so what can't be read before it is damage. Without one,
the last record may be torn, and a torn record was never acknowledged: it is dropped.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from xxhash import xxh3_128, xxh3_128_digest

from storage.spool.disk import open_file
from storage.spool.layout import (
    DATA_OFFSET,
    LEASE_COPIES,
    LEASE_OFFSET,
    RELEASED_BYTES,
    RELEASED_OFFSET,
    SEAL_OFFSET,
    read_lease,
    read_released,
    read_seal,
)
from storage.spool.record import (
    FIXED_BYTES,
    PAGE_BYTES,
    Envelope,
    LeaseKey,
    metadata_digest,
    read_envelope,
)
from storage.spool.segment import Damage, Segment, load_index

_CHUNK_BYTES = 1 << 20


def recover(path: Path) -> Segment:
    """Read a segment back. `key.generation` is 0 if it was never leased.

    Raises OSError, and SpoolUnknown for a layout of a later version.
    """
    descriptor = open_file(path, os.O_RDONLY)
    try:
        return _recover(path, descriptor)
    finally:
        os.close(descriptor)


def _recover(path: Path, descriptor: int) -> Segment:
    size = os.fstat(descriptor).st_size
    head = os.pread(descriptor, DATA_OFFSET, 0)
    lease = head[LEASE_OFFSET : LEASE_COPIES * PAGE_BYTES]
    key = read_lease(lease)
    if key is None:
        segment = Segment(path, size_bytes=size)
        if any(lease):
            what = "the segment's first pages are damaged: its records can't be told"
            segment.damages.append(_damage(segment, None, what))
        return segment
    segment = Segment(path, size_bytes=size, key=key)
    if not _load_sealed(segment, descriptor, head):
        _walk(segment, descriptor)
    segment.take_over_bits(read_released(head[RELEASED_OFFSET:][:RELEASED_BYTES], key))
    if lost := len(segment.lost()):
        segment.damages.append(_damage(segment, lost, "records before a good one can't be read"))
    return segment


def _damage(segment: Segment, records: int | None, what: str) -> Damage:
    return Damage(segment=segment.number, path=segment.path, records=records, what=what)


def _load_sealed(segment: Segment, descriptor: int, head: bytes) -> bool:
    found = read_seal(head[SEAL_OFFSET : SEAL_OFFSET + PAGE_BYTES], segment.key)
    if found is None:
        return False
    index = os.pread(descriptor, found.count * 16, found.end)
    if xxh3_128_digest(segment.key.nonce + index) != found.index_digest:
        return False
    load_index(segment, index, found.end)
    segment.sealed = True
    return True


def _walk(segment: Segment, descriptor: int) -> None:
    last: Envelope | None = None
    for envelope in _envelopes(descriptor, segment.key, segment.size_bytes):
        segment.append_lost(envelope.number - len(segment.offsets))
        segment.append(offset=envelope.offset, end=envelope.end, received_at=envelope.received_at)
        last = envelope
    if last is not None and not is_whole(descriptor, last):
        segment.drop_last(last.offset)


def _envelopes(descriptor: int, key: LeaseKey, size: int) -> Iterator[Envelope]:
    """Every header of the lease, in order."""
    offset, number = DATA_OFFSET, 0
    while offset < size:
        found = _at(descriptor, key, offset, size)
        if found is None or found.number < number:
            found = _search(descriptor, key, offset + PAGE_BYTES, size, number)
        if found is None:
            return
        yield found
        offset, number = found.end, found.number + 1


def _at(descriptor: int, key: LeaseKey, offset: int, size: int) -> Envelope | None:
    found = read_envelope(os.pread(descriptor, FIXED_BYTES, offset), key, offset)
    return found if found is not None and found.end <= size else None


def _search(descriptor: int, key: LeaseKey, offset: int, size: int, number: int) -> Envelope | None:
    """The next header of the lease at or after `offset`, on whichever page it is."""
    while offset < size:
        try:
            # Blocks that were never written are not read: a new segment is mostly that.
            offset = os.lseek(descriptor, offset, os.SEEK_DATA) // PAGE_BYTES * PAGE_BYTES
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole up to the end
                return None
            raise
        chunk = os.pread(descriptor, _CHUNK_BYTES, offset)
        at = chunk.find(key.needle)
        while at >= 0:
            if at % PAGE_BYTES == 0:
                found = _at(descriptor, key, offset + at, size)
                if found is not None and found.number >= number:
                    return found
            at = chunk.find(key.needle, at + 1)
        offset += _CHUNK_BYTES
    return None


def is_whole(descriptor: int, envelope: Envelope) -> bool:
    """Whether body and metadata of a record are what was written."""
    metadata = os.pread(descriptor, envelope.metadata_size, envelope.metadata_offset)
    if metadata_digest(metadata) != envelope.metadata_digest:
        return False
    running = xxh3_128()
    offset, left = envelope.body_offset, envelope.body_size
    while left:
        chunk = os.pread(descriptor, min(left, _CHUNK_BYTES), offset)
        if not chunk:
            return False
        running.update(chunk)
        offset, left = offset + len(chunk), left - len(chunk)
    return running.digest() == envelope.body_digest
