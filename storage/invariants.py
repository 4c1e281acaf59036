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
"""

# The oldest owed charge is settled first: the n-th owed charge of a meter belongs to the offset in
# whose running total n falls.
_CHARGE_CACHE = """
WITH charged AS (
    SELECT p.id, p.meter_id, p.examination_id, p.effective_at, e.package_id,
        CASE WHEN e.package_id IS NULL
            THEN row_number() OVER (PARTITION BY p.meter_id, e.account ORDER BY p.id) END AS n
    FROM postings p
    JOIN entries e ON e.posting_id = p.id AND e.account IN ('package', 'arrears')
    WHERE p.kind = 'charge'
), settled AS (
    SELECT p.meter_id, p.recorded_at, k.package_id, -k.amount AS units,
        sum(-k.amount) OVER (PARTITION BY p.meter_id ORDER BY p.id) AS through
    FROM postings p JOIN entries k ON k.posting_id = p.id AND k.account = 'package'
    WHERE p.kind = 'offset'
), expected AS (
    SELECT c.examination_id, c.meter_id, c.effective_at AS charged_at,
        coalesce(c.package_id, s.package_id) AS package_id, s.recorded_at AS settled_at,
        CASE WHEN coalesce(c.package_id, s.package_id) IS NULL THEN 'owed' ELSE 'funded' END
            AS state
    FROM charged c
    LEFT JOIN settled s
        ON s.meter_id = c.meter_id AND c.n > s.through - s.units AND c.n <= s.through
), recorded AS (
    SELECT examination_id, meter_id, charged_at, package_id, settled_at, state FROM charges
), differing AS (
    SELECT examination_id, meter_id FROM (SELECT * FROM expected EXCEPT SELECT * FROM recorded) e
    UNION
    SELECT examination_id, meter_id FROM (SELECT * FROM recorded EXCEPT SELECT * FROM expected) r
)
SELECT meter_id, examination_id FROM differing
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

_AVAILABLE_AND_OWED = """
SELECT id AS meter_id, last_at AS as_of FROM meters
WHERE name = 'exam' AND available > 0 AND owed > 0
UNION
SELECT meter_id, recorded_at FROM (
    SELECT moved.meter_id, moved.recorded_at,
        sum(moved.available) OVER (PARTITION BY moved.meter_id ORDER BY moved.recorded_at)
            AS available,
        sum(moved.owed) OVER (PARTITION BY moved.meter_id ORDER BY moved.recorded_at) AS owed
    FROM (
        SELECT p.meter_id, p.recorded_at,
            sum(CASE WHEN e.account = 'package' THEN e.amount ELSE 0 END) AS available,
            sum(CASE WHEN e.account = 'arrears' THEN -e.amount ELSE 0 END) AS owed
        FROM postings p
        JOIN meters m ON m.id = p.meter_id AND m.name = 'exam'
        JOIN entries e ON e.posting_id = p.id
        GROUP BY p.meter_id, p.recorded_at
    ) moved
) standing
WHERE available > 0 AND owed > 0
"""

_PACKAGE_CONSERVATION = """
WITH used AS (
    SELECT package_id, count(*) AS units FROM charges
    WHERE state = 'funded' GROUP BY package_id
), lapsed AS (
    SELECT e.package_id, -sum(e.amount) AS units
    FROM entries e JOIN postings p ON p.id = e.posting_id
    WHERE e.account = 'package' AND p.kind = 'expiry' GROUP BY e.package_id
)
SELECT k.id AS package_id, k.meter_id, k.quantity, k.remaining
FROM packages k
JOIN meters m ON m.id = k.meter_id AND m.name = 'exam'
LEFT JOIN used u ON u.package_id = k.id
LEFT JOIN lapsed l ON l.package_id = k.id
WHERE k.voided_at IS NULL
    AND k.quantity <> k.remaining + coalesce(u.units, 0) + coalesce(l.units, 0)
"""

_METER_CONSERVATION = """
SELECT m.id AS meter_id, m.account_id FROM meters m
LEFT JOIN (SELECT meter_id, sum(quantity) AS units FROM packages GROUP BY meter_id) k
    ON k.meter_id = m.id
LEFT JOIN (
    SELECT meter_id, sum(CASE WHEN state = 'funded' THEN 1 ELSE 0 END) AS funded,
        sum(CASE WHEN state = 'owed' THEN 1 ELSE 0 END) AS owed
    FROM charges GROUP BY meter_id
) c ON c.meter_id = m.id
WHERE m.purchased + m.owed + m.written_off
        <> m.available + m.held + m.consumed + m.expired + m.voided
    OR m.purchased <> coalesce(k.units, 0)
    OR (m.name = 'exam' AND (m.consumed - m.owed - m.written_off <> coalesce(c.funded, 0)
        OR m.owed <> coalesce(c.owed, 0)))
"""

