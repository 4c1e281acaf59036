"""The spool from outside: what was committed comes back, oldest first, until it is released."""

from __future__ import annotations

import os
import threading
import tracemalloc
from pathlib import Path

import pytest

from storage.spool import HeaderTooLarge, Spool, SpoolFull, SpoolLocked, SpoolUnsuitable
from storage.spool.layout import DATA_OFFSET
from storage.spool.record import METADATA_BYTES_MAX, PAGE_BYTES
from tests.storage.spool.kit import (
    HEADER,
    ID,
    SEGMENT_BYTES,
    bodies,
    body,
    described,
    header,
    open_spool,
    put,
    release_all,
    segment_files,
)

SIZES = [0, 1, 4_095, 4_096, 4_097, 34_816, 100_000]


def test_a_record_is_what_was_written(tmp_path: Path) -> None:
    """Header and body come back as they were given, now and after a restart."""
    with open_spool(tmp_path) as spool:
        lease = spool.lease()
        for number, size in enumerate(SIZES):
            put(lease, body(number, size), HEADER.received_at + number)
        lease.end()
        expected = [body(number, size) for number, size in enumerate(SIZES)]
        assert bodies(spool) == expected
    with open_spool(tmp_path) as spool:
        assert bodies(spool) == expected
        headers = [record.header for record in spool.unfiled(100)]
        assert headers == [header(HEADER.received_at + n) for n in range(len(SIZES))]
        assert [record.body_size for record in spool.unfiled(100)] == SIZES


@pytest.mark.parametrize("piece", [1, 100, 4_096, 5_000, 70_000])
def test_a_body_may_come_in_pieces_of_any_size(tmp_path: Path, piece: int) -> None:
    """And the caller may use its buffer again at once."""
    whole = body(1, 20_000 if piece == 1 else 90_001)
    buffer = bytearray(piece)
    with open_spool(tmp_path) as spool:
        reception = spool.lease().begin()
        for start in range(0, len(whole), piece):
            part = whole[start : start + piece]
            buffer[: len(part)] = part
            reception.write(memoryview(buffer)[: len(part)])
        reception.commit(HEADER)
        assert bodies(spool) == [whole]


def test_what_was_not_committed_is_not_there(tmp_path: Path) -> None:
    """A reception that was forgotten, rewound or left lying leaves nothing behind."""
    with open_spool(tmp_path) as spool:
        lease = spool.lease()
        lease.begin().write(body(1, 50_000))
        reception = lease.begin()
        reception.write(body(2, 60_000))
        reception.rewind()
        reception.write(b"the one")
        reception.commit(HEADER)
        lease.begin().write(body(3, 70_000))
        assert bodies(spool) == [b"the one"]
    with open_spool(tmp_path) as spool:
        assert bodies(spool) == [b"the one"]
        assert spool.recovered.damages == ()


def test_a_reception_can_be_read_back_before_it_is_committed(tmp_path: Path) -> None:
    """So that another reader may look at what the scanner could not read; then it goes on."""
    with open_spool(tmp_path) as spool:
        reception = spool.lease().begin()
        reception.write(body(1, 10_000))
        assert reception.mapped() == body(1, 10_000)
        reception.write(b"more")
        reception.commit(HEADER)
        assert bodies(spool) == [body(1, 10_000) + b"more"]


def test_what_is_looked_at_before_it_is_committed_is_not_copied(tmp_path: Path) -> None:
    """Many requestors at once may send large data sets that the scanner is not certain of."""
    with open_spool(tmp_path) as spool:
        reception = spool.lease().begin()
        for _ in range(32):
            reception.write(bytes(1 << 20))
        tracemalloc.start()
        looked_at = reception.mapped()
        assert len(looked_at) == 32 << 20 and not any(looked_at[:: 1 << 20])
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
        tracemalloc.stop()


