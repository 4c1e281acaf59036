"""When an examination is complete: its quiet period is over."""

from __future__ import annotations

from sqlalchemy import select, update

from quota.time import Instant
from storage import tables as t
from storage.work import SqlWork


def complete_quiet(work: SqlWork, *, limit: int) -> list[str]:
    """Mark up to `limit` examinations complete whose quiet period is over; returns their ids."""
    now: Instant = work.clock()
    quiet = (
        select(t.examinations.c.id)
        .where(
            t.examinations.c.completed_at.is_(None),
            t.examinations.c.quiet_until <= now,
            # Admitted, and its first instance is still in a spool.
            t.examinations.c.instances > 0,
        )
        .order_by(t.examinations.c.quiet_until)
        .limit(limit)
    )
    statement = (
        update(t.examinations)
        .where(t.examinations.c.id.in_(quiet))
        .values(completed_at=t.examinations.c.quiet_until)
        .returning(t.examinations.c.id)
    )
    return list(work.connection.execute(statement).scalars())
