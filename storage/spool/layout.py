"""The first pages of a segment: its lease, its seal, and which of its records were released.

Page 0 and 1 hold the lease, twice, since all acknowledged records of the segment hang on it; what
it says fits into one sector, which a disk writes whole or not at all. Page 2 holds the seal: where
the records end and where the index of them is. Pages 3 and 4 hold a bit for each released record.
The seal and the bits only spare work: without them the records are walked and filed again.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from xxhash import xxh3_128_digest

from storage.spool.errors import SpoolUnknown
from storage.spool.record import PAGE_BYTES, LeaseKey

LEASE_OFFSET = 0
LEASE_COPIES = 2
SEAL_OFFSET = 2 * PAGE_BYTES
RELEASED_OFFSET = 3 * PAGE_BYTES
RELEASED_BYTES = 2 * PAGE_BYTES
DATA_OFFSET = 8 * PAGE_BYTES
"""Where the first record begins; the pages between are spare."""

_VERSION = 1
_DIGEST_BYTES = 16
_LEASE_MAGIC = b"TGLEASE\0"
_LEASE = struct.Struct("<8sHHIQQ16s")  # magic, version, reserved twice, segment, generation, nonce
_SEAL_MAGIC = b"TGSEAL\0\0"
_SEAL = struct.Struct("<8sQQQ16s")  # magic, generation, end of the records, count, index's digest
_RELEASED_MAGIC = b"TGFREED\0"
_RELEASED = struct.Struct("<8sQQ")  # magic, generation, bytes of bits
RECORDS_MAX = 8 * (RELEASED_BYTES - _RELEASED.size - _DIGEST_BYTES)
"""How many records a segment may hold: each needs a bit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seal:
    """Where the records of a finished segment end, and the index that lies there."""

    end: int
    count: int
    index_digest: bytes


def lease_pages(segment: int, key: LeaseKey) -> bytes:
    """The first pages of a segment, for a new lease."""
    body = _LEASE.pack(_LEASE_MAGIC, _VERSION, 0, 0, segment, key.generation, key.nonce)
    return (body + xxh3_128_digest(body)).ljust(PAGE_BYTES, b"\0") * LEASE_COPIES


def read_lease(pages: bytes) -> LeaseKey | None:
    """The lease that the first pages speak of; None if neither copy is whole.

    Of two different ones the later counts: the earlier was on its way out. Raises SpoolUnknown for
    a layout that a later version wrote.
    """
    found = [
        key
        for copy in range(LEASE_COPIES)
        if (key := _read_lease(pages[copy * PAGE_BYTES : (copy + 1) * PAGE_BYTES])) is not None
    ]
    return max(found, key=lambda key: key.generation, default=None)


def _read_lease(page: bytes) -> LeaseKey | None:
    body, digest = page[: _LEASE.size], page[_LEASE.size : _LEASE.size + _DIGEST_BYTES]
    if len(digest) < _DIGEST_BYTES or digest != xxh3_128_digest(body):
        return None
    magic, version, _, _, _, generation, nonce = _LEASE.unpack(body)
    if magic != _LEASE_MAGIC:
        return None
    if version != _VERSION:
        raise SpoolUnknown
    return LeaseKey(nonce=nonce, generation=generation)


def seal_page(seal: Seal, key: LeaseKey) -> bytes:
    """The page that closes a segment."""
    body = _SEAL.pack(_SEAL_MAGIC, key.generation, seal.end, seal.count, seal.index_digest)
    return (body + _keyed(key, body)).ljust(PAGE_BYTES, b"\0")


def read_seal(page: bytes, key: LeaseKey) -> Seal | None:
    """What the seal of that lease says; None if there is none."""
    body, digest = page[: _SEAL.size], page[_SEAL.size : _SEAL.size + _DIGEST_BYTES]
    if digest != _keyed(key, body):
        return None
    _, _, end, count, index_digest = _SEAL.unpack(body)
    return Seal(end=end, count=count, index_digest=index_digest)


def released_pages(bits: bytes | bytearray, key: LeaseKey) -> bytes:
    """The pages with a bit for each record, set once it was released."""
    body = _RELEASED.pack(_RELEASED_MAGIC, key.generation, len(bits)) + bits
    return (body + _keyed(key, body)).ljust(RELEASED_BYTES, b"\0")


def read_released(pages: bytes, key: LeaseKey) -> bytes:
    """The bits of that lease; none where they were not written, or not whole."""
    if len(pages) < _RELEASED.size:
        return b""
    size = _RELEASED.size + _RELEASED.unpack_from(pages)[2]
    if size + _DIGEST_BYTES > len(pages):
        return b""
    body = pages[:size]
    return (
        body[_RELEASED.size :] if pages[size : size + _DIGEST_BYTES] == _keyed(key, body) else b""
    )


def _keyed(key: LeaseKey, body: bytes) -> bytes:
    return xxh3_128_digest(key.nonce + body)
