"""A batch on its way into the local archive: written as it is read, then synced, named, synced.

One object is synced by `fsync` of its file and folder, a batch by `syncfs` of the file system:
it waits for every other writer's pages too, and is still the cheaper from two objects on. Content
is synced before the rename, so that no rename ever puts an unsynced object in a durable one's
place, and the names after it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from storage.archive.fingerprint import Fingerprint
from storage.archive.naming import Names
from storage.archive.port import Chunk, PutResult, Read
from storage.archive.syncing import SYNCFS_TELLS, SyncError, sync, sync_volume
from storage.errors import StorageError

_NONE = -1


class LocalBatch:
    """Implements `storage.archive.port.Batch`; for one thread. `failed` says what a failure is."""

    def __init__(
        self, names: Names, *, failed: Callable[[OSError | SyncError], StorageError]
    ) -> None:
        """Raises what `failed` says."""
        self._names = names
        self._failed = failed
        self._written: list[tuple[str, Fingerprint]] = []
        self._only = _NONE
        """The first object's descriptor, until there is a second one."""
        try:
            # Open before anything is written: `syncfs` tells the failures since then, those of
            # pages that the kernel wrote back by itself among them.
            self._volume = os.open(names.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise failed(error) from error

    def take(self, read: Read) -> Iterator[Chunk]:
        """Write one object more under a temporary name, chunk by chunk as they are asked for."""
        temporary, fingerprint = self._names.temporary(), Fingerprint()
        self._close_only()
        try:
            descriptor = os.open(
                temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600
            )
        except OSError as error:
            raise self._failed(error) from error
        try:
            for chunk in read():
                fingerprint.update(chunk)
                self._write(descriptor, chunk)
                yield chunk
            if not SYNCFS_TELLS:
                self._sync(descriptor)
        except BaseException:
            os.close(descriptor)
            Path(temporary).unlink(missing_ok=True)
            raise
        if self._written or not SYNCFS_TELLS:
            os.close(descriptor)
        else:
            self._only = descriptor
        self._written.append((temporary, fingerprint))

    def put(self, keys: Sequence[str | None]) -> list[PutResult]:
        """Give them their names, durably; those without a key are forgotten."""
        named = list(zip(self._written, keys, strict=True))
        kept = [(temporary, key) for (temporary, _), key in named if key is not None]
        try:
            for (temporary, _), key in named:
                if key is None:
                    Path(temporary).unlink()
            if len(named) == 1 or not SYNCFS_TELLS:
                self._put_each(kept)
            elif kept:
                self._put_together(kept)
        except (OSError, SyncError) as error:
            raise self._failed(error) from error
        self._written.clear()
        return [
            PutResult(key=key, size_bytes=fingerprint.size_bytes, fingerprint=str(fingerprint))
            for (_, fingerprint), key in named
            if key is not None
        ]

    def close(self) -> None:
        """Forget what was not put."""
        self._close_only()
        os.close(self._volume)
        for temporary, _ in self._written:
            Path(temporary).unlink(missing_ok=True)

    def _put_together(self, kept: Sequence[tuple[str, str]]) -> None:
        sync_volume(self._volume)
        made: set[str] = set()
        for temporary, key in kept:
            self._names.give(temporary, key, made)
        sync_volume(self._volume)

    def _put_each(self, kept: Sequence[tuple[str, str]]) -> None:
        for temporary, key in kept:
            if self._only != _NONE:
                sync(self._only)
            self._names.give_durably(temporary, key)

    def _write(self, descriptor: int, chunk: Chunk) -> None:
        try:
            written = os.write(descriptor, chunk)
            while written < len(chunk):
                written += os.write(descriptor, memoryview(chunk)[written:])
        except OSError as error:
            raise self._failed(error) from error

    def _sync(self, descriptor: int) -> None:
        try:
            sync(descriptor)
        except (OSError, SyncError) as error:
            raise self._failed(error) from error

    def _close_only(self) -> None:
        if self._only != _NONE:
            os.close(self._only)
            self._only = _NONE
