"""Recovery: a torn tail is dropped, damage is told and kept, forgeries fool nobody."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from storage.spool import RecordDamaged, RecordRef, Spool
from storage.spool.disk import Disk
from storage.spool.layout import DATA_OFFSET, SEAL_OFFSET
from storage.spool.record import FIXED_BYTES, PAGE_BYTES, LeaseKey
from tests.storage.spool.kit import (
    bodies,
    body,
    open_spool,
    overwrite,
    put,
    release_all,
    segment_files,
)

RECORD_BYTES = 3 * PAGE_BYTES
_BODY_BYTES = 2 * PAGE_BYTES


def offset_of(number: int) -> int:
    """Where the header page of a record is, all being of the same size."""
    return DATA_OFFSET + number * RECORD_BYTES


def three_records(root: Path, *, sealed: bool) -> Path:
    """A spool with three records of two pages each, as a crash or an orderly end leaves it."""
    spool = open_spool(root)
    lease = spool.lease()
    for number in range(3):
        put(lease, body(number, _BODY_BYTES), 100 + number)
    if sealed:
        lease.end()
    spool.close()
    return segment_files(root)[0]


@pytest.mark.parametrize("sector", range(FIXED_BYTES // 512 + 2))
@pytest.mark.parametrize("rubbish", [b"\0" * PAGE_BYTES, b"\xa5" * PAGE_BYTES], ids=["0", "x"])
def test_a_torn_header_at_the_end_is_no_record(tmp_path: Path, sector: int, rubbish: bytes) -> None:
    """Wherever it tore: the record was never acknowledged, and goes silently."""
    segment = three_records(tmp_path, sealed=False)
    overwrite(segment, offset_of(2) + sector * 512, rubbish[sector * 512 :])
    with open_spool(tmp_path) as spool:
        assert len(bodies(spool)) == 2
        assert spool.damages() == []


def test_every_byte_of_a_header_counts(tmp_path: Path) -> None:
    """One changed bit anywhere in what the page says of its record, and it is none of ours."""
    segment = three_records(tmp_path, sealed=False)
    page = segment.read_bytes()[offset_of(2) : offset_of(2) + PAGE_BYTES]
    for at in range(FIXED_BYTES):
        overwrite(segment, offset_of(2), page)
        overwrite(segment, offset_of(2) + at, bytes([page[at] ^ 1]))
        overwrite(segment, SEAL_OFFSET, bytes(PAGE_BYTES))
        with open_spool(tmp_path) as spool:
            assert (len(bodies(spool)), list(spool.damages())) == (2, []), at


@pytest.mark.parametrize("page", range(2))
def test_a_torn_body_at_the_end_is_no_record(tmp_path: Path, page: int) -> None:
    """The header may reach the disk before the body does, within the one sync."""
    segment = three_records(tmp_path, sealed=False)
    overwrite(segment, offset_of(2) + (1 + page) * PAGE_BYTES, bytes(PAGE_BYTES))
    with open_spool(tmp_path) as spool:
        assert bodies(spool) == [body(0, _BODY_BYTES), body(1, _BODY_BYTES)]
        assert (spool.recovered.torn, spool.recovered.damages) == (1, ())
    with open_spool(tmp_path) as spool:
        assert len(bodies(spool)) == 2


@pytest.mark.parametrize("number", [0, 1])
def test_a_bad_header_before_a_good_one_is_damage(tmp_path: Path, number: int) -> None:
    """It had been acknowledged, for the next one was begun after its sync: told, and kept."""
    segment = three_records(tmp_path, sealed=False)
    overwrite(segment, offset_of(number), bytes(PAGE_BYTES))
    for _ in range(2):
        with open_spool(tmp_path) as spool:
            assert bodies(spool) == [body(n, _BODY_BYTES) for n in range(3) if n != number]
            (damage,) = spool.damages()
            assert (damage.segment, damage.records, damage.path) == (1, 1, segment)
    with open_spool(tmp_path) as spool:
        release_all(spool)
        assert segment.exists()
        assert spool.filed_through(500) == (0 if number == 0 else 100)
        assert spool.write_off(1)
        assert not spool.write_off(1)
        assert (list(spool.damages()), spool.filed_through(500)) == ([], 500)
    with open_spool(tmp_path) as spool:
        assert (list(spool.damages()), bodies(spool)) == ([], [])


@pytest.mark.parametrize("sealed", [True, False])
def test_a_bad_body_is_told_when_it_is_filed(tmp_path: Path, *, sealed: bool) -> None:
    """Only who reads it to the end finds out; the others go on, and it is not offered again."""
    segment = three_records(tmp_path, sealed=sealed)
    overwrite(segment, offset_of(1) + PAGE_BYTES + 5, b"?")
    with open_spool(tmp_path) as spool:
        record = spool.unfiled(10)[1]
        with pytest.raises(RecordDamaged):
            list(record.chunks())
        assert bodies(spool) == [body(0, _BODY_BYTES), body(2, _BODY_BYTES)]
        assert [damage.records for damage in spool.damages()] == [1]
        release_all(spool)
        assert spool.filed_through(500) == 101
        assert segment.exists()


def test_a_bad_header_in_a_sealed_segment_costs_itself_only(tmp_path: Path) -> None:
    """The index says where the next one is."""
    segment = three_records(tmp_path, sealed=True)
    overwrite(segment, offset_of(2), bytes(PAGE_BYTES))
    with open_spool(tmp_path) as spool:
        assert bodies(spool) == [body(0, _BODY_BYTES), body(1, _BODY_BYTES)]
        assert [damage.records for damage in spool.damages()] == [1]


def test_one_bad_lease_page_costs_nothing(tmp_path: Path) -> None:
    """There are two; with both gone nothing can be told, and the segment is kept."""
    segment = three_records(tmp_path, sealed=True)
    overwrite(segment, 0, b"\xff" * PAGE_BYTES)
    with open_spool(tmp_path) as spool:
        assert len(bodies(spool)) == 3
    overwrite(segment, PAGE_BYTES, b"\xff" * PAGE_BYTES)
    with open_spool(tmp_path) as spool:
        assert bodies(spool) == []
        assert [damage.records for damage in spool.damages()] == [None]
        assert spool.filed_through(500) == 0
    assert segment.exists()


@pytest.mark.parametrize("spoilt", ["seal", "index"])
def test_without_its_seal_a_segment_is_walked(tmp_path: Path, spoilt: str) -> None:
    """Seal and index only spare work."""
    segment = three_records(tmp_path, sealed=True)
    overwrite(segment, SEAL_OFFSET if spoilt == "seal" else offset_of(3), b"\xff" * 64)
    with open_spool(tmp_path) as spool:
        assert len(bodies(spool)) == 3
        assert spool.recovered.damages == ()


def test_a_forged_record_in_a_body_is_only_bytes(tmp_path: Path) -> None:
    """reliability §3: pixel data that contains a forged record is stored like any other."""
    with open_spool(tmp_path) as spool:
        lease = spool.lease()
        put(lease, body(0, _BODY_BYTES), 100)
        copied = segment_files(tmp_path)[0].read_bytes()[offset_of(0) :][: 3 * PAGE_BYTES]
        lease.end()
        release_all(spool)
        lease = spool.lease()
        put(lease, copied * 2, 101)
        lease.begin().write(copied * 3)
    with open_spool(tmp_path) as spool:
        assert bodies(spool) == [copied * 2]
        assert (spool.recovered.torn, spool.recovered.damages) == (0, ())


def test_a_replayed_header_of_the_same_lease_is_bound_to_its_place(tmp_path: Path) -> None:
    """Even a genuine page, with the right nonce, counts nowhere but where it was written."""
    segment = three_records(tmp_path, sealed=False)
    genuine = segment.read_bytes()[offset_of(0) : offset_of(3)]
    overwrite(segment, offset_of(3) + PAGE_BYTES, genuine)
    with open_spool(tmp_path) as spool:
        assert len(bodies(spool)) == 3
        assert spool.damages() == []


def test_stale_records_of_a_recycled_segment_stay_dead(tmp_path: Path) -> None:
    """Their nonce is of an earlier lease, wherever the new records happen to end."""
    with open_spool(tmp_path) as spool:
        lease = spool.lease()
        for number in range(10):
            put(lease, body(number, _BODY_BYTES), number)
        lease.end()
        release_all(spool)
        put(spool.lease(), body(77, _BODY_BYTES), 77)
    assert len(segment_files(tmp_path)) == 1
    with open_spool(tmp_path) as spool:
        assert bodies(spool) == [body(77, _BODY_BYTES)]
        assert spool.recovered.damages == ()


def test_a_release_does_not_reach_a_later_lease(tmp_path: Path) -> None:
    """A reference of yesterday names another record today."""
    with open_spool(tmp_path) as spool:
        lease = spool.lease()
        old = put(lease, b"old")
        lease.end()
        spool.release([old])
        new = put(spool.lease(), b"new")
        assert (old.segment, old.number) == (new.segment, new.number)
        spool.release([old, RecordRef(segment=99, generation=1, number=0)])
        assert bodies(spool) == [b"new"]


def test_a_segment_that_was_never_used_is_no_damage(tmp_path: Path) -> None:
    """The power may go between its making and its first lease."""
    with open_spool(tmp_path) as spool:
        directory = spool.directory
    (directory / "00000001.segment").write_bytes(b"")
    (directory / "00000002.segment").write_bytes(bytes(256 << 10))
    with open_spool(tmp_path) as spool:
        assert (list(spool.damages()), bodies(spool)) == ([], [])
        put(spool.lease(), b"x")
        assert bodies(spool) == [b"x"]


def test_a_moved_spool_is_what_it_was(tmp_path: Path) -> None:
    """A disk may go to another machine: nothing in it knows where it is."""
    three_records(tmp_path / "a", sealed=True)
    (tmp_path / "b").mkdir()
    moved = shutil.move(next((tmp_path / "a").iterdir()), tmp_path / "b")
    with Spool.open(Path(moved), any_file_system=True, disk=Disk()) as spool:
        assert len(bodies(spool)) == 3


def test_two_leases_never_share_a_nonce(tmp_path: Path) -> None:
    """It is what tells their records apart."""
    keys: set[LeaseKey] = set()
    with open_spool(tmp_path) as spool:
        for _ in range(5):
            lease = spool.lease()
            lease.end()
            keys.add(LeaseKey(nonce=segment_files(tmp_path)[0].read_bytes()[32:48], generation=0))
    assert len(keys) == 5


@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize("released", [[], [0], [1, 2], [2]])
def test_the_bytes_that_wait_are_those_of_before(
    tmp_path: Path, *, sealed: bool, released: list[int]
) -> None:
    """However they are added up: of a whole segment at once, else record by record."""
    with open_spool(tmp_path) as spool:
        lease = spool.lease()
        sizes = (1, 3 * PAGE_BYTES, 9_000)
        refs = [put(lease, body(n, size), 100 + n) for n, size in enumerate(sizes)]
        spool.release([refs[number] for number in released])
        before = spool.usage()
        if sealed:
            lease.end()
    with open_spool(tmp_path) as spool:
        assert (spool.usage().records, spool.usage().bytes) == (before.records, before.bytes)


@pytest.mark.parametrize("lost", [0, 1])
def test_beside_a_lost_record_no_bytes_wait_for_ever(tmp_path: Path, lost: int) -> None:
    """What is added at the opening is taken off as the others are filed."""
    segment = three_records(tmp_path, sealed=False)
    overwrite(segment, offset_of(lost), b"\0" * PAGE_BYTES)
    with open_spool(tmp_path) as spool:
        assert (len(spool.damages()), spool.usage().records) == (1, 2)
        release_all(spool)
        assert (spool.usage().records, spool.usage().bytes) == (0, 0)


@pytest.mark.parametrize("sealed", [True, False])
def test_a_clock_that_went_back_hides_no_older_record(tmp_path: Path, *, sealed: bool) -> None:
    """The oldest is looked for among all, also after a restart."""
    with open_spool(tmp_path) as spool:
        lease = spool.lease()
        refs = [put(lease, b"x", received_at) for received_at in (100, 200, 50, 300)]
        assert spool.filed_through(500) == 50
        if sealed:
            lease.end()
    with open_spool(tmp_path) as spool:
        assert spool.filed_through(500) == 50
        spool.release([refs[2]])
        assert spool.filed_through(500) == 100
