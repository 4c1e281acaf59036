"""Several spools below one root: none is ever orphaned, however many workers there are.

The supervisor deals the directories out before it starts the workers, and each worker opens its
own; a restarted one gets the same again. Where one process does everything, `adopt` is enough.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from storage.spool.errors import SpoolLocked
from storage.spool.spool import Spool


def directories(root: Path) -> list[Path]:
    """Every spool below `root`, held by a process or not, in one fixed order."""
    if not root.is_dir():
        return []
    return sorted(path for path in root.iterdir() if path.is_dir() and _is_uuid(path.name))


def deal(root: Path, workers: int) -> list[list[Path]]:
    """At least one directory for each worker, and every one that exists to somebody.

    New ones are only named here; `Spool.open` makes them.
    """
    found = directories(root)
    while len(found) < workers:
        found.append(root / str(uuid.uuid4()))
    return [found[worker::workers] for worker in range(workers)]


def adopt(root: Path, **options: Any) -> list[Spool]:
    """Open every spool below `root` that nobody holds; make one if there is none.

    `options` are those of `Spool.open`. New records go into the first; all are to be filed from.
    Raises what `Spool.open` raises but SpoolLocked; then none stays open.
    """
    opened: list[Spool] = []
    try:
        for directory in directories(root):
            try:
                opened.append(Spool.open(directory, **options))
            except SpoolLocked:
                continue
        if not opened:
            opened.append(Spool.open(root / str(uuid.uuid4()), **options))
    except BaseException:
        for spool in opened:
            spool.close()
        raise
    return opened


def _is_uuid(name: str) -> bool:
    try:
        return str(uuid.UUID(name)) == name
    except ValueError:
        return False
