"""A disk that fails, is full, or is none: nothing is acknowledged that would not be kept."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from storage.spool import Spool, SpoolFull, SpoolSick, SpoolUnsuitable
from storage.spool.disk import Disk
from tests.durability.volume import Ballast, small_volume
from tests.peers import peer
from tests.storage.spool.kit import (
    HEADER,
    ID,
    SEGMENT_BYTES,
    bodies,
    body,
    fresh_directory,
    open_spool,
    put,
)


class FailingDisk(Disk):
    """Fails the calls of a kind from the `after`th on."""

    def __init__(self, kind: str, after: int = 0, code: int = errno.EIO) -> None:
        self.kind, self.left, self.code = kind, after, code

    def _count(self, kind: str) -> None:
        if kind == self.kind:
            self.left -= 1
            if self.left < 0:
                raise OSError(self.code, os.strerror(self.code))

    def sync(self, descriptor: int) -> None:
        """Fails as `sync`."""
        self._count("sync")
        super().sync(descriptor)

    def sync_file(self, descriptor: int) -> None:
        """Fails as `sync_file`."""
        self._count("sync_file")
        super().sync_file(descriptor)

    def sync_folder(self, folder: Path) -> None:
        """Fails as `sync_folder`."""
        self._count("sync_folder")
        super().sync_folder(folder)

    def write(
        self, descriptor: int, views: Sequence[bytes | bytearray | memoryview], offset: int
    ) -> None:
        """Fails as `write`."""
        self._count("write")
        super().write(descriptor, views, offset)

    def preallocate(self, descriptor: int, size: int) -> None:
        """Fails as `preallocate`."""
        self._count("preallocate")
        super().preallocate(descriptor, size)


def fail_from_now(spool_root: Path, kind: str, code: int = errno.EIO) -> tuple[Spool, FailingDisk]:
    """A spool whose disk is well until its `left` is set to 0."""
    disk = FailingDisk(kind, after=1_000_000, code=code)
    return open_spool(spool_root, disk=disk), disk


@pytest.mark.parametrize("kind", ["sync", "write"])
def test_a_failed_sync_is_final(tmp_path: Path, kind: str) -> None:
    """reliability §1: nothing more is acknowledged, by any association; what was, is there."""
    spool, disk = fail_from_now(tmp_path, kind)
    first, second = spool.lease(), spool.lease()
    put(first, b"before")
    disk.left = 0
    with pytest.raises(SpoolSick):
        put(first, b"failed")
    disk.left = 1_000_000
    assert spool.sick
    for attempt in (lambda: put(second, b"other"), lambda: put(first, b"again"), spool.lease):
        with pytest.raises(SpoolSick):
            attempt()
    assert not spool.has_room()
    assert bodies(spool) == [b"before"]
    spool.close()
    with open_spool(tmp_path) as spool:
        assert b"before" in bodies(spool)
        put(spool.lease(), b"after")


@pytest.mark.parametrize("kind", ["sync_file", "sync_folder"])
def test_a_new_segment_that_is_not_durable_is_not_used(tmp_path: Path, kind: str) -> None:
    """Its syncs are as final as a record's."""
    spool, disk = fail_from_now(tmp_path, kind)
    disk.left = 0
    with pytest.raises(SpoolSick):
        spool.lease()
    assert spool.sick
    spool.close()


def test_a_sick_spool_is_opened_only_after_its_disk_has_proved_itself(tmp_path: Path) -> None:
    """A write, a sync and a direct read-back must pass; then the mark is gone."""
    spool, disk = fail_from_now(tmp_path, "sync")
    lease = spool.lease()
    disk.left = 0
    with pytest.raises(SpoolSick):
        put(lease, b"x")
    spool.close()
    assert (tmp_path / ID / "sick").exists()
    for kind in ("write", "sync_file"):
        with pytest.raises(SpoolSick):
            open_spool(tmp_path, disk=FailingDisk(kind))
    assert (tmp_path / ID / "sick").exists()
    open_spool(tmp_path).close()
    assert not (tmp_path / ID / "sick").exists()


def test_a_disk_that_gives_back_something_else_is_found_out(tmp_path: Path) -> None:
    """The proof is read from the disk, not from what the kernel remembers."""

    class Liar(Disk):
        def write(
            self, descriptor: int, views: Sequence[bytes | bytearray | memoryview], offset: int
        ) -> None:
            super().write(descriptor, [bytes(len(view)) for view in views], offset)

    with pytest.raises(SpoolSick):
        open_spool(tmp_path, disk=Liar())


