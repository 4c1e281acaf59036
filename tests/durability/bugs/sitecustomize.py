"""Loaded by a gateway under test: seeds the bug that SEEDED_BUG names, at one seam each.

The durability suite must catch every one of them (reliability §1); nothing of it ships.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

from gateway.desk import FilingDesk
from gateway.desk_link import RemoteDesk
from storage import sqlite
from storage.archive import Chunk, LocalArchive, PutResult, Read, batch, naming, syncing
from storage.archive.fingerprint import Fingerprint
from storage.spool.disk import Disk

_SYNC_LATER_S = 0.02


def _replace(owner: object, name: str, by: object) -> None:
    setattr(owner, name, by)


def _no_fdatasync() -> None:
    """The answer is given with everything still in the kernel's memory."""
    _replace(Disk, "sync", lambda _, __: None)


def _answer_before_sync() -> None:
    """The sync comes, but behind the answer."""

    def sync(_: Disk, descriptor: int) -> None:
        threading.Thread(target=_sync_later, args=(os.dup(descriptor),), daemon=True).start()

    _replace(Disk, "sync", sync)


def _sync_later(descriptor: int) -> None:
    time.sleep(_SYNC_LATER_S)  # tidy: sleeps because that is the bug
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def _no_directory_fsync() -> None:
    """Content is synced, the names after the rename are not."""
    synced: Callable[[int], None] = syncing.sync_volume
    calls = 0

    def every_other(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls % 2:
            synced(descriptor)

    _replace(batch, "sync_volume", every_other)
    _replace(naming, "sync_folder", lambda _: None)
    _replace(Disk, "sync_folder", lambda _, __: None)


def _wal_normal() -> None:
    """SQLite in WAL with synchronous=NORMAL: commits are synced at a checkpoint only."""
    configure = sqlite._configure  # noqa: SLF001 - there is no other way in, and none is wanted

    def weaker(connection: Any, record: object) -> None:
        configure(connection, record)
        connection.execute("PRAGMA synchronous = NORMAL")

    _replace(sqlite, "_configure", weaker)


def _row_before_object() -> None:
    """The objects are written after the rows were committed, right before the release."""
    begin, release, waiting = LocalArchive.batch, RemoteDesk.release, []

    class Promising:
        """Keeps the chunks that it takes, and says that they were put."""

        def __init__(self, archive: LocalArchive) -> None:
            self._archive = archive
            self._taken: list[list[bytes]] = []

        def take(self, read: Read) -> Iterator[Chunk]:
            chunks = []
            for chunk in read():
                chunks.append(bytes(chunk))
                yield chunk
            self._taken.append(chunks)

        def put(self, keys: Sequence[str | None]) -> list[PutResult]:
            waiting.append((self._archive, list(zip(self._taken, keys, strict=True))))
            return [_result(key, c) for c, key in zip(self._taken, keys, strict=True) if key]

    def put_then_release(desk: RemoteDesk, spool: int, refs: Any, *, size_bytes: int) -> None:
        while waiting:
            archive, promised = waiting.pop()
            with begin(archive) as kept:
                for chunks, _ in promised:
                    list(kept.take(partial(iter, chunks)))
                kept.put([key for _, key in promised])
        release(desk, spool, refs, size_bytes=size_bytes)

    _replace(LocalArchive, "batch", lambda archive: nullcontext(Promising(archive)))
    _replace(LocalArchive, "infos", lambda _, keys: dict.fromkeys(keys))
    _replace(RemoteDesk, "release", put_then_release)


def _result(key: str, chunks: Sequence[bytes]) -> PutResult:
    fingerprint = Fingerprint()
    for chunk in chunks:
        fingerprint.update(chunk)
    return PutResult(key=key, size_bytes=fingerprint.size_bytes, fingerprint=str(fingerprint))


def _released_before_filed() -> None:
    """A record is let go as soon as the filer takes it."""
    places = FilingDesk.places

    def forgetful(desk: FilingDesk, spool: int, limit: int) -> Any:
        found = places(desk, spool, limit)
        desk.release(spool, [place.ref for place in found], size_bytes=0)
        return found

    _replace(FilingDesk, "places", forgetful)


_BUGS = {
    "no fdatasync": _no_fdatasync,
    "answer before sync": _answer_before_sync,
    "no directory fsync": _no_directory_fsync,
    "WAL+NORMAL": _wal_normal,
    "row before object": _row_before_object,
    "released before filed": _released_before_filed,
}

if bug := os.environ.get("SEEDED_BUG"):
    _BUGS[bug]()
