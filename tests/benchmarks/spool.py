"""The spool alone against its floor: the same bytes into one preallocated file, the same syncs.

Run by hand, on a quiet machine: `python -m tests.benchmarks.spool [--records 3000] [--rounds 3]`.
One association; a record is 34 KB of body in two pieces, then its header, then one fdatasync. Both
sides write blocks that were written before (a recycled segment) and blocks that never were (a new
one). Rounds alternate, and the median ratio is told. Prints a table, and writes JSON with
`--json FILE`. Nothing fails on a time.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from storage.spool import Spool
from storage.spool.record import PAGE_BYTES, whole_pages
from tests.benchmarks.tables import show
from tests.storage.spool.kit import HEADER

META_BYTES = 512


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Records per second of one kind of run: the floor, the spool, and the ratio."""

    body_bytes: int
    blocks: str
    floor_per_second: float
    spool_per_second: float
    ratio: float
    spool_p99_ms: float


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=3_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to write (default: a temporary one)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        found = [
            measure(Path(folder), body_bytes, records, arguments.rounds, recycled=recycled)
            for body_bytes, records in (
                (34 << 10, arguments.records),
                (524 << 10, arguments.records // 8),
            )
            for recycled in (False, True)
        ]
    show("Spool", found, arguments.json)


def measure(root: Path, body_bytes: int, records: int, rounds: int, *, recycled: bool) -> Figures:
    """Floor and spool in turns, each in its own file, recycled or new in every round."""
    floors: list[float] = []
    spools: list[float] = []
    latencies: list[float] = []
    floor = Floor(root / "floor", records * whole_pages(PAGE_BYTES + META_BYTES + body_bytes))
    spool = new_spool(root)
    if recycled:
        floor.run(records, body_bytes)
        fill(spool, records, body_bytes)
        release(spool)
    for number in range(rounds):
        if not recycled:
            floor.renew()
            spool.close()
            spool = new_spool(root)
        for ours in (False, True) if number % 2 == 0 else (True, False):
            began = time.perf_counter()
            if ours:
                latencies += fill(spool, records, body_bytes)
            else:
                floor.run(records, body_bytes)
            (spools if ours else floors).append(records / (time.perf_counter() - began))
        release(spool)
    floor.close()
    spool.close()
    return Figures(
        body_bytes=body_bytes,
        blocks="recycled" if recycled else "new",
        floor_per_second=statistics.median(floors),
        spool_per_second=statistics.median(spools),
        ratio=statistics.median(ours / bare for ours, bare in zip(spools, floors, strict=True)),
        spool_p99_ms=1_000 * sorted(latencies)[len(latencies) * 99 // 100],
    )


def new_spool(root: Path) -> Spool:
    """An empty one; it keeps every segment that is released."""
    return Spool.open(root / str(uuid.uuid4()), pool_max=1_000)


class Floor:
    """One preallocated file, the bytes of a record, one fdatasync: nobody can be faster."""

    def __init__(self, path: Path, size: int) -> None:
        self._path, self._size = path, size
        self._descriptor = -1
        self.renew()

    def renew(self) -> None:
        """A new file, its blocks reserved."""
        self.close()
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        os.posix_fallocate(self._descriptor, 0, self._size)
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Remove it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._path.unlink()

    def run(self, records: int, body_bytes: int) -> None:
        """Header and body of each record in one write, then the sync."""
        record = bytearray(os.urandom(whole_pages(PAGE_BYTES + META_BYTES + body_bytes)))
        for number in range(records):
            os.pwrite(self._descriptor, record, number * len(record))
            os.fdatasync(self._descriptor)


def fill(spool: Spool, records: int, body_bytes: int) -> list[float]:
    """One association's records; returns how long each took, in seconds."""
    meta, data = os.urandom(META_BYTES), memoryview(bytearray(os.urandom(body_bytes)))
    lease = spool.lease()
    latencies = []
    for _ in range(records):
        began = time.perf_counter()
        reception = lease.begin()
        reception.write(meta)
        reception.write(data)
        reception.commit(HEADER)
        latencies.append(time.perf_counter() - began)
    lease.end()
    return latencies


def release(spool: Spool) -> None:
    """As if all were filed: their segments may be used again."""
    while records := spool.unfiled(1_000):
        spool.release([record.ref for record in records])


if __name__ == "__main__":
    main()
