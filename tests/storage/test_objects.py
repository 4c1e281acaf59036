"""The archive of objects: whole or absent, private, durable before it says so."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.archive import LocalArchive
from storage.errors import ArchiveUnavailable


@pytest.fixture
def archive(tmp_path: Path) -> LocalArchive:
    """An empty archive."""
    return LocalArchive(tmp_path / "archive")


def files(archive: LocalArchive) -> list[str]:
    """Every file below the root."""
    return sorted(
        str(path.relative_to(archive.root)) for path in archive.root.rglob("*") if path.is_file()
    )


def test_an_object_is_what_was_put(archive: LocalArchive) -> None:
    """Byte for byte, in however many pieces it came; the size is its size."""
    chunks = (b"DICM", memoryview(b"\x00\xff" * 50_000), b"", b"end")

    put = archive.put("objects/e1/0/a.dcm", chunks)

    content = archive.path("objects/e1/0/a.dcm").read_bytes()
    assert content == b"".join(bytes(chunk) for chunk in chunks)
    assert put.size_bytes == len(content)


def test_an_empty_object_is_an_object(archive: LocalArchive) -> None:
    """Nothing is a content too."""
    assert archive.put("objects/e1/0/a.dcm", ()).size_bytes == 0
    assert files(archive) == ["objects/e1/0/a.dcm"]


def test_objects_are_the_owners_alone(archive: LocalArchive) -> None:
    """Images are patient data: files 0600, folders 0700, whatever the umask says."""
    before = os.umask(0)
    try:
        archive.put("objects/e1/0/a.dcm", (b"x",))
    finally:
        os.umask(before)

    for path in (archive.root, *archive.root.rglob("*")):
        wanted = 0o600 if path.is_file() else 0o700
        assert path.stat().st_mode & 0o777 == wanted or path == archive.root, path


def test_an_object_appears_whole(archive: LocalArchive) -> None:
    """Nothing is to be seen under its key until all of it is on the disk."""
    seen: list[bool] = []

    def chunks() -> Iterator[bytes]:
        for _ in range(3):
            seen.append(archive.path("objects/e1/0/a.dcm").exists())
            yield b"x" * 1_000

    archive.put("objects/e1/0/a.dcm", chunks())

    assert seen == [False, False, False]


def test_the_same_object_again_is_the_same_object(archive: LocalArchive) -> None:
    """A retry after an unknown outcome replaces the bytes by the same bytes."""
    for _ in range(2):
        archive.put("objects/e1/0/a.dcm", (b"same",))

    assert files(archive) == ["objects/e1/0/a.dcm"]


def test_a_sender_that_breaks_off_leaves_nothing(archive: LocalArchive) -> None:
    """Whatever the source raises comes through, and no half file stays."""

    def chunks() -> Iterator[bytes]:
        yield b"half"
        raise KeyError

    with pytest.raises(KeyError):
        archive.put("objects/e1/0/a.dcm", chunks())

    assert files(archive) == []
    archive.put("objects/e1/0/a.dcm", (b"whole",))


def test_a_folder_that_cannot_be_made_is_unavailable(archive: LocalArchive) -> None:
    """Said in the archive's own words, without the file's name; the next object is welcome."""
    (archive.root / "objects").write_bytes(b"in the way")

    with pytest.raises(ArchiveUnavailable, match="the archive failed") as caught:
        archive.put("objects/e1/0/a.dcm", (b"x",))

    assert "a.dcm" not in str(caught.value)
    assert not archive.sick
    assert files(archive) == ["objects"]
    archive.put("other/a.dcm", (b"x",))


def test_a_discarded_object_leaves_no_folder(archive: LocalArchive) -> None:
    """The folders it leaves empty go with it, those of others stay."""
    archive.put("objects/e1/0/a.dcm", (b"x",))
    archive.put("objects/e2/0/b.dcm", (b"x",))

    archive.discard(["objects/e1/0/a.dcm"])
    archive.discard(["objects/e1/0/a.dcm"])

    assert files(archive) == ["objects/e2/0/b.dcm"]
    assert not (archive.root / "objects/e1").exists()
    archive.put("objects/e1/0/a.dcm", (b"again",))
    assert archive.path("objects/e1/0/a.dcm").read_bytes() == b"again"


def test_discarding_one_object_keeps_its_neighbour(archive: LocalArchive) -> None:
    """A folder with something in it stays."""
    archive.put("objects/e1/0/a.dcm", (b"x",))
    archive.put("objects/e1/0/b.dcm", (b"y",))

    archive.discard(["objects/e1/0/a.dcm"])

    assert files(archive) == ["objects/e1/0/b.dcm"]


@pytest.mark.slow
def test_discarding_does_not_pull_the_folder_from_under_another(archive: LocalArchive) -> None:
    """Refused examinations come and go while others are stored: none of these may fail."""
    barrier = threading.Barrier(4)
    failures: list[BaseException] = []

    def come_and_go(worker: int) -> None:
        barrier.wait(10)
        for n in range(60):
            key = f"objects/{worker}-{n}/0/a.dcm"
            try:
                archive.put(key, (b"x",))
            except ArchiveUnavailable as error:
                failures.append(error)
            archive.discard([key])

    threads = [threading.Thread(target=come_and_go, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert failures == []
    assert files(archive) == []


@pytest.mark.slow
def test_threads_may_put_at_once(archive: LocalArchive) -> None:
    """Many associations, one archive: every object arrives, none in another's place."""
    barrier = threading.Barrier(8)

    def put(worker: int) -> None:
        barrier.wait(10)
        for n in range(10):
            archive.put(f"objects/{n}/0/{worker}.dcm", (f"{worker} {n}".encode(),))

    threads = [threading.Thread(target=put, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(files(archive)) == 80
    for worker in range(8):
        assert archive.path(f"objects/3/0/{worker}.dcm").read_text() == f"{worker} 3"


def test_what_a_killed_process_left_half_written_is_removed(archive: LocalArchive) -> None:
    """At the start of the archive's one writer; finished objects are not touched."""
    archive.put("objects/e1/0/a.dcm", (b"x",))
    for n in range(3):
        (archive.root / "incoming" / f"1-{n}").write_bytes(b"half")

    assert archive.discard_unfinished() == 3

    assert files(archive) == ["objects/e1/0/a.dcm"]


def test_room_is_what_the_settings_leave(tmp_path: Path) -> None:
    """has_room compares the free bytes with what must stay free."""
    free = LocalArchive(tmp_path).usage().free

    assert LocalArchive(tmp_path, free_bytes_min=0).has_room()
    assert LocalArchive(tmp_path, free_bytes_min=free // 2).has_room()
    assert not LocalArchive(tmp_path, free_bytes_min=2 * free).has_room()
