"""Processor time and memory of a process and everything below it, as /proc tells them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_SAMPLE_S = 0.2


def descendants(root: int) -> list[int]:
    """`root` and every process below it."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            parents[int(entry.name)] = int(fields[1])
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def named(root: int, prefix: str) -> list[int]:
    """Those of the tree whose name begins so: `worker`, `filer`, `control`."""
    return [pid for pid in descendants(root) if _text(pid, "comm").startswith(prefix)]


def peak_bytes(pid: int) -> int:
    """The most resident memory that a process ever had; 0 where it is gone."""
    return _kib(_text(pid, "status"), "VmHWM:")


def cpu_s(root: int) -> float:
    """Processor seconds of the tree, those of children that ended included."""
    total = 0
    for pid in descendants(root):
        if fields := _stat(pid):
            total += sum(int(field) for field in fields[11:15])
    return total / _TICKS_PER_S


class Memory:
    """The tree's largest resident memory while it was watched.

    `shares`: look at the proportional size as well, which counts a page that processes share once;
    to ask for that takes the kernel some ms a process.
    """

    def __init__(self, root: int, *, shares: bool = False) -> None:
        self._root = root
        self._shares = shares
        self._stop = threading.Event()
        self.peak_bytes = 0
        self.largest_process_bytes = 0
        self.peak_proportional_bytes = 0

    @contextmanager
    def watched(self) -> Iterator[Memory]:
        """Sample until the block ends."""
        thread = threading.Thread(target=self._watch, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join()
            self._sample()

    def _watch(self) -> None:
        while not self._stop.wait(_SAMPLE_S):
            self._sample()

    def _sample(self) -> None:
        pids = descendants(self._root)
        resident = [int(f[21]) * _PAGE_BYTES for f in map(_stat, pids) if f]
        self.peak_bytes = max(self.peak_bytes, sum(resident))
        self.largest_process_bytes = max(self.largest_process_bytes, *resident, 0)
        if self._shares:
            shares = sum(_kib(_text(pid, "smaps_rollup"), "Pss:") for pid in pids)
            self.peak_proportional_bytes = max(self.peak_proportional_bytes, shares)


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third (state) on; empty where the process is gone."""
    return _text(pid, "stat").rpartition(")")[2].split()


def _text(pid: int, file: str) -> str:
    """A file of /proc/PID; empty where the process is gone."""
    try:
        return Path(f"/proc/{pid}/{file}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _kib(text: str, key: str) -> int:
    """The value behind a key, which /proc gives in KiB; in bytes."""
    found = [line.split()[1] for line in text.splitlines() if line.startswith(key)]
    return int(found[0]) * 1_024 if found else 0
