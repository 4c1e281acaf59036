"""The outbox of notices: what is still to be told, and that it was (§10)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select, update

from quota.notice import Notice
from storage import tables as t
from storage.rows import notice_of
from storage.view import SqlView
from storage.work import SqlWork


def undelivered(view: SqlView, *, limit: int) -> list[Notice]:
    """Notices that nobody was told yet, the oldest first."""
    statement = (
        select(t.notices)
        .where(t.notices.c.delivered_at.is_(None))
        .order_by(t.notices.c.id)
        .limit(limit)
    )
    return [notice_of(row) for row in view.connection.execute(statement)]


def note_delivered(work: SqlWork, keys: Sequence[str]) -> None:
    """Note that these were told; told twice is possible, never is not (at least once)."""
    work.connection.execute(
        update(t.notices)
        .where(t.notices.c.key.in_(keys), t.notices.c.delivered_at.is_(None))
        .values(delivered_at=work.clock())
    )
