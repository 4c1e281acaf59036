"""Checks the invariants of quota.md §12 in one snapshot, read-only. It repairs nothing.

All but 22, which is the test suite's: that a refused or failed operation changed nothing shows in
no database. 15 is a replay, 19 compares with the anchors that the keeper records day by day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

from sqlalchemy import select, text

from quota.ledger import GRACE
from storage import tables as t
from storage.anchors import anchors_astray
from storage.archive import Archive
from storage.invariants import JOURNAL, Check, Invariant, invariant
from storage.invariants_charges import CHARGES
from storage.invariants_sales import SALES
from storage.replay import episodes_astray, retentions_astray
from storage.replay_burns import burns_astray
from storage.view import SqlView

SHOWN_MAX = 20
"""Rows shown per violated check; all are counted."""

_OBJECTS_AT_ONCE = 1_000

Ids: TypeAlias = Mapping[str, int | str | None]
"""A violating row: names of columns and ids or amounts, no patient data."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Violation:
    """A check that does not hold: how many rows break it, and the first of them."""

    check: Check
    count: int
    rows: tuple[Ids, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What was checked, and what of it does not hold: one violation per failed check."""

    checks: tuple[Check, ...]
    violations: tuple[Violation, ...]

    @property
    def ok(self) -> bool:
        """Whether every check holds."""
        return not self.violations


_ONE_CHARGE = """
SELECT x.id AS examination_id, count(c.id) AS charges
FROM examinations x
JOIN accounts a ON a.id = x.account_id AND a.plan = 'per_exam'
LEFT JOIN meters m ON m.account_id = a.id AND m.name = 'exam'
LEFT JOIN charges c ON c.examination_id = x.id AND c.meter_id = m.id
GROUP BY x.id
HAVING count(c.id) = 0
    OR sum(CASE WHEN c.state IN ('funded', 'owed') THEN 1 ELSE 0 END) > 1
"""

_NO_LONE_CHARGE = """
SELECT c.id AS charge_id, c.meter_id, c.examination_id
FROM charges c
JOIN meters m ON m.id = c.meter_id
LEFT JOIN examinations x ON x.id = c.examination_id AND x.account_id = m.account_id
WHERE x.id IS NULL AND c.state IN ('funded', 'owed')
"""

# Each admission meets the episode that began last before it, found in one pass over both: joined
# by time it would meet every charge once per episode. Only where an episode outlived its grace.
# What was let in without the ledger is owed whatever the state was when it was booked (design §7).
_GRACE_KEPT = """
WITH suspended AS (
    SELECT DISTINCT meter_id FROM episodes WHERE closed_at IS NULL OR closed_at > deadline
), line AS (
    SELECT meter_id, started_at AS at, 0 AS turn, started_at, NULL AS examination_id
    FROM episodes WHERE meter_id IN (SELECT meter_id FROM suspended)
    UNION ALL
    SELECT meter_id, effective_at, 1, NULL, examination_id FROM postings
    WHERE kind = 'charge' AND meter_id IN (SELECT meter_id FROM suspended)
    UNION ALL
    SELECT m.id, x.admitted_at, 1, NULL, x.id
    FROM meters m
    JOIN accounts a ON a.id = m.account_id
        AND m.name = CASE WHEN a.plan = 'per_exam' THEN 'exam' ELSE 'capacity' END
    JOIN examinations x ON x.account_id = a.id
    WHERE m.id IN (SELECT meter_id FROM suspended)
), placed AS (
    SELECT meter_id, at, examination_id,
        max(started_at) OVER (PARTITION BY meter_id ORDER BY at, turn ROWS UNBOUNDED PRECEDING)
            AS began
    FROM line
)
SELECT DISTINCT p.examination_id, p.meter_id, e.deadline
FROM placed p
JOIN episodes e ON e.meter_id = p.meter_id AND e.started_at = p.began
LEFT JOIN examinations v ON v.id = p.examination_id
WHERE p.examination_id IS NOT NULL AND p.at >= e.deadline
    AND (e.closed_at IS NULL OR p.at < e.closed_at) AND v.provisional_at IS NULL
"""

_PACKAGE_SIZE = """
SELECT k.id AS package_id, k.meter_id, k.quantity
FROM packages k
JOIN meters m ON m.id = k.meter_id
JOIN order_lines l ON l.id = k.order_line_id
WHERE k.quantity <> l.quantity OR m.name <> l.meter
    OR (m.name <> 'capacity' AND (k.quantity % 1000 <> 0
        OR k.quantity < CASE WHEN k.unlimited THEN 0 ELSE 1000 END))
    OR (m.name = 'capacity'
        AND (k.quantity < 1000000000000 OR k.quantity % 1000000000000 <> 0))
"""

_EXAMINATION_SIZE = """
SELECT x.id AS examination_id, x.instances, x.bytes, coalesce(i.instances, 0) AS instance_rows,
    coalesce(i.bytes, 0) AS instance_bytes
FROM examinations x
LEFT JOIN (
    SELECT examination_id, count(*) AS instances, sum(size_bytes) AS bytes FROM instances
    GROUP BY examination_id
) i ON i.examination_id = x.id
WHERE x.instances <> coalesce(i.instances, 0) OR x.bytes <> coalesce(i.bytes, 0)
"""

_LEVEL = """
SELECT m.id AS meter_id, m.account_id, m.stored, coalesce(v.bytes, 0) AS moved_bytes,
    coalesce(x.bytes, 0) AS instance_bytes
FROM meters m
LEFT JOIN (SELECT meter_id, sum(delta) AS bytes FROM level_moves GROUP BY meter_id) v
    ON v.meter_id = m.id
LEFT JOIN (SELECT account_id, sum(bytes) AS bytes FROM examinations GROUP BY account_id) x
    ON x.account_id = m.account_id
WHERE m.name = 'capacity'
    AND (m.stored <> coalesce(v.bytes, 0) OR m.stored <> coalesce(x.bytes, 0))
"""

_EXPIRED_EMPTY = """
SELECT k.id AS package_id, k.meter_id, k.remaining
FROM packages k JOIN meters m ON m.id = k.meter_id
WHERE k.expires_at <= m.last_at AND (k.remaining > 0 OR k.ended_at IS NULL)
"""

INVARIANTS: tuple[Invariant, ...] = (
    *JOURNAL,
    *CHARGES,
    invariant(5, "every metered examination has exactly one charge", _ONE_CHARGE),
    invariant(5, "every charge is an examination's of the same account", _NO_LONE_CHARGE),
    invariant(10, "nothing is admitted at or after the deadline of an episode", _GRACE_KEPT),
    *SALES,
    invariant(12, "a package holds what its line sold, in whole thousands or TB", _PACKAGE_SIZE),
    invariant(14, "examinations count their instances and bytes", _EXAMINATION_SIZE),
    invariant(14, "an account's level is the sum of its live instances' bytes", _LEVEL),
    invariant(23, "no package that has expired has units left", _EXPIRED_EMPTY),
)
BURN_ORDER = Check(number=7, name="the package that expires first is burned first")
EPISODES = Check(number=15, name="capacity episodes equal those replayed from history")
JOURNAL_GROWS = Check(number=19, name="the journal is what it was at each anchor, and more")
RETENTIONS = Check(number=21, name="an examination is kept as long as its package says, no less")
OBJECTS = Check(number=13, name="every instance on record has its object, of its size")


Fresh: TypeAlias = Callable[[], AbstractContextManager[SqlView]]
"""Opens a second, later snapshot."""


def verify(view: SqlView, *, archive: Archive | None, fresh: Fresh | None = None) -> Report:
    """Run every check in the given snapshot; the objects only where an archive is given.

    Objects are in no snapshot: one may be deleted, lawfully, while the check runs. With `fresh`, a
    row whose object is astray is looked up once more, and counts only if it is still there.
    """
    results = [(known.check, _rows(view, known.sql)) for known in INVARIANTS]
    results.append((BURN_ORDER, burns_astray(view)))
    results.append((EPISODES, episodes_astray(view)))
    results.append((JOURNAL_GROWS, anchors_astray(view)))
    results.append((RETENTIONS, retentions_astray(view)))
    if archive is not None:
        results.append((OBJECTS, _objects_astray(view, archive, fresh)))
    found = [_violation(check, rows) for check, rows in results]
    return Report(
        checks=tuple(check for check, _ in results),
        violations=tuple(violation for violation in found if violation is not None),
    )


def _violation(check: Check, rows: Iterable[Ids]) -> Violation | None:
    remaining = iter(rows)
    shown = tuple(islice(remaining, SHOWN_MAX))
    if not shown:
        return None
    return Violation(check=check, count=len(shown) + sum(1 for _ in remaining), rows=shown)


def _rows(view: SqlView, sql: str) -> Iterator[Ids]:
    parameters: dict[str, Any] = {"grace": GRACE} if ":grace" in sql else {}
    for row in view.connection.execute(text(sql), parameters).mappings():
        yield dict(row)


def _still_there(fresh: Fresh | None, examination_id: str, object_key: str) -> bool:
    """Looked up by its examination: there is no index of keys, and an archive may be gone."""
    if fresh is None:
        return True
    with fresh() as later:
        return any(
            later.connection.execute(
                select(table.c.examination_id)
                .where(table.c.examination_id == examination_id, table.c.object_key == object_key)
                .limit(1)
            ).first()
            for table in (t.instances, t.conflicts)
        )


def _objects_astray(view: SqlView, archive: Archive, fresh: Fresh | None) -> Iterator[Ids]:
    """Instances and set-aside newcomers whose object is missing or has another size."""
    for table in (t.instances, t.conflicts):
        # By examination, since a remote archive is asked folder by folder.
        statement = select(table.c.examination_id, table.c.object_key, table.c.size_bytes).order_by(
            table.c.examination_id, table.c.object_key
        )
        if table is t.conflicts:
            statement = statement.where(t.conflicts.c.resolved_at.is_(None))
        statement = statement.execution_options(yield_per=_OBJECTS_AT_ONCE)
        for rows in view.connection.execute(statement).partitions():
            found = archive.infos([row.object_key for row in rows])
            for row in rows:
                info = found.get(row.object_key)
                size = None if info is None else info.size_bytes
                if size != row.size_bytes and _still_there(
                    fresh, row.examination_id, row.object_key
                ):
                    yield {
                        "examination_id": row.examination_id,
                        "object_key": row.object_key,
                        "recorded_bytes": row.size_bytes,
                        "object_bytes": size,
                    }
