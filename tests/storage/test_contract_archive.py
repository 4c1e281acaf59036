"""What every archive keeps, whether it is a directory or a bucket."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from storage.archive import Archive, LocalArchive, open_archive
from storage.errors import ObjectMissing
from tests.storage.archiving import put_batch
from tests.storage.bucket import Buckets

MIB = 1024 * 1024


@pytest.fixture(params=["directory", "bucket"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Archive:
    """An empty archive of each kind."""
    if request.param == "directory":
        return LocalArchive(tmp_path / "archive")
    buckets: Buckets = request.getfixturevalue("buckets")
    return open_archive(tmp_path / "unused", remote=buckets.new())


def key(n: int, *, examination: str = "e1", folder: str = "objects") -> str:
    """A key of the n-th object of an examination."""
    return f"{folder}/{examination}/0/{n:064x}.dcm"


def content(archive: Archive, name: str) -> bytes:
    """What the archive gives back."""
    return b"".join(archive.open(name))


def listed(archive: Archive, prefix: str) -> list[str]:
    """The keys below a prefix, in order."""
    return sorted(info.key for info in archive.list(prefix))


def test_an_object_is_what_was_put(archive: Archive) -> None:
    """Byte for byte, in however many pieces it came; the size is its size."""
    chunks = (b"DICM", memoryview(b"\x00\xff" * 50_000), b"", b"end")
    whole = b"".join(bytes(chunk) for chunk in chunks)

    put = archive.put(key(1), chunks)

    assert content(archive, key(1)) == whole
    assert (put.key, put.size_bytes) == (key(1), len(whole))
    assert put.fingerprint


def test_an_empty_object_is_an_object(archive: Archive) -> None:
    """Nothing is a content too."""
    assert archive.put(key(1), ()).size_bytes == 0
    assert content(archive, key(1)) == b""


@pytest.mark.slow
def test_a_big_object_is_what_was_put(archive: Archive) -> None:
    """Beyond what goes in one request, and not a multiple of a part."""
    digest = hashlib.sha256()

    def chunks() -> Iterator[bytes]:
        for n in range(21):
            chunk = bytes([n]) * (MIB - 7)
            digest.update(chunk)
            yield chunk

    put = archive.put(key(1), chunks())

    assert put.size_bytes == 21 * (MIB - 7)
    found = hashlib.sha256()
    for chunk in archive.open(key(1)):
        found.update(chunk)
    assert found.digest() == digest.digest()
    assert archive.infos([key(1)])[key(1)].size_bytes == put.size_bytes


def test_a_batch_is_its_objects(archive: Archive) -> None:
    """In the order given, each under its own key."""
    contents = {key(n): f"object {n}".encode() for n in range(20)}
    results = put_batch(archive, {name: (data[:3], data[3:]) for name, data in contents.items()})

    assert [result.key for result in results] == list(contents)
    assert [result.size_bytes for result in results] == [len(data) for data in contents.values()]
    assert {name: content(archive, name) for name in contents} == contents
    assert len({result.fingerprint for result in results}) == 20


def test_an_object_without_a_key_is_no_part_of_its_batch(archive: Archive) -> None:
    """What turns out to be on record already was read in vain."""
    with archive.batch() as batch:
        for name in (b"one", b"two", b"three"):
            assert [*batch.take(lambda name=name: (name,))] == [name]  # type: ignore[misc]
        results = batch.put([key(1), None, key(3)])

    assert [result.key for result in results] == [key(1), key(3)]
    assert listed(archive, "") == [key(1), key(3)]
    assert content(archive, key(3)) == b"three"


def test_an_object_of_which_the_reading_breaks_off_is_no_part_of_its_batch(
    archive: Archive,
) -> None:
    """Neither one that can't be read to the end, nor one that nobody wanted to."""

    def broken() -> Iterator[bytes]:
        yield b"half"
        raise EOFError

    with archive.batch() as batch:
        with pytest.raises(EOFError):
            list(batch.take(broken))
        assert list(batch.take(lambda: (b"whole",))) == [b"whole"]
        with closing(batch.take(lambda: (b"left", b"over"))) as left:  # type: ignore[type-var]
            next(left)
        assert list(batch.take(lambda: (b"another",))) == [b"another"]
        assert len(batch.put([key(1), key(2)])) == 2

    assert listed(archive, "") == [key(1), key(2)]
    assert [content(archive, key(n)) for n in (1, 2)] == [b"whole", b"another"]


