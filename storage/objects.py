"""The archive of objects in a local directory: durable before it says so.

A key is relative and made of our own ids and hashes; no byte from the wire becomes part of a path.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from storage.errors import ArchiveFull, ArchiveSick, ArchiveUnavailable

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_SYNCED_FOLDERS_MAX = 10_000


class LocalArchive:
    """Objects below `root`, one file each, mode 0600.

    A failed sync is final: what the kernel holds is unknown after it, so from then on every `put`
    raises ArchiveSick until a new process has been started.
    """

    def __init__(self, root: Path, *, free_bytes_min: int = 0) -> None:
        self.root = root
        self.sick = False
        self._free_bytes_min = free_bytes_min
        self._incoming = root / "incoming"
        self._names = count()
        self._synced: set[Path] = set()
        for folder in (root, self._incoming):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def put(self, key: str, chunks: Iterable[bytes | memoryview]) -> int:
        """Write an object under `key` and make it durable; returns its size in bytes.

        Writing the same key again replaces it by the same bytes, for keys carry the content's
        hash. Raises ArchiveFull, ArchiveUnavailable and ArchiveSick; then nothing
        is left behind.
        """
        if self.sick:
            raise ArchiveSick
        if not self.has_room():
            raise ArchiveFull
        target = self.root / key
        temporary = self._incoming / f"{os.getpid()}-{next(self._names)}"
        try:
            with self._failing():
                size = _write(temporary, chunks)
                self._make_folders(target.parent)
                temporary.rename(target)
                _sync_folder(target.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return size

    def discard(self, key: str) -> None:
        """Remove an object that no row names, and the folders it leaves empty.

        The first folder of the key stays: all keys share it, and others are being put there.
        """
        target = self.root / key
        target.unlink(missing_ok=True)
        with suppress(OSError):
            for folder in list(target.relative_to(self.root).parents)[:-2]:
                (self.root / folder).rmdir()
                self._synced.discard(self.root / folder)

    def discard_unfinished(self) -> int:
        """Remove what a killed process left half written; only for the archive's one writer."""
        leftovers = list(self._incoming.iterdir())
        for leftover in leftovers:
            leftover.unlink()
        return len(leftovers)

    def path(self, key: str) -> Path:
        """Where the object is, for reading."""
        return self.root / key

    def has_room(self) -> bool:
        """Whether the volume has more than the reserve left."""
        return self._free_bytes_min == 0 or self.usage().free > self._free_bytes_min

    def usage(self) -> shutil._ntuple_diskusage:
        """Total, used and free bytes of the volume."""
        return shutil.disk_usage(self.root)

    def _make_folders(self, folder: Path) -> None:
        """Create `folder`; every new name is synced into its parent, or it may be gone with power.

        A folder that exists says nothing: the thread that made it may not have synced it yet. Only
        a sync that returned in this process counts.
        """
        if folder == self.root or folder in self._synced:
            return
        self._make_folders(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        _sync_folder(folder.parent)
        if len(self._synced) >= _SYNCED_FOLDERS_MAX:
            self._synced.clear()
        self._synced.add(folder)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except _SyncError as error:
            self.sick = True
            raise ArchiveSick from error
        except OSError as error:
            if error.errno in _FULL:
                raise ArchiveFull from error
            raise ArchiveUnavailable(
                f"the archive can't be written ({os.strerror(error.errno or 0)})"
            ) from error


class _SyncError(Exception):
    """A sync failed."""


def _write(path: Path, chunks: Iterable[bytes | memoryview]) -> int:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        size = 0
        for chunk in chunks:
            view = memoryview(chunk)
            while view:
                written = os.write(descriptor, view)
                view = view[written:]
                size += written
        _sync(descriptor)
        return size
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno in _FULL:
            raise
        raise _SyncError from error