def test_released_records_do_not_come_back(tmp_path: Path) -> None:
    """Each for itself, in any order, across a restart."""
    with open_spool(tmp_path) as spool:
        lease = spool.lease()
        refs = [put(lease, body(number, 10_000), number) for number in range(30)]
        spool.release([refs[7], refs[3], refs[7]])
        spool.release(refs[10:30])
        kept = [body(n, 10_000) for n in (0, 1, 2, 4, 5, 6, 8, 9)]
        assert bodies(spool) == kept
        assert spool.usage().records == len(kept)
        lease.end()
    with open_spool(tmp_path) as spool:
        assert bodies(spool) == kept
        release_all(spool)
        assert bodies(spool) == []
        assert (spool.usage().records, spool.usage().bytes) == (0, 0)
    with open_spool(tmp_path) as spool:
        assert bodies(spool) == []


def test_the_oldest_come_first_whichever_association_brought_them(tmp_path: Path) -> None:
    """By the time of receipt, with as many as are asked for."""
    with open_spool(tmp_path) as spool:
        leases = [spool.lease() for _ in range(3)]
        for number in range(30):
            put(leases[number % 3], b"%d" % number, number)
        assert bodies(spool, limit=7) == [b"%d" % number for number in range(7)]
        release_all(spool)
        assert bodies(spool) == []


def test_filed_through_is_the_oldest_unfiled_record(tmp_path: Path) -> None:
    """design §5: received_at of the oldest unfiled record, else now; never later than now."""
    with open_spool(tmp_path) as spool:
        assert spool.filed_through(500) == 500
        lease = spool.lease()
        refs = [put(lease, b"x", at) for at in (100, 80, 300)]
        assert spool.filed_through(500) == 80
        spool.release([refs[1]])
        assert spool.filed_through(500) == 100
        assert spool.filed_through(50) == 50
        spool.release([refs[0]])
        assert spool.filed_through(500) == 300
        spool.release([refs[2]])
        assert spool.filed_through(500) == 500


def test_filed_segments_are_used_again(tmp_path: Path) -> None:
    """The disk they take does not grow with what passes through."""
    with open_spool(tmp_path) as spool:
        for round_number in range(20):
            lease = spool.lease()
            for number in range(10):
                put(lease, body(round_number, 100_000), number)
            lease.end()
            assert len(bodies(spool)) == 10
            release_all(spool)
        assert len(segment_files(tmp_path)) <= 6
        assert spool.usage().allocated_bytes == len(segment_files(tmp_path)) * SEGMENT_BYTES


def test_an_instance_larger_than_a_segment_makes_it_grow(tmp_path: Path) -> None:
    """Any size goes; the room is given back once it is filed."""
    large = body(1, 5 << 20)
    with open_spool(tmp_path) as spool:
        lease = spool.lease()
        put(lease, b"small", 1)
        put(lease, large, 2)
        put(lease, b"next", 3)
        lease.end()
        assert bodies(spool) == [b"small", large, b"next"]
    with open_spool(tmp_path) as spool:
        assert bodies(spool) == [b"small", large, b"next"]
        release_all(spool)
        assert {path.stat().st_size for path in segment_files(tmp_path)} == {SEGMENT_BYTES}


def test_records_never_share_a_page(tmp_path: Path) -> None:
    """No later write touches the page of an acknowledged record (design §5)."""
    with open_spool(tmp_path) as spool:
        lease = spool.lease()
        put(lease, body(1, 5_000))
        before = segment_files(tmp_path)[0].read_bytes()[DATA_OFFSET : DATA_OFFSET + 3 * PAGE_BYTES]
        put(lease, body(2, 5_000))
        after = segment_files(tmp_path)[0].read_bytes()[DATA_OFFSET : DATA_OFFSET + 3 * PAGE_BYTES]
        assert before == after