def test_a_batch_that_is_not_put_leaves_nothing(archive: Archive) -> None:
    """The ledger may fail between the reading and the putting."""
    with archive.batch() as batch:
        for data in (b"one", b"two"):
            list(batch.take(lambda data=data: (data,)))  # type: ignore[misc]

    assert listed(archive, "") == []


def test_the_same_object_again_is_the_same_object(archive: Archive) -> None:
    """A resend after a lost answer: one object, known by the same fingerprint."""
    puts = [archive.put(key(1), (b"same",)) for _ in range(2)]

    assert puts[0] == puts[1]
    assert listed(archive, "objects") == [key(1)]


def test_the_same_content_has_the_same_fingerprint(archive: Archive) -> None:
    """Nothing but the content makes it; other content has another."""
    one, two, three = (
        archive.put(key(n), (data,)) for n, data in enumerate((b"same", b"same", b"other"))
    )

    assert one.fingerprint == two.fingerprint != three.fingerprint


def test_a_sender_that_breaks_off_leaves_nothing(archive: Archive) -> None:
    """Its own exception comes out, small object or big, and nothing is there."""

    def chunks(count: int) -> Iterator[bytes]:
        for _ in range(count):
            yield bytes(MIB)
        raise EOFError

    for count in (1, 12):
        with pytest.raises(EOFError):
            archive.put(key(1), chunks(count))

    assert archive.infos([key(1)]) == {}
    assert not archive.sick


def test_a_missing_object_is_missing(archive: Archive) -> None:
    """Told apart from an archive that fails."""
    with pytest.raises(ObjectMissing):
        content(archive, key(1))
    assert archive.infos([key(1), key(2)]) == {}


def test_only_what_is_there_has_infos(archive: Archive) -> None:
    """Asked in one go, over several folders, in any order and twice."""
    wanted = [key(n, examination=name) for name in ("e2", "e1") for n in range(6)]
    for name in wanted[::2]:
        archive.put(name, (name.encode(),))

    found = archive.infos([*wanted, wanted[0]])

    assert set(found) == set(wanted[::2])
    assert all(info.key == name and info.size_bytes == len(name) for name, info in found.items())


def test_a_list_is_of_one_folder(archive: Archive) -> None:
    """Everything below it, and nothing of a neighbour whose name begins alike."""
    names = [key(1), key(2), key(1, examination="e10"), key(1, folder="quarantine")]
    for name in names:
        archive.put(name, (b"x",))

    assert listed(archive, "objects") == sorted(names[:3])
    assert listed(archive, "objects/e1") == names[:2]
    assert listed(archive, "quarantine") == names[3:]
    assert listed(archive, "objects/e3") == []


def test_a_list_may_leave_out_what_is_old(archive: Archive) -> None:
    """Nothing has changed since a time to come."""
    archive.put(key(1), (b"x",))
    info = archive.infos([key(1)])[key(1)]

    assert [one.key for one in archive.list("objects", changed_since=info.changed_at)] == [key(1)]
    assert list(archive.list("objects", changed_since=info.changed_at + 10_000_000)) == []


def test_a_discarded_object_is_gone(archive: Archive) -> None:
    """It alone, and a missing one is no error; the key may be put again."""
    for n in range(3):
        archive.put(key(n), (b"x",))

    archive.discard([key(0), key(2), key(7)])
    archive.discard([])

    assert listed(archive, "objects") == [key(1)]
    archive.put(key(0), (b"again",))
    assert content(archive, key(0)) == b"again"


def test_an_archive_without_trouble_has_room(archive: Archive) -> None:
    """Nothing is left of a process that was not killed."""
    archive.put(key(1), (b"x",))

    assert archive.has_room()
    assert not archive.sick
    assert archive.discard_unfinished() == 0
