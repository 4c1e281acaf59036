"""Which meters have boundaries to book: work for the keeper."""

from __future__ import annotations

from sqlalchemy import select

from storage import tables as t
from storage.view import SqlView


def due_meters(view: SqlView) -> list[tuple[int, str]]:
    """(account id, meter name) of every meter with a boundary that has passed unbooked."""
    now = view.clock()
    statement = (
        select(t.meters.c.account_id, t.meters.c.name)
        .join(t.packages, t.packages.c.meter_id == t.meters.c.id)
        .where(
            t.packages.c.ended_at.is_(None),
            (t.packages.c.expires_at <= now)
            | (t.packages.c.activated_at.is_(None) & (t.packages.c.effective_at <= now)),
        )
        .distinct()
    )
    return [(row.account_id, row.name) for row in view.connection.execute(statement)]
