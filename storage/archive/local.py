"""The archive in a local directory: temporary name, write, sync, rename, sync (`batch.py`)."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from quota.time import Instant
from storage.archive.batch import LocalBatch
from storage.archive.naming import Names
from storage.archive.port import CHUNK_BYTES, ObjectInfo, PutResult
from storage.archive.syncing import FULL, SyncError
from storage.errors import (
    ArchiveFull,
    ArchiveSick,
    ArchiveUnavailable,
    ObjectMissing,
    ObjectUnreadable,
    StorageError,
)

_ROTTEN = {errno.EIO, errno.EBADMSG, errno.EUCLEAN}
"""What a disk says of one bad place, or a file system of a checksum that does not hold."""


class LocalArchive:
    """Objects below `root`, one file each, mode 0600.

    A failed sync is final: what the kernel holds is unknown after it, so from then on every `put`
    raises ArchiveSick until a new process has been started.
    """

    def __init__(self, root: Path, *, free_bytes_min: int = 0) -> None:
        self.root = root
        self.sick = False
        self._free_bytes_min = free_bytes_min
        self._names = Names(root)

    def put(self, key: str, chunks: Iterable[bytes | memoryview]) -> PutResult:
        """Write an object under `key` and make it durable.

        Writing the same key again replaces it by the same bytes, for keys carry the content's
        hash. Raises ArchiveFull, ArchiveUnavailable and ArchiveSick; then nothing
        is left behind.
        """
        with self.batch() as batch:
            for _ in batch.take(lambda: chunks):
                pass
            return batch.put([key])[0]

    @contextmanager
    def batch(self) -> Iterator[LocalBatch]:
        """Write many objects and make them durable by two syncs of the file system.

        What has its name when a put fails stays: it is whole and synced.
        """
        self._ask_for_room()
        with closing(LocalBatch(self._names, failed=self._failed)) as batch:
            yield batch

    def open(self, key: str) -> Iterator[bytes]:
        """The object's bytes in pieces, read past the cache's favour: the scrubber must not evict
        what somebody needs. Raises ObjectMissing, ObjectUnreadable and ArchiveUnavailable."""
        with _reading():
            descriptor = os.open(self.root / key, os.O_RDONLY | os.O_CLOEXEC)
        try:
            with _reading():
                while chunk := os.read(descriptor, CHUNK_BYTES):
                    yield chunk
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)

    def infos(self, keys: Sequence[str]) -> dict[str, ObjectInfo]:
        """Size and age of the regular files among these keys. Raises ArchiveUnavailable."""
        found = map(self._info, keys)
        return {info.key: info for info in found if info is not None}

    def list(self, prefix: str, *, changed_since: Instant = 0) -> Iterator[ObjectInfo]:
        """Every object below `prefix` in a folder that has changed since."""
        for parent, _, names in os.walk(self.root / prefix):
            folder = Path(parent)
            # A folder may go while we walk: whoever discarded its last object took it along.
            with suppress(FileNotFoundError):
                if names and folder.stat().st_mtime_ns // 1_000 >= changed_since:
                    within = folder.relative_to(self.root)
                    yield from filter(None, (self._info(f"{within}/{name}") for name in names))

    def discard(self, keys: Sequence[str]) -> None:
        """Remove objects that no row names, and the folders they leave empty."""
        for key in keys:
            try:
                (self.root / key).unlink(missing_ok=True)
            except OSError as error:
                raise _unavailable(error) from error
            with suppress(OSError):
                self._names.remove_empty(key)

    def discard_unfinished(self) -> int:
        """Remove what a killed process left half written; only for the archive's one writer."""
        leftovers = list(self._names.incoming.iterdir())
        for leftover in leftovers:
            leftover.unlink()
        return len(leftovers)

    def path(self, key: str) -> Path:
        """Where the object is."""
        return self.root / key

    def has_room(self) -> bool:
        """Whether the volume has more than the reserve left."""
        return self._free_bytes_min == 0 or self.usage().free > self._free_bytes_min

    def usage(self) -> shutil._ntuple_diskusage:
        """Total, used and free bytes of the volume."""
        return shutil.disk_usage(self.root)

    def _ask_for_room(self) -> None:
        if self.sick:
            raise ArchiveSick
        if not self.has_room():
            raise ArchiveFull

    def _info(self, key: str) -> ObjectInfo | None:
        try:
            found = os.lstat(f"{self.root}/{key}")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _unavailable(error) from error
        if not stat.S_ISREG(found.st_mode):
            return None
        return ObjectInfo(
            key=key,
            size_bytes=found.st_size,
            changed_at=found.st_mtime_ns // 1_000,
        )

    def _failed(self, error: OSError | SyncError) -> StorageError:
        if isinstance(error, SyncError):
            self.sick = True
            return ArchiveSick()
        return ArchiveFull() if error.errno in FULL else _unavailable(error)


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise ObjectMissing from error
    except OSError as error:
        if error.errno in _ROTTEN:
            raise ObjectUnreadable from error
        raise _unavailable(error) from error


def _unavailable(error: OSError) -> ArchiveUnavailable:
    # The errno's words only: a path is nobody's business in an answer.
    return ArchiveUnavailable(f"the archive failed ({os.strerror(error.errno or 0)})")
