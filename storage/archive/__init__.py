"""The archive of objects: a local directory or an S3-compatible store, behind one interface."""

from __future__ import annotations

from pathlib import Path

from storage.archive.local import LocalArchive
from storage.archive.port import Archive, Batch, Chunk, ObjectInfo, PutResult, Read, RemoteAccess

__all__ = [
    "Archive",
    "Batch",
    "Chunk",
    "LocalArchive",
    "ObjectInfo",
    "PutResult",
    "Read",
    "RemoteAccess",
    "open_archive",
]


def open_archive(
    directory: Path, *, remote: RemoteAccess | None = None, free_bytes_min: int = 0
) -> Archive:
    """The archive in `directory`, or the remote one that was set instead. Asks nobody yet.

    `free_bytes_min` is the local volume's reserve; a remote store has no known limit.
    """
    if remote is None:
        return LocalArchive(directory, free_bytes_min=free_bytes_min)
    from storage.archive.remote import RemoteArchive  # noqa: PLC0415 - a local one needs none of it

    return RemoteArchive(remote)
