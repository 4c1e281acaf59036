"""A power cut on a plain Linux machine (reliability §2), for anything that writes below a folder.

A file system in a file is mounted, a process works on it, and the file system's shutdown ioctl
stops it from writing anything more, without flushing its log: what was not on the disk by then is
lost, as with the power. Then the process is killed, and the file system is mounted again.

`kill -9` alone proves nothing about durability: the kernel still writes what it was given.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.durability.volume import run_tool

_SHUTDOWN = 0x8004587D  # FS_IOC_SHUTDOWN of ext4, XFS and others: _IOR('X', 125, __u32)
_NO_LOG_FLUSH = 2
_FORMATS = {
    "ext4": ("mkfs.ext4", "-q", "-F", "-m", "0"),
    "xfs": ("mkfs.xfs", "-q", "-f"),
}


class CutVolume:
    """A file system that can lose its power. Several of them make several disks of one machine."""

    def __init__(self, folder: Path, *, size_mib: int, kind: str = "ext4", name: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._image = folder / f"{name or kind}.img"
        self.path = folder / (name or kind)
        """Where it is mounted; the same after every cut."""
        self.path.mkdir()
        self._mounted = False
        with self._image.open("wb") as file:
            file.truncate(size_mib << 20)
        run_tool(*_FORMATS[kind], self._image)

    def mount(self) -> None:
        """Switch it on; what the log holds is replayed."""
        run_tool("mount", "-o", "loop", self._image, self.path)
        self._mounted = True

    def cut(self) -> None:
        """From here on nothing reaches the disk, not even the log in memory."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(descriptor)

    def unmount(self) -> None:
        """Switch it off; whatever the kernel holds of it is forgotten."""
        if self._mounted:
            run_tool("umount", self.path)
            self._mounted = False

    def remount(self) -> None:
        """The power is back."""
        self.unmount()
        self.mount()

    def discard(self) -> None:
        """Leave nothing behind, even if somebody still has a file of it open."""
        if self._mounted:
            with suppress(subprocess.CalledProcessError):
                run_tool("umount", "-l", self.path)
        self._image.unlink(missing_ok=True)


@contextmanager
def cut_volume(
    folder: Path, *, size_mib: int = 64, kind: str = "ext4", name: str = ""
) -> Iterator[CutVolume]:
    """A mounted file system whose power can be cut; skips the test where that is not allowed."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a file system and shut it down")
    try:
        volume = CutVolume(folder, size_mib=size_mib, kind=kind, name=name)
    except FileNotFoundError as error:
        pytest.skip(f"{error.filename} is not installed")
    try:
        try:
            volume.mount()
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no loop device can be mounted here: {error.stderr.strip()}")
        yield volume
    finally:
        volume.discard()


class Worker:
    """A process that reports what it has promised, line by line, until its power is cut."""

    def __init__(self, module: str, *arguments: str | Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        assert self._process.stdout is not None
        self._output = self._process.stdout.fileno()
        self._unread = b""

    def lines(self, count: int) -> list[str]:
        """The next `count` lines of its report, as soon as they are there; each within a minute."""
        while self._unread.count(b"\n") < count:
            if not self._read(timeout_s=60):
                self.kill()
                raise AssertionError(f"the worker said no more: {self._unread.decode()}")
        *found, self._unread = self._unread.split(b"\n", count)
        return [line.decode() for line in found]

    def so_far(self) -> list[str]:
        """What it has reported by now and nobody has read: all of this it must keep."""
        while self._read(timeout_s=0):
            pass
        return self.lines(self._unread.count(b"\n"))

    def kill(self) -> list[str]:
        """End it at once; returns what it had reported beyond the lines that were read."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)
        self._process.wait(60)
        rest = self.so_far()
        assert self._process.stdout is not None
        self._process.stdout.close()
        return rest

    def _read(self, *, timeout_s: float) -> bool:
        """Take what is in the pipe; False if nothing is, or nothing will be."""
        if not select.select([self._output], [], [], timeout_s)[0]:
            return False
        chunk = os.read(self._output, 1 << 16)
        self._unread += chunk
        return bool(chunk)


@dataclass(frozen=True, kw_only=True)
class Reports:
    """What a worker had said when its power went."""

    before: list[str]
    """It was read before the cut: a promise."""
    during: list[str]
    """It was on its way: the process lived on for a moment after its disks were gone."""


def cut_all(volumes: Sequence[CutVolume], worker: Worker) -> Reports:
    """Cut the power of all disks, kill the process, switch everything on again."""
    before = worker.so_far()
    for volume in volumes:
        volume.cut()
    during = worker.kill()
    for volume in volumes:
        volume.remount()
    return Reports(before=before, during=during)
