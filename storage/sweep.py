"""Removes objects that a killed process left behind: durable, but never filed nor acknowledged."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice

from sqlalchemy import insert, select

from quota.time import MICROSECONDS_PER_SECOND, Instant
from storage import tables as t
from storage.archive import Archive
from storage.ledger import SqlLedger
from storage.view import SqlView

SETTLED_AFTER_S = 86_400
"""An object this old is filed or will never be: whoever takes longer puts it again first."""
_SETTLED_AFTER = SETTLED_AFTER_S * MICROSECONDS_PER_SECOND
_FOLDERS = ("objects", "quarantine")
_OBJECTS_AT_ONCE = 1_000
_KIND = "sweep"


def sweep(ledger: SqlLedger, archive: Archive, *, now: Instant) -> Iterator[int]:
    """Remove every unfiled object, a slice at each step; yields how many the slice removed.

    `now` is the clock's that dates the objects, not the ledger's. Looks only at what has changed
    since the sweep before, less the time in which objects were too young to be judged then.
    """
    with ledger.read() as view:
        since = _last_began(view) - 2 * _SETTLED_AFTER
    looked_at = 0
    for folder in _FOLDERS:
        listed = archive.list(folder, changed_since=max(since, 0))
        while infos := list(islice(listed, _OBJECTS_AT_ONCE)):
            looked_at += len(infos)
            old = {info.key for info in infos if info.changed_at < now - _SETTLED_AFTER}
            yield _remove_unfiled(ledger, archive, old)
    with ledger.begin() as work:
        done = {"kind": _KIND, "began_at": now, "ended_at": work.clock(), "objects": looked_at}
        work.connection.execute(insert(t.archive_rounds), done)
        work.commit()


def _last_began(view: SqlView) -> Instant:
    last = (
        select(t.archive_rounds.c.began_at)
        .where(t.archive_rounds.c.kind == _KIND)
        .order_by(t.archive_rounds.c.id.desc())
        .limit(1)
    )
    return view.connection.execute(last).scalar_one_or_none() or 0


def _remove_unfiled(ledger: SqlLedger, archive: Archive, keys: Collection[str]) -> int:
    if not keys:
        return 0
    with ledger.read() as view:
        if not unnamed(view, keys):
            return 0
    # Judged again and removed as a writer: whoever files one of these keys meanwhile has either
    # committed, and is seen here, or looks for its object after us and finds it gone.
    with ledger.begin() as work:
        unfiled = unnamed(work, keys)
        archive.discard(sorted(unfiled))
    return len(unfiled)


def unnamed(view: SqlView, keys: Collection[str]) -> set[str]:
    """Which of these keys no row needs, asked by examination: a key names it."""
    remaining = set(keys)
    for examination_id in {key.split("/")[1] for key in keys}:
        for table in (t.instances, t.conflicts):
            named = select(table.c.object_key).where(table.c.examination_id == examination_id)
            if table is t.conflicts:
                named = named.where(t.conflicts.c.resolved_at.is_(None))
            remaining.difference_update(view.connection.execute(named).scalars())
    return remaining
