"""A record: what we know of an instance, and the header page that makes its bytes count.

On the disk: one header page, then the body (a whole Part 10 file), then, where it does not fit into
the page, what the `RecordHeader` says, as JSON; all of it filled up to whole pages. The page is
written last. It is keyed with the lease's nonce and bound to its place, so that neither a stale
record in a recycled segment nor bytes that a device made up can be taken for one of ours.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from operator import attrgetter
from typing import Any

from xxhash import xxh3_128_digest

from quota.time import Instant
from storage.records import Incoming, StudyDescription
from storage.spool.errors import HeaderTooLarge, RecordDamaged

PAGE_BYTES = 4_096
METADATA_BYTES_MAX = 64 << 10
_MAGIC = b"TGRECORD"
_VERSION = 1
# magic, nonce, version, reserved, size of the metadata, generation, number, offset, size of the
# body, received_at, digest of the body, digest of the metadata
_FIXED = struct.Struct("<8s16sHHIQQQQq16s16s")
_DIGEST_BYTES = 16
FIXED_BYTES = _FIXED.size + _DIGEST_BYTES
_INLINE_BYTES_MAX = PAGE_BYTES - FIXED_BYTES


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordHeader:
    """What the filer has to know of an instance.

    `data_set_offset`: where the data set begins, in bytes from the start of the body.
    `provisional`: admitted while the ledger was out of reach, to be booked when it is filed.
    """

    incoming: Incoming
    examination_id: str
    generation: int
    provisional: bool
    received_at: Instant
    data_set_offset: int


_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
_OF_STUDY = tuple(field.name for field in fields(StudyDescription))
_OF_INCOMING = tuple(field.name for field in fields(Incoming) if field.name != "description")
_OF_HEADER = tuple(field.name for field in fields(RecordHeader) if field.name != "incoming")
_BYTES = tuple(field.name for field in fields(Incoming) if field.type in {"bytes", bytes})
_OF_SERIES = tuple(name for name in _OF_INCOMING if name != "sop_instance_uid")
_study_values = attrgetter(*_OF_STUDY)
_series_values = attrgetter(*_OF_SERIES)
_header_values = attrgetter(*_OF_HEADER)


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordRef:
    """Which record of a spool: `generation` counts the leases of the segment."""

    segment: int
    generation: int
    number: int


@dataclass(frozen=True, kw_only=True, slots=True)
class LeaseKey:
    """What a lease's records are keyed with: 16 random bytes, and the lease's count."""

    nonce: bytes
    generation: int

    @property
    def needle(self) -> bytes:
        """How every header page of this lease begins, and no other page of the disk."""
        return _MAGIC + self.nonce


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a record that is to be filed lies, for whoever reads it: another process may."""

    ref: RecordRef
    nonce: bytes
    offset: int

    @property
    def key(self) -> LeaseKey:
        """What its header page is keyed with."""
        return LeaseKey(nonce=self.nonce, generation=self.ref.generation)


@dataclass(frozen=True, kw_only=True, slots=True)
class Envelope:
    """What a header page says of its record's place, sizes (in bytes) and checksums."""

    number: int
    offset: int
    body_size: int
    received_at: Instant
    body_digest: bytes
    metadata_size: int
    metadata_digest: bytes

    @property
    def body_offset(self) -> int:
        """Where the body begins within the segment."""
        return self.offset + PAGE_BYTES

    @property
    def metadata_offset(self) -> int:
        """Where the metadata begins: in the header page if it fits, else behind the body."""
        if fits_inline(self.metadata_size):
            return self.offset + FIXED_BYTES
        return self.body_offset + self.body_size

    @property
    def end(self) -> int:
        """Where the next record may begin."""
        behind = 0 if fits_inline(self.metadata_size) else self.metadata_size
        return whole_pages(self.body_offset + self.body_size + behind)


