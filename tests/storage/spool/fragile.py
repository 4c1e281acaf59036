"""A disk that forgets: what was not synced is old, new, half of each, or rubbish after a crash."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from storage.spool.disk import Disk
from storage.spool.layout import DATA_OFFSET
from storage.spool.record import PAGE_BYTES

_SECTOR_BYTES = 512
Choose = Callable[[int], int]
"""`choose(n)`: a number from 0 to n - 1, by whoever plays fate."""


class FragileDisk(Disk):
    """Remembers the synced content of each page that was written since; `crash` lets it loose.

    A page is written in sectors, each of them whole or not at all, as disks promise; pages of
    records may also end as rubbish, which is more than a disk does.
    """

    def __init__(self) -> None:
        self._before: dict[Path, dict[int, bytes]] = {}

    def write(
        self, descriptor: int, views: Sequence[bytes | bytearray | memoryview], offset: int
    ) -> None:
        """Keep what was there before, then write."""
        before = self._before.setdefault(_path(descriptor), {})
        end = offset + sum(len(view) for view in views)
        for page in range(offset // PAGE_BYTES, -(-end // PAGE_BYTES)):
            if page not in before:
                old = os.pread(descriptor, PAGE_BYTES, page * PAGE_BYTES)
                before[page] = old.ljust(PAGE_BYTES, b"\0")
        super().write(descriptor, views, offset)

    def sync(self, descriptor: int) -> None:
        """What was written is safe now. The real sync is left out: this is its test."""
        self._before.pop(_path(descriptor), None)

    def sync_file(self, descriptor: int) -> None:
        """As `sync`."""
        self.sync(descriptor)

    def crash(self, choose: Choose) -> None:
        """Decide for every page that was not synced what is left of it."""
        for path, pages in self._before.items():
            if not path.exists():
                continue
            with path.open("r+b") as file:
                for page, old in sorted(pages.items()):
                    file.seek(page * PAGE_BYTES)
                    new = file.read(PAGE_BYTES).ljust(PAGE_BYTES, b"\0")
                    file.seek(page * PAGE_BYTES)
                    file.write(_fate(page, old, new, choose))
        self._before.clear()


def _fate(page: int, old: bytes, new: bytes, choose: Choose) -> bytes:
    match choose(4 if page * PAGE_BYTES >= DATA_OFFSET else 3):
        case 0:
            return new
        case 1:
            return old
        case 2:
            cut = choose(PAGE_BYTES // _SECTOR_BYTES + 1) * _SECTOR_BYTES
            return new[:cut] + old[cut:]
        case _:
            return bytes(byte ^ 0x5A for byte in new)


def _path(descriptor: int) -> Path:
    return Path(f"/proc/self/fd/{descriptor}").readlink()
