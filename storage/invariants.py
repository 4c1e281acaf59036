"""Invariants of the journal and of what is derived from it (quota.md §12): queries of no rows.

Plain set-based SQL that SQLite and PostgreSQL both understand; it names ids and amounts, never a
patient. A transaction on a meter has its own instant (TIME-1), so (meter_id, recorded_at) names it.
What is due and not booked yet breaks nothing: a meter is judged as of its last T.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One named check; `number` is the invariant's in quota.md §12. Several may share one."""

    number: int
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Invariant:
    """A check and the query that returns the rows violating it."""

    check: Check
    sql: str


def invariant(number: int, name: str, sql: str) -> Invariant:
    """Invariant `number` of quota.md §12, said in a sentence, with its query."""
    return Invariant(check=Check(number=number, name=name), sql=sql)


_SUM_ZERO = """
SELECT p.id AS posting_id, p.meter_id, sum(e.amount) AS total
FROM postings p LEFT JOIN entries e ON e.posting_id = p.id
GROUP BY p.id, p.meter_id
HAVING coalesce(sum(e.amount), 1) <> 0
"""

_METER_CACHE = """
WITH journal AS (
    SELECT p.meter_id,
        -sum(CASE WHEN e.account = 'issued' THEN e.amount ELSE 0 END) AS purchased,
        sum(CASE WHEN e.account = 'package' THEN e.amount ELSE 0 END) AS available,
        sum(CASE WHEN e.account = 'held' THEN e.amount ELSE 0 END) AS held,
        sum(CASE WHEN e.account = 'consumed' THEN e.amount ELSE 0 END) AS consumed,
        -sum(CASE WHEN e.account = 'arrears' THEN e.amount ELSE 0 END) AS owed,
        sum(CASE WHEN e.account = 'expired' THEN e.amount ELSE 0 END) AS expired,
        sum(CASE WHEN e.account = 'voided' THEN e.amount ELSE 0 END) AS voided,
        -sum(CASE WHEN e.account = 'written_off' THEN e.amount ELSE 0 END) AS written_off
    FROM postings p JOIN entries e ON e.posting_id = p.id
    GROUP BY p.meter_id
), active AS (
    SELECT meter_id, sum(quantity) AS quantity FROM packages
    WHERE ended_at IS NULL AND activated_at IS NOT NULL GROUP BY meter_id
)
SELECT m.id AS meter_id, m.account_id
FROM meters m
LEFT JOIN journal j ON j.meter_id = m.id
LEFT JOIN active a ON a.meter_id = m.id
WHERE m.purchased <> coalesce(j.purchased, 0) OR m.available <> coalesce(j.available, 0)
    OR m.held <> coalesce(j.held, 0) OR m.consumed <> coalesce(j.consumed, 0)
    OR m.owed <> coalesce(j.owed, 0) OR m.expired <> coalesce(j.expired, 0)
    OR m.voided <> coalesce(j.voided, 0) OR m.written_off <> coalesce(j.written_off, 0)
    OR m.active_quantity <> coalesce(a.quantity, 0)
"""

_PACKAGE_CACHE = """
SELECT k.id AS package_id, k.meter_id, k.remaining, coalesce(j.balance, 0) AS journal
FROM packages k
JOIN meters m ON m.id = k.meter_id
LEFT JOIN (
    SELECT package_id, sum(amount) AS balance FROM entries
    WHERE account = 'package' GROUP BY package_id
) j ON j.package_id = k.id
WHERE k.remaining <> coalesce(j.balance, 0)
    OR (k.ended_at IS NOT NULL AND k.voided_at IS NULL
        AND (k.expires_at IS NULL OR k.expires_at > m.last_at OR k.ended_at <>
            CASE WHEN k.expires_at < k.credited_at THEN k.credited_at ELSE k.expires_at END))
    OR (k.voided_at IS NOT NULL AND (k.ended_at IS NULL OR k.ended_at <> k.voided_at))
"""

