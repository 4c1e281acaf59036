"""A small file system of its own, so that a disk can be full without harming anybody."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

_BLOCK_BYTES = 4_096
_NEAR_BYTES = 256 << 10
_TOOLS = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}


@contextmanager
def small_volume(folder: Path, *, size_mib: int) -> Iterator[Path]:
    """An ext4 in a file, mounted; skips the test where that is not allowed."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system to fill")
    image, mounted = folder / "volume.img", folder / "volume"
    with image.open("wb") as file:
        file.truncate(size_mib << 20)
    mounted.mkdir()
    run_tool("mkfs.ext4", "-q", "-m", "0", image)
    try:
        run_tool("mount", "-o", "loop", image, mounted)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no loop device can be mounted here: {error.stderr.strip()}")
    try:
        yield mounted
    finally:
        run_tool("umount", mounted)


class Ballast:
    """A file beside the data that takes space away."""

    def __init__(self, volume: Path) -> None:
        self._path = volume / "ballast"

    def leave(self, free_bytes: int) -> None:
        """Take everything but about `free_bytes`."""
        self.drop()
        volume = self._path.parent
        # The file's own bookkeeping takes room as well: the rest block by block.
        with self._path.open("wb", buffering=0) as file, suppress(OSError):
            os.posix_fallocate(file.fileno(), 0, _free_bytes(volume) - free_bytes - _NEAR_BYTES)
            file.seek(0, os.SEEK_END)
            while _free_bytes(volume) > free_bytes:
                file.write(bytes(_BLOCK_BYTES))
                os.fsync(file.fileno())

    def drop(self) -> None:
        """Give the space back."""
        self._path.unlink(missing_ok=True)
        # ext4 gives freed blocks out only after its journal has let go of them.
        os.sync()


def _free_bytes(volume: Path) -> int:
    status = os.statvfs(volume)
    return status.f_bavail * status.f_frsize


def run_tool(program: str, *arguments: str | Path) -> None:
    """Run a program of the system's administrator. Raises CalledProcessError, FileNotFoundError."""
    subprocess.run([program, *arguments], env=_TOOLS, check=True, capture_output=True, text=True)
