"""What an archive is to everybody else: durable before it says so, wherever it keeps objects.

A key is relative and made of our own ids and hashes: `objects/<examination id>/<generation>/
<sha256>.dcm`, or the same below `quarantine/`. No byte from the wire becomes part of a path. The
same key always has the same content, so a put that is done twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from quota.time import Instant

CHUNK_BYTES = 1024 * 1024
"""Objects are read in pieces of this size: memory does not grow with an object."""


Chunk: TypeAlias = bytes | memoryview
Read: TypeAlias = Callable[[], Iterable[Chunk]]
"""Reads an object's content, in order, each time it is called."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PutResult:
    """A durable object. `fingerprint` is what `check` will know it by; it goes on record."""

    key: str
    size_bytes: int
    fingerprint: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectInfo:
    """An object as the archive has it. `fingerprint` is None where only reading would tell."""

    key: str
    size_bytes: int
    changed_at: Instant
    fingerprint: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteAccess:
    """Where a remote archive is, and as whom. Empty: as the AWS_ environment variables say."""

    url: str
    endpoint: str = ""
    region: str = ""
    access_key_id: str = ""
    secret_access_key: str = field(default="", repr=False)


class Batch(Protocol):
    """Objects that are put at the cost of few syncs. A key has the content's hash in it, so an
    object is handed over while it is read for that, before anybody knows its key."""

    def take(self, read: Read) -> Iterator[Chunk]:
        """Read one object, and pass its chunks on: it belongs to the batch once the last one is.

        Where whoever reads breaks off, or `read` raises, nothing was taken. Raises as `put` does.
        """
        ...

    def put(self, keys: Sequence[str | None]) -> list[PutResult]:
        """Put the objects taken, in their order, those whose key is None left out; once.

        All are durable when it returns. Where it raises (as `Archive.put` does), some may be there
        and some not: put them all again. An object that no row names is removed once it is older
        than `storage.sweep.SETTLED_AFTER_S`: whoever commits rows later than that puts again first.
        """
        ...


class Archive(Protocol):
    """Objects under keys. Safe to call from many threads and processes.

    `sick`: a sync failed in this process; nothing more may be acknowledged by it.
    """

    sick: bool

    def put(self, key: str, chunks: Iterable[bytes | memoryview]) -> PutResult:
        """Write one object under `key` and make it durable.

        Raises ArchiveFull, ArchiveUnavailable and ArchiveSick; then nothing is left under `key`
        that was not there before.
        """
        ...

    def batch(self) -> AbstractContextManager[Batch]:
        """Begin a batch; what of it was not put is forgotten where the block ends.

        Raises as `put` does.
        """
        ...

    def open(self, key: str) -> Iterator[bytes]:
        """The object's bytes in pieces.

        Raises ObjectMissing, ObjectUnreadable (this one object) and ArchiveUnavailable.
        """
        ...

    def infos(self, keys: Sequence[str]) -> Mapping[str, ObjectInfo]:
        """What is there of these keys; a missing one has no entry. Raises ArchiveUnavailable."""
        ...

    def list(self, prefix: str, *, changed_since: Instant = 0) -> Iterator[ObjectInfo]:
        """Every object below the folder `prefix`, in any order, in bounded memory.

        Those unchanged since may be left out. Raises ArchiveUnavailable.
        """
        ...

    def discard(self, keys: Sequence[str]) -> None:
        """Remove objects that no row names; a missing one is no error.

        Raises ArchiveUnavailable; then some may be gone and some not.
        """
        ...

    def discard_unfinished(self) -> int:
        """Remove what a killed process left half written; only before anybody puts."""
        ...

    def has_room(self) -> bool:
        """Whether more may be put."""
        ...
