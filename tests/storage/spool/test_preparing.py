"""Segments made ready beforehand: written, durable, counted, and in nobody's way."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from storage.spool import Spool, SpoolSick
from storage.spool.disk import Disk
from storage.spool.space import READY_SEGMENTS
from tests.harness import wait_until
from tests.storage.spool.kit import (
    ID,
    SEGMENT_BYTES,
    bodies,
    body,
    open_spool,
    put,
    release_all,
    segment_files,
)


def prepare_all(spool: Spool) -> int:
    """As the thread does, until nothing more is wanted; returns how many were made ready."""
    made = 0
    while spool.prepare():
        made += 1
    return made


def written_bytes(path: Path) -> int:
    """How much of a file was written, not only reserved: up to its first hole."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.lseek(descriptor, 0, os.SEEK_HOLE)
    finally:
        os.close(descriptor)


class Watched(Disk):
    """Notes the durability calls in their order, and calls `step` before each write."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.step: Callable[[], None] = lambda: None

    def write(
        self, descriptor: int, views: Sequence[bytes | bytearray | memoryview], offset: int
    ) -> None:
        """Note it."""
        self.calls.append("write")
        self.step()
        super().write(descriptor, views, offset)

    def sync(self, descriptor: int) -> None:
        """Note it."""
        self.calls.append("sync")
        super().sync(descriptor)

    def sync_file(self, descriptor: int) -> None:
        """Note it."""
        self.calls.append("sync_file")
        super().sync_file(descriptor)

    def sync_folder(self, folder: Path) -> None:
        """Note it."""
        self.calls.append("sync_folder")
        super().sync_folder(folder)

    def preallocate(self, descriptor: int, size: int) -> None:
        """Note it."""
        self.calls.append("preallocate")
        super().preallocate(descriptor, size)


def test_ready_segments_are_written_durable_and_counted(tmp_path: Path) -> None:
    """Else the first syncs into them would cost double, or the limit would not hold."""
    disk = Watched()
    with open_spool(tmp_path, disk=disk) as spool:
        disk.calls.clear()
        assert prepare_all(spool) == READY_SEGMENTS
        assert disk.calls == ["preallocate", "write", "sync", "sync_file", "sync_folder"] * 2
        assert [written_bytes(path) for path in segment_files(tmp_path)] == [SEGMENT_BYTES] * 2
        usage = spool.usage()
        assert (usage.allocated_bytes, usage.free_segments) == (2 * SEGMENT_BYTES, 2)


def test_a_lease_of_a_ready_segment_costs_one_sync(tmp_path: Path) -> None:
    """No file is made, no name synced while a device waits; its lease is durable all the same."""
    disk = Watched()
    with open_spool(tmp_path, disk=disk) as spool:
        prepare_all(spool)
        disk.calls.clear()
        lease = spool.lease()
        assert disk.calls == ["write", "sync"]
        put(lease, b"first")
        lease.end()
        assert bodies(spool) == [b"first"]


def test_a_lease_that_finds_none_ready_waits_for_none_and_asks_for_more(tmp_path: Path) -> None:
    """One more for each, up to what a spool keeps."""
    with open_spool(tmp_path, pool_max=4) as spool:
        leases = [spool.lease() for _ in range(5)]
        assert written_bytes(segment_files(tmp_path)[0]) < SEGMENT_BYTES
        assert prepare_all(spool) == 4
        for lease in leases:
            lease.end()
        assert spool.usage().free_segments == 4


def test_a_free_segment_that_was_hardly_used_is_written_to_its_end(tmp_path: Path) -> None:
    """What an earlier process left: nothing of a record is overwritten, for it has none left."""
    with open_spool(tmp_path) as spool:
        lease = spool.lease()
        put(lease, b"x")
        lease.end()
        release_all(spool)
    with open_spool(tmp_path) as spool:
        assert prepare_all(spool) == READY_SEGMENTS
        assert written_bytes(tmp_path / ID / "00000001.segment") == SEGMENT_BYTES
        assert prepare_all(spool) == 0
        lease = spool.lease()
        put(lease, body(1, 9_000))
        lease.end()
        assert prepare_all(spool) == 1
        assert bodies(spool) == [body(1, 9_000)]


def test_nothing_is_made_ready_where_a_lease_would_miss_the_room(tmp_path: Path) -> None:
    """The limit is kept, and what is free goes to whoever comes."""
    with open_spool(tmp_path, fill_max_bytes=SEGMENT_BYTES) as spool:
        assert prepare_all(spool) == 0
        assert spool.usage().allocated_bytes == 0
        spool.lease().end()
        assert prepare_all(spool) == 0
        assert spool.has_room()
        assert spool.usage().allocated_bytes == SEGMENT_BYTES


@pytest.mark.parametrize("recycled", [False, True])
def test_a_segment_under_way_makes_way(tmp_path: Path, *, recycled: bool) -> None:
    """A lease that needs its room in the middle gets it at once, and there was room always."""
    disk = Watched()
    with open_spool(tmp_path, fill_max_bytes=2 * SEGMENT_BYTES, disk=disk) as spool:
        if recycled:
            spool.lease().end()
        leases = []

        def take_both() -> None:
            disk.step = lambda: None
            assert spool.has_room()
            leases.append(spool.lease())
            assert spool.has_room()
            leases.append(spool.lease())
            assert not spool.has_room()

        disk.step = take_both
        assert not spool.prepare()
        for number, lease in enumerate(leases):
            put(lease, body(number, 50_000), number)
        assert bodies(spool) == [body(0, 50_000), body(1, 50_000)]
        on_disk = sum(path.stat().st_size for path in segment_files(tmp_path))
        assert spool.usage().allocated_bytes == on_disk == 2 * SEGMENT_BYTES


@pytest.mark.parametrize("kind", ["write", "preallocate"])
def test_a_full_disk_goes_by_without_a_word(tmp_path: Path, kind: str) -> None:
    """Nothing was promised; the file is gone again."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    disk = Watched()
    with open_spool(tmp_path, disk=disk) as spool:
        setattr(disk, kind, full)
        assert prepare_all(spool) == 0
        assert not spool.sick
        assert spool.usage().allocated_bytes == 0
        assert segment_files(tmp_path) == []


@pytest.mark.parametrize("kind", ["sync", "sync_file", "sync_folder"])
def test_a_failed_sync_is_final_here_too(tmp_path: Path, kind: str) -> None:
    """reliability §1: whichever thread it happens to."""

    def failing(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    disk = Watched()
    with open_spool(tmp_path, disk=disk) as spool:
        lease = spool.lease()
        setattr(disk, kind, failing)
        assert not spool.prepare()
        assert spool.sick
        with pytest.raises(SpoolSick):
            put(lease, b"x")


def test_the_thread_keeps_some_ready_until_it_is_closed(tmp_path: Path) -> None:
    """After each lease there are as many again; closing ends it in the middle of a segment."""
    spool = open_spool(tmp_path, segment_bytes=16 << 20)
    spool.keep_ready()
    wait_until(lambda: spool.usage().free_segments == READY_SEGMENTS, 30)
    put(spool.lease(), b"stored")
    wait_until(lambda: len(segment_files(tmp_path)) > READY_SEGMENTS, 30)
    spool.close()
    with open_spool(tmp_path) as again:
        assert bodies(again) == [b"stored"]
        assert again.recovered.damages == ()
