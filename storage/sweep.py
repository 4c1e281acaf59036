"""Removes objects that a killed process left behind: durable, but never filed nor acknowledged."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from sqlalchemy import select

from storage import tables as t
from storage.ledger import SqlLedger
from storage.view import SqlView

SETTLED_AFTER_S = 3_600.0
"""An object this old is filed or will never be: no store takes longer."""
_STAMP = "swept"


def sweep(ledger: SqlLedger, archive_root: Path) -> int:
    """Remove every unfiled object below `objects/` and `quarantine/`; returns how many.

    Looks only into folders that have changed since the sweep before, less the time in which
    objects were too young to be judged then.
    """
    stamp = archive_root / _STAMP
    since = stamp.stat().st_mtime - 2 * SETTLED_AFTER_S if stamp.exists() else 0.0
    began = time.time()
    removed = 0
    for folder in _changed_folders(archive_root, since):
        with suppress(FileNotFoundError):
            removed += _sweep_folder(ledger, archive_root, folder, settled=began - SETTLED_AFTER_S)
    stamp.touch()
    os.utime(stamp, (began, began))
    return removed


def _changed_folders(root: Path, since: float) -> Iterator[Path]:
    for parent, _, files in os.walk(root):
        folder = Path(parent)
        relative = folder.relative_to(root).parts
        if files and relative and relative[0] in {"objects", "quarantine"}:
            # A folder may go while we walk: the store that discarded its object took it along.
            with suppress(FileNotFoundError):
                if folder.stat().st_mtime >= since:
                    yield folder


def _sweep_folder(ledger: SqlLedger, root: Path, folder: Path, *, settled: float) -> int:
    old = {
        str(Path(entry.path).relative_to(root))
        for entry in os.scandir(folder)
        if entry.is_file() and entry.stat().st_mtime < settled
    }
    with ledger.read() as view:
        if not old - _filed(view, old):
            return 0
    # Judged again and removed as a writer: whoever files one of these keys meanwhile has either
    # committed, and is seen here, or looks for its object after us and finds it gone.
    with ledger.begin() as work:
        unfiled = old - _filed(work, old)
        for key in unfiled:
            (root / key).unlink(missing_ok=True)
    return len(unfiled)


def _filed(view: SqlView, keys: set[str]) -> set[str]:
    """Which of the keys a row names, asked by examination."""
    known: set[str] = set()
    examinations = {key.split("/")[1] for key in keys if key.startswith("objects/")}
    for examination_id in examinations:
        filed = select(t.instances.c.object_key).where(
            t.instances.c.examination_id == examination_id
        )
        known.update(view.connection.execute(filed).scalars())
    if any(key.startswith("quarantine/") for key in keys):
        known.update(view.connection.execute(select(t.conflicts.c.object_key)).scalars())
    return known