def whole_pages(size: int) -> int:
    """`size` rounded up to whole pages."""
    return -(-size // PAGE_BYTES) * PAGE_BYTES


def fits_inline(metadata_size: int) -> bool:
    """Whether metadata of that size goes into the header page."""
    return metadata_size <= _INLINE_BYTES_MAX


def header_page(envelope: Envelope, key: LeaseKey, metadata: bytes) -> bytes:
    """The page that makes a record count."""
    fixed = _FIXED.pack(
        _MAGIC,
        key.nonce,
        _VERSION,
        0,
        envelope.metadata_size,
        key.generation,
        envelope.number,
        envelope.offset,
        envelope.body_size,
        envelope.received_at,
        envelope.body_digest,
        envelope.metadata_digest,
    )
    inline = metadata if fits_inline(len(metadata)) else b""
    return (fixed + _keyed(key, fixed) + inline).ljust(PAGE_BYTES, b"\0")


def read_envelope(page: bytes, key: LeaseKey, offset: int) -> Envelope | None:
    """What the page at `offset` says, or None if it is no header page of that lease.

    Only the first FIXED_BYTES of the page are looked at.
    """
    if len(page) < FIXED_BYTES or not page.startswith(key.needle):
        return None
    fixed = page[: _FIXED.size]
    if page[_FIXED.size : FIXED_BYTES] != _keyed(key, fixed):
        return None
    (
        _,
        _,
        version,
        _,
        metadata_size,
        generation,
        number,
        place,
        body_size,
        received_at,
        *digests,
    ) = _FIXED.unpack(fixed)
    if version != _VERSION or generation != key.generation or place != offset:
        return None
    return Envelope(
        number=number,
        offset=offset,
        body_size=body_size,
        received_at=received_at,
        body_digest=digests[0],
        metadata_size=metadata_size,
        metadata_digest=digests[1],
    )


def encode_metadata(header: RecordHeader) -> bytes:
    """The header as JSON, for records outlive the program that wrote them.

    Raises HeaderTooLarge beyond METADATA_BYTES_MAX.
    """
    incoming = header.incoming
    received, described = _of_series(_series_values(incoming), incoming.description)
    document = dict(zip(_OF_HEADER, _header_values(header), strict=True))
    encoded = (
        f'{_encode(document)[:-1]},"incoming":{received[:-1]},'
        f'"sop_instance_uid":{_encode(incoming.sop_instance_uid)}}},"description":{described}}}'
    ).encode()
    if len(encoded) > METADATA_BYTES_MAX:
        raise HeaderTooLarge(
            f"the record's header takes {len(encoded)} bytes; at most {METADATA_BYTES_MAX} fit"
        )
    return encoded


# What all instances of a series share; as many series as arrive at the same time.
@lru_cache(maxsize=64)
def _of_series(values: tuple[Any, ...], description: StudyDescription) -> tuple[str, str]:
    """The JSON of what an `Incoming` says but for its SOP Instance UID, and of its study."""
    received = dict(zip(_OF_SERIES, values, strict=True))
    for name in _BYTES:
        received[name] = received[name].decode("latin-1")
    described = dict(zip(_OF_STUDY, _study_values(description), strict=True))
    return _encode(received), _encode(described)


def decode_metadata(encoded: bytes) -> RecordHeader:
    """Read what `encode_metadata` wrote, now or in an earlier version.

    A field that it did not know yet takes its default. Raises RecordDamaged if that is not enough.
    """
    try:
        document: dict[str, Any] = json.loads(encoded)
        described = StudyDescription(**_known(_OF_STUDY, document.pop("description")))
        values = _known(_OF_INCOMING, document.pop("incoming"))
        for name in _BYTES:
            values[name] = values[name].encode("latin-1")
        incoming = Incoming(**values, description=described)
        return RecordHeader(**_known(_OF_HEADER, document), incoming=incoming)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        # Only the kind of error: its text may quote a patient's name.
        raise RecordDamaged(f"the record's header can't be read ({type(error).__name__})") from None


def metadata_digest(metadata: bytes) -> bytes:
    """The checksum of the metadata; the header page, which is keyed, vouches for it."""
    return xxh3_128_digest(metadata)


def _keyed(key: LeaseKey, fixed: bytes) -> bytes:
    return xxh3_128_digest(key.nonce + fixed)


def _known(known: Collection[str], found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name in known}
