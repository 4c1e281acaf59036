"""The archive of objects, behind one interface."""

from __future__ import annotations

from pathlib import Path

from storage.archive.local import LocalArchive
from storage.archive.port import Archive, Object, ObjectInfo, PutResult

__all__ = [
    "Archive",
    "LocalArchive",
    "Object",
    "ObjectInfo",
    "PutResult",
    "open_archive",
]


def open_archive(directory: Path, *, free_bytes_min: int = 0) -> Archive:
    """The archive in `directory`; `free_bytes_min` is its volume's reserve."""
    return LocalArchive(directory, free_bytes_min=free_bytes_min)
