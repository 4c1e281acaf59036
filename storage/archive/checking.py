"""Whether an object is what was put: read again, or known by a remote store's word."""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from dataclasses import dataclass
from enum import StrEnum

from storage.archive.fingerprint import Fingerprint
from storage.archive.port import Archive, ObjectInfo
from storage.errors import ObjectMissing, ObjectUnreadable

ASKED_BYTES = 64 * 1024
"""What a question without reading is charged as, so that many of them count."""
# PS3.10 7.1: 128 bytes of preamble, which are zero in ours, DICM, then (0002,0000) UL, which says
# how many bytes of file meta information follow it.
_START = bytes(128) + b"DICM" + b"\x02\x00\x00\x00UL\x04\x00"
_META = len(_START) + 4


class Damage(StrEnum):
    """What is wrong with an object."""

    MISSING = "missing"
    SIZE = "size"
    CONTENT = "content"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """An object as it is on record. `fingerprint` is None where it was filed before that was."""

    key: str
    examination_id: str
    size_bytes: int
    sha256: str
    transfer_syntax_uid: str
    fingerprint: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What an object is. `fingerprint` is to go on record; it is None where one stands already."""

    expected: Expected
    damage: Damage | None
    fingerprint: str | None = None


def check(
    archive: Archive, expected: Expected, info: ObjectInfo | None
) -> Generator[int, None, Verdict]:
    """Check one object; yields the bytes of each piece read, returns the verdict.

    `info` is what the archive says is there. Raises ArchiveUnavailable.
    """
    known = expected.fingerprint
    if info is None or info.size_bytes != expected.size_bytes:
        damage = Damage.MISSING if info is None else Damage.SIZE
        yield ASKED_BYTES
        return Verdict(expected=expected, damage=damage)
    if info.fingerprint is not None and _kind(known) == _kind(info.fingerprint):
        yield ASKED_BYTES
        found: str | Damage = info.fingerprint
    else:
        found = yield from _read(archive, expected)
    if isinstance(found, Damage):
        return Verdict(expected=expected, damage=found)
    if _kind(known) == _kind(found):
        damaged = Damage.CONTENT if known != found else None
        return Verdict(expected=expected, damage=damaged)
    # Filed before fingerprints were noted, or copied from another kind of archive: found whole.
    return Verdict(expected=expected, damage=None, fingerprint=info.fingerprint or found)


def _read(archive: Archive, expected: Expected) -> Generator[int, None, str | Damage]:
    """Read it all: its fingerprint, or what is wrong, by the SHA-256 on record as well."""
    whole = Content(expected.transfer_syntax_uid)
    try:
        for chunk in archive.open(expected.key):
            whole.update(chunk)
            yield len(chunk)
    except ObjectMissing:
        return Damage.MISSING
    except ObjectUnreadable:
        return Damage.UNREADABLE
    return whole.fingerprint if whole.sha256 == expected.sha256 else Damage.CONTENT


def _kind(fingerprint: str | None) -> str | None:
    return None if fingerprint is None else fingerprint.partition(":")[0]


class Content:
    """A Part 10 file as it streams by: its fingerprint, and the SHA-256 that is on record.

    That one covers the transfer syntax and the data set, which begins where the file meta's own
    length says; nothing else of DICOM is known here.
    """

    def __init__(self, transfer_syntax_uid: str) -> None:
        self._fingerprint = Fingerprint()
        self._sha256 = hashlib.sha256(transfer_syntax_uid.encode("ascii") + b"\0")
        self._start: bytearray | None = bytearray()
        self._skip = 0
        self._whole = False

    def update(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self._fingerprint.update(chunk)
        if self._start is not None:
            self._start += chunk
            if len(self._start) < _META:
                return
            chunk, self._start = bytes(self._start), None
            self._whole = chunk.startswith(_START)
            self._skip = _META + int.from_bytes(chunk[len(_START) : _META], "little")
        view = memoryview(chunk)[self._skip :]
        self._skip = max(0, self._skip - len(chunk))
        self._sha256.update(view)

    @property
    def fingerprint(self) -> str:
        """Of every byte."""
        return str(self._fingerprint)

    @property
    def sha256(self) -> str | None:
        """Of transfer syntax and data set; None where it does not begin as our files do."""
        return self._sha256.hexdigest() if self._whole and not self._skip else None