@pytest.mark.parametrize("kind", ["preallocate", "write"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_told_and_not_final(tmp_path: Path, kind: str, code: int) -> None:
    """Nothing of the record counts, and the next one is welcome once there is room."""
    spool, disk = fail_from_now(tmp_path, kind, code)
    lease = spool.lease()
    put(lease, b"before", 1)
    reception = lease.begin()
    disk.left = 0
    with pytest.raises(SpoolFull):
        reception.write(bytes(2 * SEGMENT_BYTES))
    with pytest.raises(SpoolFull):
        spool.lease()
    disk.left = 1_000_000
    reception.rewind()
    reception.write(b"after")
    reception.commit(HEADER)
    put(spool.lease(), b"another", HEADER.received_at + 1)
    assert bodies(spool) == [b"before", b"after", b"another"]
    on_disk = sum(path.stat().st_size for path in (tmp_path / ID).glob("*.segment"))
    assert spool.usage().allocated_bytes == on_disk
    spool.close()


def put_alone(spool: Spool, content: bytes, received_at: int) -> bool:
    """One association with one instance; False if the disk is full."""
    lease = None
    try:
        lease = spool.lease()
        put(lease, content, received_at)
    except SpoolFull:
        return False
    finally:
        if lease is not None:
            lease.end()
    return True


@pytest.mark.slow
@pytest.mark.parametrize("large", [False, True])
def test_wherever_a_real_disk_runs_out_nothing_acknowledged_is_lost(
    tmp_path: Path, *, large: bool
) -> None:
    """At 50 and more amounts of free space, on an ext4 of its own; and it goes on afterwards."""
    with small_volume(tmp_path, size_mib=16) as volume:
        ballast = Ballast(volume)
        expected: list[bytes] = []
        full = 0
        for number, free in enumerate(range(0, 52 * 40_960, 40_960)):
            with open_spool(volume, pool_max=0) as spool:
                ballast.leave(free)
                content = body(number, 700_000 if large else 9_000)
                if put_alone(spool, content, number):
                    expected.append(content)
                else:
                    full += 1
                assert bodies(spool) == expected
                assert not spool.sick
                ballast.drop()
                assert put_alone(spool, b"there is room", number)
                expected.append(b"there is room")
                spool.release([record.ref for record in spool.unfiled(len(expected) - 1)])
                expected = expected[-1:]
        assert full > 3
        with open_spool(volume) as spool:
            assert bodies(spool) == expected


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.parametrize("when", range(1, 6))
def test_whichever_sync_the_kernel_fails_nothing_follows_it(tmp_path: Path, when: int) -> None:
    """The same with the real system call failing: after the first EIO nothing is acknowledged."""
    program = (
        "import sys; from pathlib import Path; from tests.storage.spool.kit import *\n"
        "from storage.spool import SpoolSick\n"
        "lease = None\n"
        "spool = open_spool(Path(sys.argv[1]))\n"
        "for number in range(6):\n"
        "    try:\n"
        "        lease = lease or spool.lease()\n"
        "        put(lease, b'%d' % number, number)\n"
        "        print('stored')\n"
        "    except SpoolSick:\n"
        "        print('sick')\n"
    )
    inject = f"inject=fdatasync:error=EIO:when={when}"
    command = (str(peer("strace")), "-f", "-qq", "-o", "/dev/null", "-e", inject, sys.executable)
    ran = subprocess.run(
        (*command, "-c", program, str(tmp_path)), capture_output=True, text=True, check=True
    )
    words = ran.stdout.split()
    assert words == ["stored"] * (when - 1) + ["sick"] * (7 - when)
    with open_spool(tmp_path) as spool:
        assert bodies(spool)[: when - 1] == [b"%d" % number for number in range(when - 1)]


def test_a_file_system_that_forgets_is_refused(tmp_path: Path) -> None:
    """With a message that says what it is and what to do."""
    shared = Path("/dev/shm")  # noqa: S108 - a tmpfs is what is wanted here
    if not os.access(shared, os.W_OK) or not shared.is_mount():
        pytest.skip("no tmpfs is mounted at /dev/shm")
    directory = fresh_directory(shared)
    try:
        with pytest.raises(SpoolUnsuitable, match="tmpfs"):
            Spool.open(directory)
    finally:
        for path in [*directory.iterdir()]:
            path.unlink()
        directory.rmdir()


@pytest.mark.slow
def test_a_two_gigabyte_instance_takes_no_memory(tmp_path: Path) -> None:
    """Memory is bounded by the caller's chunks, on the way in and on the way out."""
    program = (
        "import os, resource, sys, uuid; from pathlib import Path\n"
        "from storage.spool import Spool; from storage.spool.disk import Disk\n"
        "from tests.storage.spool.kit import HEADER\n"
        "class Sparse(Disk):\n"
        "    def preallocate(self, descriptor, size): os.ftruncate(descriptor, size)\n"
        "    def write(self, descriptor, views, offset):\n"
        "        if len(views) == 1 and len(views[0]) <= 65536:\n"
        "            super().write(descriptor, views, offset)\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "spool = Spool.open(Path(sys.argv[1]) / str(uuid.uuid4()), fill_max_bytes=4 << 30,\n"
        "                   any_file_system=True, disk=Sparse())\n"
        "reception = spool.lease().begin(); chunk = memoryview(bytearray(256 << 10))\n"
        "before = peak()\n"
        "for _ in range(8192): reception.write(chunk)\n"
        "reception.commit(HEADER)\n"
        "(record,) = spool.unfiled(2); assert record.body_size == 2 << 30\n"
        "for _ in record.chunks(): pass\n"
        "print(peak() - before)\n"
    )
    ran = subprocess.run(
        (sys.executable, "-c", program, str(tmp_path)), capture_output=True, text=True, check=True
    )
    assert int(ran.stdout) < 16 << 10  # KiB
