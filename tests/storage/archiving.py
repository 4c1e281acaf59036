"""A process of its own that puts objects into an archive: to be limited, filled up or broken.

Run as `python -m tests.storage.archiving ROOT SIZE...`; prints one word per object: `stored`, or
the name of the error, with `sick` after it where the archive has given up. Sizes with commas
between them are one batch, and one word.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from storage.archive import Archive, Chunk, LocalArchive, PutResult
from storage.errors import StorageError

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 60


def put_batch(archive: Archive, contents: Mapping[str, Iterable[Chunk]]) -> list[PutResult]:
    """Put a batch of objects, by their keys; their chunks are read each time they are wanted."""
    with archive.batch() as batch:
        for chunks in contents.values():
            for _ in batch.take(lambda chunks=chunks: chunks):  # type: ignore[misc]
                pass
        return batch.put(list(contents))


def put_in_a_process(
    archive_root: Path,
    *sizes: int | tuple[int, ...],
    wrapper: Sequence[str] = (),
    file_size_max: int | None = None,
) -> list[str]:
    """Put objects of those sizes into an archive in another process; the words it printed."""

    def limit() -> None:
        if file_size_max is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_size_max, file_size_max))

    words = (",".join(map(str, size if isinstance(size, tuple) else (size,))) for size in sizes)
    command = (*wrapper, sys.executable, "-m", __name__, str(archive_root), *words)
    done = subprocess.run(
        command,
        cwd=ROOT,
        # A byte code file of its own would be the first file that it writes.
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
        preexec_fn=limit,  # no thread of ours holds a lock across this fork
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def _main(archive_root: str, sizes: Sequence[str]) -> None:
    archive = LocalArchive(Path(archive_root))
    for n, text in enumerate(sizes):
        contents = {
            f"objects/e{n}/{index}/{n}.dcm": (b"\xa5" * 4_096,) * (int(size) // 4_096)
            for index, size in enumerate(text.split(","))
        }
        try:
            put_batch(archive, contents)
        except StorageError as error:
            sick = " sick" if archive.sick else ""
            sys.stdout.write(f"{type(error).__name__}{sick}\n")
        else:
            sys.stdout.write("stored\n")


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2:])