_ENTRY_PLACE = """
SELECT e.posting_id, e.line_no, p.meter_id
FROM entries e
JOIN postings p ON p.id = e.posting_id
LEFT JOIN packages k ON k.id = e.package_id
WHERE (e.account = 'package') <> (e.package_id IS NOT NULL) OR k.meter_id <> p.meter_id
"""

# A package can be burned from where its balance leaves 0 to where it is 0 again: a few spans per
# package, so that a charge meets spans and not every earlier charge.
_BURN_ORDER = """
WITH running AS (
    SELECT e.package_id, e.posting_id, e.line_no, e.amount,
        sum(e.amount) OVER (PARTITION BY e.package_id ORDER BY e.posting_id, e.line_no) AS balance
    FROM entries e WHERE e.account = 'package'
), turns AS (
    SELECT package_id, posting_id AS first, balance,
        lead(posting_id) OVER (PARTITION BY package_id ORDER BY posting_id, line_no) AS last
    FROM running WHERE (balance > 0) <> (balance - amount > 0)
), burned AS (
    SELECT p.id, p.meter_id, p.effective_at, e.package_id
    FROM postings p JOIN entries e ON e.posting_id = p.id AND e.account = 'package'
    WHERE p.kind = 'charge' AND e.amount < 0
)
SELECT b.id AS posting_id, b.meter_id, b.package_id, min(better.id) AS better_package_id
FROM packages k
JOIN packages better ON better.meter_id = k.meter_id AND better.id <> k.id
    AND better.expires_at IS NOT NULL
    AND (k.expires_at IS NULL OR better.expires_at < k.expires_at
        OR (better.expires_at = k.expires_at AND better.id < k.id))
JOIN turns s ON s.package_id = better.id AND s.balance > 0
JOIN burned b ON b.package_id = k.id AND b.id > s.first AND (s.last IS NULL OR b.id < s.last)
    AND b.effective_at >= better.effective_at AND b.effective_at < better.expires_at
GROUP BY b.id, b.meter_id, b.package_id
"""

_VALIDITY = """
SELECT p.id AS posting_id, p.meter_id, k.id AS package_id
FROM postings p
JOIN entries e ON e.posting_id = p.id AND e.account = 'package' AND e.amount < 0
JOIN packages k ON k.id = e.package_id
WHERE (p.kind IN ('charge', 'offset') AND (p.effective_at < k.effective_at
        OR p.effective_at >= k.expires_at OR p.effective_at >= k.voided_at))
    OR (p.kind = 'expiry' AND (k.expires_at IS NULL OR p.effective_at <>
        CASE WHEN k.expires_at < k.credited_at THEN k.credited_at ELSE k.expires_at END))
"""

_EPISODES = """
WITH moved AS (
    SELECT p.meter_id, p.recorded_at, sum(-e.amount) AS owed,
        min(CASE WHEN e.amount < 0 THEN p.effective_at END) AS began
    FROM postings p JOIN entries e ON e.posting_id = p.id AND e.account = 'arrears'
    GROUP BY p.meter_id, p.recorded_at
), running AS (
    SELECT moved.*,
        sum(owed) OVER (PARTITION BY meter_id ORDER BY recorded_at) AS owed_after
    FROM moved
), turns AS (
    SELECT running.*,
        lead(recorded_at) OVER (PARTITION BY meter_id ORDER BY recorded_at) AS ends
    FROM running WHERE (owed_after > 0) <> (owed_after - owed > 0)
), expected AS (
    SELECT meter_id, began AS started_at, began + :grace AS deadline, ends AS closed_at
    FROM turns WHERE owed_after > 0
), recorded AS (
    SELECT e.meter_id, e.started_at, e.deadline, e.closed_at
    FROM episodes e JOIN meters m ON m.id = e.meter_id AND m.name = 'exam'
)
SELECT meter_id, started_at FROM (SELECT * FROM expected EXCEPT SELECT * FROM recorded) e
UNION
SELECT meter_id, started_at FROM (SELECT * FROM recorded EXCEPT SELECT * FROM expected) r
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
    invariant(2, "the charges' states equal the journal", _CHARGE_CACHE),
    invariant(3, "a package holds between 0 and its quantity", _PACKAGE_RANGE),
    invariant(4, "nothing is available and owed together", _AVAILABLE_AND_OWED),
    invariant(6, "what a package held is left, used or expired", _PACKAGE_CONSERVATION),
    invariant(6, "what an account bought is left, used or expired", _METER_CONSERVATION),
    invariant(6, "an entry names a package of its own meter, or none", _ENTRY_PLACE),
    invariant(7, "the package that expires first is burned first", _BURN_ORDER),
    invariant(8, "no package is used or expired outside its validity", _VALIDITY),
    invariant(9, "an episode is open while something is owed, for 24 hours", _EPISODES),
    invariant(16, "booked times never run backwards on a meter", _TIME),
)
