"""Reading a record's body back, with its checksum."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from xxhash import xxh3_128

from storage.spool.disk import open_file
from storage.spool.errors import RecordDamaged, SpoolUnavailable
from storage.spool.record import (
    PAGE_BYTES,
    Envelope,
    LeaseKey,
    Place,
    RecordHeader,
    RecordRef,
    decode_metadata,
    metadata_digest,
    read_envelope,
)
from storage.spool.segment import path_of

CHUNK_BYTES = 1 << 18
"""So little that it is still in the processor's cache when it is digested and written."""


class _SegmentFile:
    """A segment that is open for as long as somebody has a record of it."""

    __slots__ = ("descriptor",)

    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        self.descriptor = -1
        self.descriptor = open_file(path, os.O_RDONLY)

    def __del__(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)


@dataclass(frozen=True, kw_only=True, slots=True)
class SpooledRecord:
    """A record that waits to be filed. `body_size` is in bytes."""

    ref: RecordRef
    header: RecordHeader
    body_size: int
    _segment: _SegmentFile = field(repr=False)
    _envelope: Envelope = field(repr=False)
    _damaged: Callable[[RecordRef, str], None] = field(repr=False)

    def chunks(self) -> Iterator[bytes]:
        """The body, in order. Raises RecordDamaged, at the latest after the last chunk.

        Only who has seen the end without it has seen the body. A damaged record is not offered by
        `Spool.unfiled` again.
        """
        running = xxh3_128()
        offset, left = self._envelope.body_offset, self.body_size
        try:
            while left:
                chunk = os.pread(self._segment.descriptor, min(left, CHUNK_BYTES), offset)
                if not chunk:
                    break
                running.update(chunk)
                yield chunk
                offset, left = offset + len(chunk), left - len(chunk)
        except OSError as error:
            self._fail(f"it can't be read ({os.strerror(error.errno or 0)})")
        if running.digest() != self._envelope.body_digest:
            self._fail("the body's checksum does not hold")

    def _fail(self, what: str) -> None:
        self._damaged(self.ref, what)
        raise RecordDamaged(f"a record of segment {self.ref.segment} is damaged: {what}")


def read_places(
    directory: Path, places: Sequence[Place], *, damaged: Callable[[RecordRef, str], None]
) -> list[SpooledRecord]:
    """The records at `places` of the spool in `directory`; `damaged` is told of those left out.

    Raises SpoolUnavailable where a segment can't be read.
    """
    records: list[SpooledRecord] = []
    segments: dict[int, _SegmentFile] = {}
    try:
        for place in places:
            number = place.ref.segment
            segment = segments.get(number)
            if segment is None:
                segment = segments[number] = _SegmentFile(path_of(directory, number))
            try:
                envelope, header = read_header(segment.descriptor, place.key, place.offset)
            except RecordDamaged as error:
                damaged(place.ref, str(error))
                continue
            records.append(
                SpooledRecord(
                    ref=place.ref,
                    header=header,
                    body_size=envelope.body_size,
                    _segment=segment,
                    _envelope=envelope,
                    _damaged=damaged,
                )
            )
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise SpoolUnavailable(f"the spool {directory} can't be read ({why})") from error
    return records


def read_header(descriptor: int, key: LeaseKey, offset: int) -> tuple[Envelope, RecordHeader]:
    """The header of the record at `offset`. Raises RecordDamaged, OSError."""
    page = os.pread(descriptor, PAGE_BYTES, offset)
    envelope = read_envelope(page, key, offset)
    if envelope is None:
        raise RecordDamaged("the header page of a record is not what was written")
    place = envelope.metadata_offset - offset
    metadata = page[place : place + envelope.metadata_size]
    if len(metadata) < envelope.metadata_size:
        metadata = os.pread(descriptor, envelope.metadata_size, envelope.metadata_offset)
    if metadata_digest(metadata) != envelope.metadata_digest:
        raise RecordDamaged("the header of a record is not what was written")
    return envelope, decode_metadata(metadata)
