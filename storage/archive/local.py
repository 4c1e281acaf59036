"""The archive in a local directory: temporary name, write, sync, rename, sync.

One object is synced by `fsync` of its file and folder, a batch by `syncfs` of the file system:
it waits for every other writer's pages too, and is still the cheaper from two objects on. Content
is synced before the rename, so that no rename ever puts an unsynced object in a durable one's
place, and the names after it.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from quota.time import Instant
from storage.archive.fingerprint import Fingerprint
from storage.archive.port import CHUNK_BYTES, Object, ObjectInfo, PutResult
from storage.archive.syncing import (
    FULL,
    SYNCFS_TELLS,
    SyncError,
    opened,
    sync,
    sync_folder,
    sync_volume,
)
from storage.errors import (
    ArchiveFull,
    ArchiveSick,
    ArchiveUnavailable,
    ObjectMissing,
    ObjectUnreadable,
)

_ROTTEN = {errno.EIO, errno.EBADMSG, errno.EUCLEAN}
"""What a disk says of one bad place, or a file system of a checksum that does not hold."""
_SYNCED_FOLDERS_MAX = 10_000
_BATCH_MIN = 2
"""Objects from which two syncs of the file system cost less than two syncs of each."""


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

    def put(self, key: str, chunks: Iterable[bytes | memoryview]) -> PutResult:
        """Write an object under `key` and make it durable.

        Writing the same key again replaces it by the same bytes, for keys carry the content's
        hash. Raises ArchiveFull, ArchiveUnavailable and ArchiveSick; then nothing
        is left behind.
        """
        self._ask_for_room()
        target = self.root / key
        temporary = self._temporary()
        try:
            with self._failing():
                fingerprint = _write(temporary, chunks, synced=True)
                self._make_folders(target.parent)
                Path(temporary).rename(target)
                sync_folder(target.parent)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        return _result(key, fingerprint)

    def put_batch(self, objects: Sequence[Object]) -> list[PutResult]:
        """Write many objects and make them durable by two syncs of the file system.

        Raises as `put` does; then what has its name already stays: it is whole and synced.
        """
        if len(objects) < _BATCH_MIN or not SYNCFS_TELLS:
            return [self.put(each.key, each.chunks) for each in objects]
        self._ask_for_room()
        temporaries = [self._temporary() for _ in objects]
        try:
            # Open before anything is written: `syncfs` tells the failures since then, those of
            # pages that the kernel wrote back by itself among them.
            with self._failing(), opened(self.root) as volume:
                fingerprints = [
                    _write(temporary, each.chunks, synced=False)
                    for temporary, each in zip(temporaries, objects, strict=True)
                ]
                sync_volume(volume)
                made: set[str] = set()
                for temporary, each in zip(temporaries, objects, strict=True):
                    self._name(temporary, each.key, made)
                sync_volume(volume)
        except BaseException:
            for temporary in temporaries:
                Path(temporary).unlink(missing_ok=True)
            raise
        return [
            _result(each.key, fingerprint)
            for each, fingerprint in zip(objects, fingerprints, strict=True)
        ]

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
        """Remove objects that no row names, and the folders they leave empty.

        The first folder of a key stays: all keys share it, and others are being put there.
        """
        for key in keys:
            target = self.root / key
            try:
                target.unlink(missing_ok=True)
            except OSError as error:
                raise _unavailable(error) from error
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

    # Names are text from here on: to put Paths together for every object of a batch, and to make
    # folders that are there, took more of the processor than the writing of small objects.

    def _temporary(self) -> str:
        return f"{self._incoming}/{os.getpid()}-{next(self._names)}"

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

    def _make_folders(self, folder: Path) -> None:
        """Create `folder`; every new name is synced into its parent, or it may be gone with power.

        A folder that exists says nothing: the thread that made it may not have synced it yet. Only
        a sync that returned in this process counts.
        """
        if folder == self.root or folder in self._synced:
            return
        self._make_folders(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_folder(folder.parent)
        if len(self._synced) >= _SYNCED_FOLDERS_MAX:
            self._synced.clear()
        self._synced.add(folder)

    def _name(self, temporary: str, key: str, made: set[str]) -> None:
        """Give an object its name, in folders that a discard may take away at any moment.

        `made` are those that this batch has made or found already.
        """
        parent = key.rpartition("/")[0]
        for last in (False, False, True):
            if parent not in made:
                for folder in reversed(Path(key).parents):
                    (self.root / folder).mkdir(mode=0o700, exist_ok=True)
                made.add(parent)
            try:
                os.rename(temporary, f"{self.root}/{key}")  # noqa: PTH104 - names as text, as above
            except FileNotFoundError:
                if last:
                    raise
                made.discard(parent)
            else:
                return

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except SyncError as error:
            self.sick = True
            raise ArchiveSick from error
        except OSError as error:
            if error.errno in FULL:
                raise ArchiveFull from error
            raise _unavailable(error) from error


def _result(key: str, fingerprint: Fingerprint) -> PutResult:
    return PutResult(key=key, size_bytes=fingerprint.size_bytes, fingerprint=str(fingerprint))


def _write(path: str, chunks: Iterable[bytes | memoryview], *, synced: bool) -> Fingerprint:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fingerprint = Fingerprint()
        for chunk in chunks:
            fingerprint.update(chunk)
            view = memoryview(chunk)
            while view:
                view = view[os.write(descriptor, view) :]
        if synced:
            sync(descriptor)
        return fingerprint
    finally:
        os.close(descriptor)


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
