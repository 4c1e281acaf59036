"""The archive when the disk is full or lies: nothing is acknowledged, nothing is left behind."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers import peer
from tests.storage.archiving import put_in_a_process

MIB = 1024 * 1024


def files(root: Path) -> list[str]:
    """Every file below `root` that an archive put there."""
    found = (path for path in root.rglob("*") if path.is_file())
    return sorted(str(path.relative_to(root)) for path in found)


def broken(inject: str) -> tuple[str, ...]:
    """A wrapper under which a system call fails."""
    return (str(peer("strace")), "-f", "-qq", "-o", "/dev/null", "-e", inject)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """An ext4 of 8 MiB, mounted from a file; never tmpfs, whose disk is never full in this way."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small ext4 needs root")
    image, folder = tmp_path / "disk", tmp_path / "mounted"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(8 * MIB)
    mkfs = subprocess.run(
        ("mkfs.ext4", "-q", "-F", "-m", "0", str(image)), capture_output=True, check=False
    )
    mount = subprocess.run(
        ("mount", "-o", "loop", str(image), str(folder)), capture_output=True, check=False
    )
    if mkfs.returncode != 0 or mount.returncode != 0:
        pytest.skip(f"a small ext4 can't be mounted here: {mount.stderr.decode().strip()}")
    yield folder
    subprocess.run(("umount", str(folder)), check=True)


@pytest.mark.slow
def test_a_full_disk_refuses_and_recovers(small_disk: Path) -> None:
    """ArchiveFull, no half file, and a smaller object is welcome as soon as there is room."""
    words = put_in_a_process(small_disk, 2 * MIB, 2 * MIB, 20 * MIB, 2 * MIB, 20 * MIB, 4_096)

    assert words == ["stored", "stored", "ArchiveFull", words[3], "ArchiveFull", "stored"]
    stored = [n for n, word in enumerate(words) if word == "stored"]
    assert files(small_disk) == [f"objects/e{n}/0/{n}.dcm" for n in stored]

    (small_disk / "objects/e0/0/0.dcm").unlink()
    assert put_in_a_process(small_disk, MIB) == ["stored"]


@pytest.mark.slow
def test_an_object_beyond_the_file_size_limit_is_refused(tmp_path: Path) -> None:
    """EFBIG is answered like a full disk: this object never fits, the next one may.

    The last write is cut short first and fails only then: half a write is no object.
    """
    words = put_in_a_process(tmp_path, MIB, 2 * MIB + 4_096, MIB, file_size_max=2 * MIB + 100)

    assert words == ["stored", "ArchiveFull", "stored"]
    assert files(tmp_path) == ["objects/e0/0/0.dcm", "objects/e2/0/2.dcm"]


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.parametrize("sync", range(1, 10))
def test_a_failed_sync_is_final(tmp_path: Path, sync: int) -> None:
    """reliability.md §1: after the first EIO of any sync nothing more is acknowledged.

    The first object syncs itself, three new folders' names and its own; the second one its two
    folders' only: nine syncs, and any of them may be the one that fails.
    """
    inject = f"inject=fsync,fdatasync:error=EIO:when={sync}"

    words = put_in_a_process(tmp_path, 4_096, 4_096, 4_096, wrapper=broken(inject))

    before = 0 if sync <= 5 else 1
    assert words == ["stored"] * before + ["ArchiveSick sick"] * (3 - before)
    assert [name for name in files(tmp_path) if name.startswith("incoming/")] == []


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.parametrize(
    "inject, word",
    [
        ("write:error=EIO:when=1", "ArchiveUnavailable"),
        ("write:error=ENOSPC:when=1", "ArchiveFull"),
        ("rename:error=EIO:when=1", "ArchiveUnavailable"),
        ("mkdir:error=ENOSPC:when=4", "ArchiveFull"),
        ("fsync:error=ENOSPC:when=1", "ArchiveFull"),
        ("fsync:error=EDQUOT:when=1", "ArchiveFull"),
    ],
)
def test_any_other_failure_is_told_and_not_final(tmp_path: Path, inject: str, word: str) -> None:
    """Only a sync that failed for no known reason is final; the next object is tried."""
    root = tmp_path / "archive"

    words = put_in_a_process(root, 4_096, 4_096, wrapper=broken(f"inject={inject}"))

    assert words == [word, "stored"]
    assert [name for name in files(root) if name.startswith("incoming/")] == []