_PACKAGE_RANGE = """
SELECT k.id AS package_id, k.meter_id, k.remaining AS balance, k.quantity FROM packages k
WHERE k.remaining < 0 OR k.remaining > k.quantity
UNION
SELECT package_id, meter_id, min(balance), quantity FROM (
    SELECT e.package_id, k.meter_id, k.quantity,
        sum(e.amount) OVER (PARTITION BY e.package_id ORDER BY e.posting_id, e.line_no) AS balance
    FROM entries e JOIN packages k ON k.id = e.package_id
    WHERE e.account = 'package'
) running
WHERE balance < 0 OR balance > quantity
GROUP BY package_id, meter_id, quantity
"""

# Ordered by T, a window's frame ends with the last row of the same T: when all of it is booked.
_AVAILABLE_AND_OWED = """
SELECT id AS meter_id, last_at AS as_of FROM meters
WHERE name = 'exam' AND available > 0 AND owed > 0
UNION
SELECT meter_id, recorded_at FROM (
    SELECT p.meter_id, p.recorded_at,
        sum(CASE WHEN e.account = 'package' THEN e.amount ELSE 0 END) OVER booked AS available,
        sum(CASE WHEN e.account = 'arrears' THEN -e.amount ELSE 0 END) OVER booked AS owed
    FROM postings p
    JOIN meters m ON m.id = p.meter_id AND m.name = 'exam'
    JOIN entries e ON e.posting_id = p.id AND e.account IN ('package', 'arrears')
    WINDOW booked AS (PARTITION BY p.meter_id ORDER BY p.recorded_at)
) standing
WHERE available > 0 AND owed > 0
"""

_ENTRY_PLACE = """
SELECT e.posting_id, e.line_no, p.meter_id
FROM entries e
JOIN postings p ON p.id = e.posting_id
LEFT JOIN packages k ON k.id = e.package_id
WHERE (e.account IN ('package', 'held') AND e.package_id IS NULL)
    OR (e.account NOT IN ('package', 'held', 'expired', 'voided') AND e.package_id IS NOT NULL)
    OR k.meter_id <> p.meter_id
"""

_VALIDITY = """
SELECT p.id AS posting_id, p.meter_id, k.id AS package_id
FROM postings p
JOIN entries e ON e.posting_id = p.id AND e.account = 'package'
JOIN packages k ON k.id = e.package_id
WHERE (p.kind IN ('charge', 'offset', 'hold', 'reversal', 'release')
        AND (p.effective_at < k.effective_at OR p.effective_at >= k.expires_at
            OR p.effective_at >= k.voided_at))
    OR (p.kind = 'expiry' AND (k.expires_at IS NULL OR p.effective_at <>
        CASE WHEN k.expires_at < k.credited_at THEN k.credited_at ELSE k.expires_at END))
    OR (p.kind = 'void' AND (k.voided_at IS NULL OR p.effective_at <> k.voided_at))
"""

_TIME = """
SELECT id AS posting_id, meter_id FROM (
    SELECT p.id, p.meter_id, p.effective_at, p.recorded_at, m.last_at,
        lag(p.effective_at) OVER (PARTITION BY p.meter_id ORDER BY p.id) AS effective_before,
        lag(p.recorded_at) OVER (PARTITION BY p.meter_id ORDER BY p.id) AS recorded_before
    FROM postings p JOIN meters m ON m.id = p.meter_id
) booked
WHERE effective_at > recorded_at OR recorded_at > last_at
    OR effective_at < effective_before OR recorded_at < recorded_before
"""

JOURNAL = (
    invariant(1, "every transaction sums to zero", _SUM_ZERO),
    invariant(2, "the meters' balances equal the journal", _METER_CACHE),
    invariant(2, "the packages' balances and ends equal the journal", _PACKAGE_CACHE),
    invariant(3, "a package holds between 0 and its quantity", _PACKAGE_RANGE),
    invariant(4, "nothing is available and owed together", _AVAILABLE_AND_OWED),
    invariant(6, "an entry names a package of its own meter, or none", _ENTRY_PLACE),
    invariant(8, "no package is used or expired outside its validity", _VALIDITY),
    invariant(16, "booked times never run backwards on a meter", _TIME),
)
