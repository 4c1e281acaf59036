"""Syncs that say what became of them: done, no room for it, or failed for good."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What is said where there is no room, by a sync as well: nothing is wrong with the disk."""
_LIBC = ctypes.CDLL(None, use_errno=True)
SYNCFS_TELLS = tuple(map(int, os.uname().release.split(".")[:2])) >= (5, 8)
"""Whether `syncfs` reports failed writes (syncfs(2): since Linux 5.8)."""


class SyncError(Exception):
    """A sync failed."""


@contextmanager
def opened(folder: Path) -> Iterator[int]:
    """A folder's descriptor. `syncfs` on it tells the failures since it was opened."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Raises SyncError, OSError where there is no room."""
    with opened(folder) as descriptor:
        sync(descriptor)


def sync_volume(descriptor: int) -> None:
    """Make everything on the volume durable. Raises SyncError, OSError for want of room."""
    if _LIBC.syncfs(descriptor) != 0:
        _raise_for(ctypes.get_errno())


def sync(descriptor: int) -> None:
    """Make a file durable. Raises SyncError, OSError where there is no room."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        _raise_for(error.errno or errno.EIO)


def _raise_for(number: int) -> None:
    if number in FULL:
        raise OSError(number, os.strerror(number))
    raise SyncError(os.strerror(number))
