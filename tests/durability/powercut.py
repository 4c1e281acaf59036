"""A power cut on a plain Linux machine (reliability §2), for anything that writes below a folder.

A file system in a file is mounted, a process works on it, and the file system's shutdown ioctl
stops it from writing anything more, without flushing its log: what was not on the disk by then is
lost, as with the power. Then the process is killed, and the file system is mounted again.

`kill -9` alone proves nothing about durability: the kernel still writes what it was given.
"""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

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
    """A process that reports what it was promised, line by line, until its power is cut."""

    def __init__(self, module: str, *arguments: str | Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def _output(self) -> IO[str]:
        assert self._process.stdout is not None
        return self._process.stdout

    def lines(self, count: int) -> list[str]:
        """The next `count` lines of its report, as soon as they are there; within a minute."""
        watchdog = threading.Timer(60, self._process.kill)
        watchdog.start()
        found = [self._output.readline() for _ in range(count)]
        watchdog.cancel()
        if not all(line.endswith("\n") for line in found):
            self._process.kill()
            raise AssertionError(f"the worker ended early: {self._process.communicate()[1]}")
        return [line.rstrip("\n") for line in found]

    def kill(self) -> list[str]:
        """End it at once; returns what it had reported beyond the lines that were read."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)
        rest, _ = self._process.communicate(timeout=60)
        return [line.rstrip("\n") for line in rest.splitlines(keepends=True) if line[-1] == "\n"]


def cut_all(volumes: Sequence[CutVolume], worker: Worker) -> list[str]:
    """Cut the power of all disks, kill the process, switch everything on again.

    Returns what the worker had reported and nobody had read. Only what was reported *before* the
    cut was promised: a report may be on its way as the power goes, so the caller must make sure
    that a report means something durable even then (a sync that fails after the cut is no promise).
    """
    for volume in volumes:
        volume.cut()
    rest = worker.kill()
    for volume in volumes:
        volume.remount()
    return rest
