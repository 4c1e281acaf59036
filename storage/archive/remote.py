"""The archive in an S3-compatible store, by obstore.

A PUT carries a SHA-256 that the store compares before it answers; the key is unique by content, so
nothing hangs on conditional PUTs, which some stores refuse and some ignore. What is known of an
object afterwards is its ETag: the store's own checks of its disks stand behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from itertools import chain, groupby
from threading import Lock
from typing import TYPE_CHECKING, TypeAlias

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from quota.time import Instant
from storage.archive.port import (
    CHUNK_BYTES,
    Chunk,
    ObjectInfo,
    PutResult,
    Read,
    RemoteAccess,
)
from storage.errors import ArchiveUnavailable, ObjectMissing

if TYPE_CHECKING:  # names of shapes, which obstore has for the type checker only
    from obstore import ObjectMeta
    from obstore.store import ClientConfig, RetryConfig, S3Config

KIND = "etag:"
WHOLE_BYTES_MAX = 5 * 1024 * 1024
"""Up to this size an object goes in one request; beyond it in parts, as they are read (S3 takes
no smaller part, the last one excepted)."""
_PARTS_MAX = 9_000
"""S3 takes 10,000 parts at most; what a size is told as may be a little short."""
_PARTS_AT_ONCE = 2
_PUTS_AT_ONCE = 4
"""Memory: that many objects of one request each, and the parts of one big one."""
_DELETED_AT_ONCE = 1_000
_LISTED_AT_ONCE = 1_000
# Whoever asks has a loop of its own and tells others meanwhile; ten tries and three minutes inside
# one call, obstore's defaults, would hide an outage from both.
_RETRIES: RetryConfig = {
    "max_retries": 3,
    "retry_timeout": timedelta(seconds=30),
    "backoff": {
        "init_backoff": timedelta(milliseconds=100),
        "max_backoff": timedelta(seconds=5),
        "base": 2,
    },
}
# Five requests of 5 MiB side by side need 4 s on a line of 50 Mbit/s.
_REQUEST_TIMEOUT = timedelta(seconds=120)


_Put: TypeAlias = Callable[[str, Iterable[Chunk], int], PutResult]


class RemoteArchive:
    """Objects below the prefix of a bucket; `s3://bucket/prefix`."""

    def __init__(self, access: RemoteAccess) -> None:
        self.sick = False
        self._in_parts = Lock()
        options: ClientConfig = {
            "connect_timeout": timedelta(seconds=5),
            "timeout": _REQUEST_TIMEOUT,
            "allow_http": access.endpoint.startswith("http://"),
        }
        bucket, _, prefix = access.url.removeprefix("s3://").partition("/")
        self._store = S3Store(
            bucket,
            prefix=prefix.strip("/") or None,
            config=_config(access),
            client_options=options,
            retry_config=_RETRIES,
        )

    def put(self, key: str, chunks: Iterable[bytes | memoryview]) -> PutResult:
        """Upload one object: in one request, or in parts where it is big."""
        return self._put(key, chunks, size_bytes=0)

    @contextmanager
    def batch(self) -> Iterator[RemoteBatch]:
        """Upload many, a few at a time; each is read again then, for it needs its key first."""
        yield RemoteBatch(self._put)

    def open(self, key: str) -> Iterator[bytes]:
        """The object's bytes in pieces. Raises ObjectMissing, ArchiveUnavailable."""
        with _asking_for_one():
            for chunk in obstore.get(self._store, key).stream(min_chunk_size=CHUNK_BYTES):
                yield bytes(chunk)

    def infos(self, keys: Sequence[str]) -> dict[str, ObjectInfo]:
        """Sizes and ETags: a single key by HEAD, several of one folder by listing it between them.

        Raises ArchiveUnavailable.
        """
        found: dict[str, ObjectInfo] = {}
        for folder, group in groupby(sorted(set(keys)), key=lambda key: key.rpartition("/")[0]):
            wanted = list(group)
            if len(wanted) == 1:
                infos = self._head(wanted[0])
            else:
                infos = self._between(folder, wanted[0], wanted[-1])
            known = set(wanted)
            found.update((info.key, info) for info in infos if info.key in known)
        return found

    def list(self, prefix: str, *, changed_since: Instant = 0) -> Iterator[ObjectInfo]:
        """Every object below the folder `prefix` that has changed since, a page at a time."""
        for info in self._listed(prefix):
            if info.changed_at >= changed_since:
                yield info

    def discard(self, keys: Sequence[str]) -> None:
        """Remove objects, a thousand with each request; a missing one is no error."""
        for first in range(0, len(keys), _DELETED_AT_ONCE):
            with _asking():
                obstore.delete(self._store, keys[first : first + _DELETED_AT_ONCE])

    def discard_unfinished(self) -> int:
        """Nothing: an upload in parts that was broken off is the bucket's lifecycle's to remove."""
        return 0

    def has_room(self) -> bool:
        """Always: a remote store has no limit that we could ask for."""
        return True

    def _put(self, key: str, chunks: Iterable[bytes | memoryview], size_bytes: int) -> PutResult:
        counted = _Counted(chunks)
        head = counted.up_to(WHOLE_BYTES_MAX + 1)
        if len(head) <= WHOLE_BYTES_MAX:
            with _asking():
                done = obstore.put(self._store, key, head, use_multipart=False)
        else:
            with self._in_parts, _asking():
                done = obstore.put(
                    self._store,
                    key,
                    chain((head,), counted),
                    chunk_size=max(WHOLE_BYTES_MAX, -(-size_bytes // _PARTS_MAX)),
                    max_concurrency=_PARTS_AT_ONCE,
                )
        fingerprint = _fingerprint(done["e_tag"]) or KIND
        return PutResult(key=key, size_bytes=counted.size_bytes, fingerprint=fingerprint)

    def _head(self, key: str) -> Iterator[ObjectInfo]:
        try:
            with _asking_for_one():
                info = _info(obstore.head(self._store, key))
        except ObjectMissing:
            return
        yield info

    def _between(self, folder: str, first: str, last: str) -> Iterator[ObjectInfo]:
        """What lies in a folder from one key to another; keys are listed in their order."""
        yield from self._head(first)
        for info in self._listed(folder, after=first):
            if info.key > last:
                return
            yield info

    def _listed(self, prefix: str, *, after: str | None = None) -> Iterator[ObjectInfo]:
        with _asking():
            pages = obstore.list(self._store, prefix, offset=after, chunk_size=_LISTED_AT_ONCE)
            for page in pages:
                yield from map(_info, page)


class RemoteBatch:
    """Implements `storage.archive.port.Batch`. Nothing is kept of an object but how to read it."""

    def __init__(self, put: _Put) -> None:
        self._put = put
        self._taken: list[tuple[Read, int]] = []

    def take(self, read: Read) -> Iterator[Chunk]:
        """Let one object more pass by."""
        size_bytes = 0
        for chunk in read():
            size_bytes += len(chunk)
            yield chunk
        self._taken.append((read, size_bytes))

    def put(self, keys: Sequence[str | None]) -> list[PutResult]:
        """Upload them."""
        wanted = [
            (key, read, size_bytes)
            for (read, size_bytes), key in zip(self._taken, keys, strict=True)
            if key is not None
        ]
        if len(wanted) == 1:
            return [self._upload(*wanted[0])]
        with ThreadPoolExecutor(_PUTS_AT_ONCE, thread_name_prefix="archive-put") as pool:
            puts = [pool.submit(self._upload, *each) for each in wanted]
            try:
                return [put.result() for put in puts]
            except BaseException:
                # The first failure ends the batch: what waits is not begun.
                for put in puts:
                    put.cancel()
                raise

    def _upload(self, key: str, read: Read, size_bytes: int) -> PutResult:
        return self._put(key, read(), size_bytes)


class _Counted:
    """Chunks on their way into a request, counted."""

    def __init__(self, chunks: Iterable[bytes | memoryview]) -> None:
        self.size_bytes = 0
        self._chunks = iter(chunks)

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self.size_bytes += len(chunk)
            yield bytes(chunk)

    def up_to(self, size_bytes: int) -> bytes:
        """The first chunks, until they are so many bytes or all."""
        head = bytearray()
        for chunk in self:
            head += chunk
            if len(head) >= size_bytes:
                break
        return bytes(head)


def _config(access: RemoteAccess) -> S3Config:
    config: S3Config = {"checksum_algorithm": "sha256"}
    if access.endpoint:
        config["endpoint"] = access.endpoint
    if access.region:
        config["region"] = access.region
    if access.access_key_id:
        config["access_key_id"] = access.access_key_id
    if access.secret_access_key:
        config["secret_access_key"] = access.secret_access_key
    return config


def _info(meta: ObjectMeta) -> ObjectInfo:
    return ObjectInfo(
        key=meta["path"],
        size_bytes=meta["size"],
        changed_at=int(meta["last_modified"].timestamp()) * 1_000_000,
        fingerprint=_fingerprint(meta["e_tag"]),
    )


def _fingerprint(e_tag: str | None) -> str | None:
    return None if e_tag is None else KIND + e_tag.strip('"')


@contextmanager
def _asking() -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError) as error:
        # A bucket that is missing is a FileNotFoundError as well. Only the class is kept: the
        # message quotes the request, its address and its key.
        raise ArchiveUnavailable(
            f"the remote archive failed ({type(error).__name__}): check archive.url, the endpoint "
            "and the credentials"
        ) from error


@contextmanager
def _asking_for_one() -> Iterator[None]:
    try:
        with _asking():
            yield
    except ArchiveUnavailable as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise ObjectMissing from error
        raise
