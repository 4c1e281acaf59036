"""What a spool asks of a disk, and which disks will not do."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from storage.spool.errors import SpoolLocked, SpoolUnsuitable

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_PROBE_BYTES = 4_096
_UNSUITABLE = {
    0x01021994: "tmpfs, which is gone with the power",
    0x858458F6: "ramfs, which is gone with the power",
    0x794C7630: "overlay, the writable layer of a container, which is gone with it",
    0x00006969: "NFS, a network file system",
    0xFF534D42: "CIFS, a network file system",
    0xFE534D42: "SMB, a network file system",
    0x0000517B: "SMB, a network file system",
    0x01021997: "9p, a network file system",
    0x00C36400: "Ceph, a network file system",
    0x5346414F: "AFS, a network file system",
    0x6B414653: "AFS, a network file system",
    0x0BD00BD0: "Lustre, a network file system",
    0x786F4256: "a shared folder of VirtualBox",
    0x65735546: "FUSE, whose syncs nobody can vouch for",
}


class Disk:
    """The system calls on which durability hangs, in one place, so that tests can break them.

    They raise OSError; what that means for the spool is decided by the caller.
    """

    def write(
        self, descriptor: int, views: Sequence[bytes | bytearray | memoryview], offset: int
    ) -> None:
        """Write all of `views` at `offset`."""
        written = os.pwritev(descriptor, views, offset)
        if written != sum(map(len, views)):
            self._write_rest(descriptor, views, offset, written)

    def _write_rest(
        self,
        descriptor: int,
        views: Sequence[bytes | bytearray | memoryview],
        offset: int,
        written: int,
    ) -> None:
        """The kernel wrote less: an interruption, or the end of the room, which then raises."""
        at = 0
        for each in views:
            view = memoryview(each)
            skipped = min(max(written - at, 0), len(view))
            rest, place = view[skipped:], offset + at + skipped
            at += len(view)
            while rest:
                count = os.pwrite(descriptor, rest, place)
                rest, place = rest[count:], place + count

    def sync(self, descriptor: int) -> None:
        """Make what was written durable, with the size and what else is needed to read it."""
        os.fdatasync(descriptor)

    def sync_file(self, descriptor: int) -> None:
        """Make a new file durable, with all that is known of it."""
        os.fsync(descriptor)

    def sync_folder(self, folder: Path) -> None:
        """Make the names in `folder` durable."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def preallocate(self, descriptor: int, size: int) -> None:
        """Reserve blocks for the first `size` bytes, which become the file's size if it is less."""
        os.posix_fallocate(descriptor, 0, size)


def open_file(path: Path, flags: int) -> int:
    """Open a file of the spool for its owner alone, whatever the umask says."""
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def lock(path: Path) -> int:
    """Lock a file for as long as the returned descriptor is open. Raises SpoolLocked."""
    descriptor = open_file(path, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise SpoolLocked(f"another process holds the spool {path.parent.name}") from None
    return descriptor


def refuse_unsuitable(folder: Path) -> None:
    """Raise SpoolUnsuitable if `folder` lies on a file system that forgets (design §5)."""
    why = _UNSUITABLE.get(file_system_magic(folder))
    if why is not None:
        raise SpoolUnsuitable(
            f"{folder} is on {why}; a spool needs a local disk: set the data directory to one"
        )


def file_system_magic(folder: Path) -> int:
    """statfs(2)'s f_type, the one thing that Python's os.statvfs leaves out."""
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(512)
    if libc.statfs(os.fsencode(folder), buffer) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(folder))
    return ctypes.c_long.from_buffer(buffer).value & 0xFFFFFFFF


def probe(folder: Path, disk: Disk) -> None:
    """Write, sync and read back from the disk itself. Raises OSError if any of it fails.

    After a failed sync nobody may trust this disk before (reliability: a failed sync is final).
    """
    path = folder / "probe"
    content = os.urandom(_PROBE_BYTES)
    descriptor = open_file(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        disk.write(descriptor, [content], 0)
        disk.sync_file(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
    if _read_directly(path) != content:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
    path.unlink()
    disk.sync_folder(folder)


def _read_directly(path: Path) -> bytes:
    """Past the page cache where the file system allows it; else after it was emptied."""
    direct = getattr(os, "O_DIRECT", 0)
    try:
        descriptor = open_file(path, os.O_RDONLY | direct)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        descriptor = open_file(path, os.O_RDONLY)
    try:
        with mmap.mmap(-1, _PROBE_BYTES) as aligned:  # O_DIRECT wants page-aligned memory
            count = os.preadv(descriptor, [aligned], 0)
            return aligned[:count]
    finally:
        os.close(descriptor)


def forget_cached(path: Path) -> None:
    """Let the next reads of a file come from the disk: after a failed sync the cache may lie."""
    with suppress(FileNotFoundError):
        descriptor = open_file(path, os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
