"""Many objects at the cost of two syncs: all of them durable, or the caller puts them again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.archive import LocalArchive, PutResult
from tests.peers import peer
from tests.storage.archiving import put_batch, put_in_a_process
from tests.storage.test_objects_failures import broken, files


def objects(*contents: bytes, folder: str = "objects/e1/0") -> dict[str, tuple[bytes]]:
    """One object per content, in one folder."""
    return {f"{folder}/{n}.dcm": (content,) for n, content in enumerate(contents)}


def test_a_batch_is_its_objects(tmp_path: Path) -> None:
    """Byte for byte, in the order given, private, and nothing else is left."""
    archive = LocalArchive(tmp_path)
    batch = objects(b"one", b"two") | objects(b"three", folder="quarantine/e2/0")
    mask = os.umask(0)
    try:
        results = put_batch(archive, batch)
    finally:
        os.umask(mask)

    assert [result.key for result in results] == list(batch)
    assert [result.size_bytes for result in results] == [3, 3, 5]
    for key, chunks in batch.items():
        path = archive.path(key)
        assert path.read_bytes() == b"".join(chunks)
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert path.parent.parent.stat().st_mode & 0o777 == 0o700
    assert len(files(tmp_path)) == 3


def test_a_batch_knows_its_objects_by_what_a_single_put_would(tmp_path: Path) -> None:
    """The fingerprint is the content's, however it came in."""
    archive = LocalArchive(tmp_path)
    single: PutResult = archive.put("objects/e1/0/0.dcm", (b"sa", memoryview(b"me")))

    batch = put_batch(archive, objects(b"same", b"other"))

    assert batch[0] == single
    assert batch[1].fingerprint != single.fingerprint


def test_a_batch_of_none_is_nothing(tmp_path: Path) -> None:
    """The filer need not ask whether everything was a duplicate."""
    assert put_batch(LocalArchive(tmp_path), {}) == []


def test_a_batch_that_breaks_off_names_nothing(tmp_path: Path) -> None:
    """Whatever ends the reading of one object: none of the batch is there, no half one is left."""
    archive = LocalArchive(tmp_path)

    def chunks() -> Iterator[bytes]:
        yield b"half"
        raise EOFError

    with pytest.raises(EOFError):
        put_batch(archive, {**objects(b"whole"), "objects/e1/0/9.dcm": chunks()})

    assert files(tmp_path) == []
    assert not archive.sick


def test_a_folder_that_goes_during_a_batch_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever discards the only object of a folder takes the folder along, at any moment."""
    archive = LocalArchive(tmp_path)
    batch = objects(b"one", b"two")
    first, second = batch
    rename = os.rename

    def rename_late(temporary: str, target: str) -> None:
        if target.endswith(second) and archive.infos([first]):
            archive.discard([first])
        rename(temporary, target)

    monkeypatch.setattr(os, "rename", rename_late)
    put_batch(archive, batch)

    assert files(tmp_path) == [second]


@pytest.mark.slow
@pytest.mark.peer
def test_a_batch_costs_two_syncs(tmp_path: Path) -> None:
    """One before the names are given and one after: never one per object."""
    trace = tmp_path / "trace"
    calls = "trace=syncfs,fsync,fdatasync,rename"
    strace = (str(peer("strace")), "-f", "-qq", "-o", str(trace), "-e", calls)

    assert put_in_a_process(tmp_path / "a", (4_096,) * 20, wrapper=strace) == ["stored"]

    called = [line.split()[1].partition("(")[0] for line in trace.read_text().splitlines()]
    assert called == ["syncfs", *["rename"] * 20, "syncfs"]


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.parametrize("sync", [1, 2])
def test_a_failed_sync_of_a_batch_is_final(tmp_path: Path, sync: int) -> None:
    """reliability.md §1: either of the two; a single object is refused after it as well."""
    inject = f"inject=syncfs:error=EIO:when={sync}"

    words = put_in_a_process(tmp_path, (4_096, 4_096), 4_096, wrapper=broken(inject))

    assert words == ["ArchiveSick sick"] * 2
    assert [name for name in files(tmp_path) if name.startswith("incoming/")] == []


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.parametrize(
    "inject, word",
    [
        ("write:error=EIO:when=2", "ArchiveUnavailable"),
        ("write:error=ENOSPC:when=2", "ArchiveFull"),
        ("rename:error=EIO:when=2", "ArchiveUnavailable"),
        ("mkdir:error=ENOSPC:when=4", "ArchiveFull"),
        ("syncfs:error=ENOSPC:when=1", "ArchiveFull"),
    ],
)
def test_any_other_failure_of_a_batch_is_not_final(tmp_path: Path, inject: str, word: str) -> None:
    """The same batch put again is stored, whatever the first attempt left under its names."""
    root = tmp_path / "archive"

    words = put_in_a_process(root, (4_096,) * 3, (4_096,) * 3, wrapper=broken(f"inject={inject}"))

    assert words == [word, "stored"]
    assert [name for name in files(root) if name.startswith("incoming/")] == []
