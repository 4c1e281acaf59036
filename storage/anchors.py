"""Anchors: what the journal was at an instant, so that a later look sees whether it only grew.

Triggers refuse changes from within; an anchor finds what was done behind the database's back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from sqlalchemy import func, insert, select

from storage import tables as t
from storage.passing import parts
from storage.view import SqlView
from storage.work import SqlWork


def anchor_journal(work: SqlWork) -> None:
    """Record an anchor of the journal as it stands. An unchanged journal needs no second one."""
    through = work.connection.execute(select(func.max(t.postings.c.id))).scalar_one() or 0
    latest = work.connection.execute(select(func.max(t.anchors.c.through_posting_id))).scalar_one()
    if through == (latest or 0):
        return
    postings, entries, digest = _digest(work, through)
    work.connection.execute(
        insert(t.anchors).values(
            anchored_at=work.clock(),
            through_posting_id=through,
            postings=postings,
            entries=entries,
            digest=digest,
        )
    )


def anchors_astray(view: SqlView) -> Iterator[dict[str, int | str | None]]:
    """Invariant 19: the last anchor, if the journal up to it is not what it was then.

    An anchor covers everything that the earlier ones cover, so the last one is enough.
    """
    last = select(t.anchors).order_by(t.anchors.c.id.desc()).limit(1)
    for anchor in view.connection.execute(last):
        found = _digest(view, anchor.through_posting_id)
        if found != (anchor.postings, anchor.entries, anchor.digest):
            yield {
                "anchor_id": anchor.id,
                "postings": anchor.postings,
                "postings_found": found[0],
                "entries": anchor.entries,
                "entries_found": found[1],
            }


def _digest(view: SqlView, through: int) -> tuple[int, int, str]:
    """How many postings and entries there are up to a posting, and SHA-256 over all of them."""
    digest = hashlib.sha256()
    counts = []
    for table, key in ((t.postings, t.postings.c.id), (t.entries, t.entries.c.posting_id)):
        statement = select(table).where(key <= through).order_by(*table.primary_key.columns)
        count = 0
        # Its parts' size and spelling are what recorded anchors are made of: they can't change.
        for part in parts(view.connection, statement):
            count += len(part)
            digest.update(repr(part).encode())
        counts.append(count)
    return counts[0], counts[1], digest.hexdigest()