def test_a_full_spool_says_so_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    """The limit holds for new segments and for growing ones; nothing of the record counts."""
    with open_spool(tmp_path, fill_max_bytes=4 * SEGMENT_BYTES) as spool:
        lease = spool.lease()
        while spool.has_room():
            put(lease, body(1, 100_000))
        put(lease, body(2, 100_000))
        with pytest.raises(SpoolFull):
            put(lease, body(3, 200_000))
        assert body(3, 200_000) not in bodies(spool)
        assert not spool.has_room()
        assert spool.usage().allocated_bytes <= spool.usage().limit_bytes
        release_all(spool)
        assert spool.has_room()
        reception = lease.begin()
        with pytest.raises(SpoolFull):
            reception.write(bytes(5 * SEGMENT_BYTES))
        reception.rewind()
        reception.write(b"fits")
        reception.commit(HEADER)
        assert bodies(spool) == [b"fits"]


def test_a_large_header_goes_behind_the_body(tmp_path: Path) -> None:
    """Beyond a page it is stored all the same; beyond its limit it is refused before a write."""
    long, longer = described("x" * 20_000), described("x" * METADATA_BYTES_MAX)
    with open_spool(tmp_path) as spool:
        lease = spool.lease()
        reception = lease.begin()
        reception.write(body(1, 5_000))
        with pytest.raises(HeaderTooLarge):
            reception.commit(longer)
        reception.commit(long)
        put(lease, b"next", HEADER.received_at + 1)
    with open_spool(tmp_path) as spool:
        first, second = spool.unfiled(10)
        assert first.header == long
        assert [b"".join(each.chunks()) for each in (first, second)] == [body(1, 5_000), b"next"]


def test_only_one_process_holds_a_spool(tmp_path: Path) -> None:
    """The second one is told, and gets it once the first is gone."""
    with open_spool(tmp_path), pytest.raises(SpoolLocked):
        open_spool(tmp_path)
    open_spool(tmp_path).close()


def test_a_spool_is_named_by_a_uuid(tmp_path: Path) -> None:
    """Anything else is no spool, and is not touched."""
    with pytest.raises(SpoolUnsuitable):
        Spool.open(tmp_path / "spool", any_file_system=True)
    assert list(tmp_path.iterdir()) == []


def test_a_spool_belongs_to_its_owner_alone(tmp_path: Path) -> None:
    """Images are patient data: files 0600, the folder 0700, whatever the umask says."""
    before = os.umask(0)
    try:
        with open_spool(tmp_path) as spool:
            put(spool.lease(), b"x")
    finally:
        os.umask(before)
    assert (tmp_path / ID).stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / ID).iterdir()} == {0o600}


def test_the_filer_waits_for_records(tmp_path: Path) -> None:
    """Without polling: it is woken by the commit."""
    with open_spool(tmp_path) as spool:
        assert not spool.wait_for_records(0)
        found: list[bool] = []
        filer = threading.Thread(target=lambda: found.append(spool.wait_for_records(60)))
        filer.start()
        put(spool.lease(), b"x")
        filer.join(60)
        assert found == [True]


def test_many_associations_and_a_filer_at_once(tmp_path: Path) -> None:
    """Every record is filed exactly once, however they come together."""
    each, threads = 60, 6
    filed: list[bytes] = []
    with open_spool(tmp_path) as spool:

        def send(thread: int) -> None:
            lease = spool.lease()
            for number in range(each):
                put(lease, body(thread * 1_000 + number, 9_000), number)
            lease.end()

        def file() -> None:
            while len(filed) < each * threads and spool.wait_for_records(30):
                records = spool.unfiled(20)
                filed.extend(b"".join(record.chunks()) for record in records)
                spool.release([record.ref for record in records])

        workers = [threading.Thread(target=send, args=(n,)) for n in range(threads)]
        workers.append(threading.Thread(target=file))
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
        assert spool.usage().records == 0
    expected = {body(t * 1_000 + n, 9_000) for t in range(threads) for n in range(each)}
    assert len(filed) == len(expected) and set(filed) == expected
