"""Stores into a spool until it is stopped, and reports each record that was acknowledged.

`python -m tests.durability.spool_worker ROOT SEED BUG`. One line per record: its number, printed
after `commit` has returned. A record's bytes follow from its number, see `body_of`.
"""

from __future__ import annotations

import os
import random
import sys
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path

from storage.spool import Lease, Spool, SpoolFull
from storage.spool.disk import Disk
from storage.spool.errors import SpoolSick
from tests.storage.spool.kit import body, header

ID = "5b1f5c39-93a6-4d0f-8f8c-0a4a4f0f0c11"
SEGMENT_BYTES = 512 << 10
FILL_MAX_BYTES = 24 << 20
ASSOCIATIONS = 2
_SIZES = (300, 5_000, 34_000, 60_000, 700_000)


def body_of(number: int) -> bytes:
    """The bytes of a record; the number is told by the first of them."""
    return b"%d:" % number + body(number, random.Random(number).choice(_SIZES))


def open_spool(root: Path, disk: Disk | None = None) -> Spool:
    """The spool of this test."""
    return Spool.open(
        root / ID,
        segment_bytes=SEGMENT_BYTES,
        fill_max_bytes=FILL_MAX_BYTES,
        pool_max=4,
        any_file_system=True,
        disk=disk,
    )


class _NoSync(Disk):
    """Seeded bug: a record is acknowledged without its sync."""

    def sync(self, descriptor: int) -> None:
        """Only say so."""


class _NoFolderSync(Disk):
    """Seeded bug: a new segment's name is not synced.

    It takes a segment whose blocks are written to show it: a first write into reserved blocks
    makes the file system commit its log, and the name goes with it. And it takes a name that was
    given after the file's own sync, since that carries the name too.
    """

    def preallocate(self, descriptor: int, size: int) -> None:
        """Write the blocks, so that no later sync has anything to tell the log."""
        new = os.fstat(descriptor).st_size == 0
        super().preallocate(descriptor, size)
        if not new:
            return
        os.pwrite(descriptor, bytes(size), 0)
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        os.fsync(descriptor)
        path.rename(path.with_suffix(".new"))
        os.fsync(descriptor)

    def sync_file(self, descriptor: int) -> None:
        """The file is whole: give it its name."""
        os.fsync(descriptor)
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path.suffix == ".new":
            path.rename(path.with_suffix(".segment"))

    def sync_folder(self, folder: Path) -> None:
        """Forgotten."""


class _LateFolderSync(_NoFolderSync):
    """The same way of making segments without the bug: the control."""

    def sync_folder(self, folder: Path) -> None:
        """Not forgotten."""
        Disk.sync_folder(self, folder)


DISKS: dict[str, Callable[[], Disk]] = {
    "none": Disk,
    "no fdatasync": _NoSync,
    "answer before sync": Disk,
    "no folder sync": _NoFolderSync,
    "late folder sync": _LateFolderSync,
}


def main() -> None:
    """Run until killed."""
    root, seed, bug = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    spool = open_spool(root, DISKS[bug]())
    spool.keep_ready()
    print("ready", flush=True)  # noqa: T201 - the pipe to the test
    numbers = count(seed * 1_000_000)
    early = bug == "answer before sync"
    threads = [
        threading.Thread(target=_store, args=(spool, seed * 10 + n, numbers, early))
        for n in range(ASSOCIATIONS)
    ]
    for thread in threads:
        thread.start()
    try:
        _file(spool, random.Random(seed))
    finally:
        os._exit(1)  # the test waits for reports that nobody would make


def _store(spool: Spool, seed: int, numbers: count[int], early: bool) -> None:  # noqa: FBT001
    random_ = random.Random(seed)
    lease: Lease | None = None
    while True:
        number = next(numbers)
        content = body_of(number)
        try:
            lease = lease or spool.lease()
            reception = lease.begin()
            if random_.random() < 0.1:
                reception.write(body(-number, 20_000))
                reception.rewind()
            reception.write(content)
            if early:
                os.write(1, b"+%d\n" % number)
            reception.commit(header(number))
            if not early:
                os.write(1, b"+%d\n" % number)
            if random_.random() < 0.02:
                lease.end()
                lease = None
        except SpoolFull:
            if lease is not None:
                lease.end()
            lease = None
            threading.Event().wait(0.01)
        except SpoolSick:
            return


def _file(spool: Spool, random_: random.Random) -> None:
    """A filer that is behind, and whose releases are told before they are made."""
    while spool.wait_for_records(60):
        records = spool.unfiled(20)
        if spool.usage().bytes < FILL_MAX_BYTES // 4 and random_.random() < 0.9:
            threading.Event().wait(0.005)
            continue
        for record in records:
            assert b"".join(record.chunks()) == body_of(record.header.received_at)
            os.write(1, b"-%d\n" % record.header.received_at)
        spool.release([record.ref for record in records])


if __name__ == "__main__":
    main()
