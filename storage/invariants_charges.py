"""Invariants of charges, holds, episodes and what packages became (quota.md §12).

As in `invariants.py`: set-based SQL, violating rows only, a meter judged as of its last T.
"""

from __future__ import annotations

from storage.invariants import invariant

# Debts leave in the order they came, by offset or write-off: the n-th owed charge of a meter
# belongs to the event in whose running total n falls, the next one when both stand in one line; a
# join by ranges would meet every event once per debt. One that was reversed while it was owed is
# counted out altogether: nothing had reached it, and nothing did.
_CHARGE_CACHE = """
WITH made AS (
    SELECT p.id, p.meter_id, p.examination_id, p.effective_at, e.package_id,
        lead(p.id) OVER (PARTITION BY p.meter_id, p.examination_id ORDER BY p.id) AS next_id
    FROM postings p
    JOIN entries e ON e.posting_id = p.id AND e.account IN ('package', 'arrears')
    WHERE p.kind = 'charge'
), taken_back AS (
    SELECT p.id, p.meter_id, p.examination_id, p.recorded_at, e.account
    FROM postings p JOIN entries e ON e.posting_id = p.id AND e.account <> 'consumed'
    WHERE p.kind = 'reversal'
), judged AS (
    SELECT m.*, r.recorded_at AS reversed_at,
        CASE WHEN m.package_id IS NULL AND coalesce(r.account, '') <> 'arrears' THEN 1 ELSE 0 END
            AS in_line
    FROM made m
    LEFT JOIN taken_back r ON r.meter_id = m.meter_id AND r.examination_id = m.examination_id
        AND r.id > m.id AND (m.next_id IS NULL OR r.id < m.next_id)
), charged AS (
    SELECT judged.*, CASE WHEN in_line = 1
        THEN row_number() OVER (PARTITION BY meter_id, in_line ORDER BY id) END AS n
    FROM judged
), settled AS (
    SELECT p.meter_id, p.kind, p.recorded_at, k.package_id,
        sum(a.amount) OVER (PARTITION BY p.meter_id ORDER BY p.id) AS through
    FROM postings p
    JOIN entries a ON a.posting_id = p.id AND a.account = 'arrears'
    LEFT JOIN entries k ON k.posting_id = p.id AND k.account = 'package'
    WHERE p.kind IN ('offset', 'write_off')
), line AS (
    SELECT meter_id, n AS place, 0 AS turn, id, NULL AS through FROM charged WHERE n IS NOT NULL
    UNION ALL
    SELECT meter_id, through, 1, NULL, through FROM settled
), placed AS (
    SELECT id, meter_id, min(through) OVER (
        PARTITION BY meter_id ORDER BY place DESC, turn DESC ROWS UNBOUNDED PRECEDING) AS through
    FROM line
), expected AS (
    SELECT c.examination_id, c.meter_id, c.effective_at AS charged_at,
        coalesce(c.package_id, s.package_id) AS package_id,
        CASE WHEN s.kind = 'offset' THEN s.recorded_at END AS settled_at,
        coalesce(c.reversed_at, CASE WHEN s.kind = 'write_off' THEN s.recorded_at END) AS ended_at,
        CASE WHEN c.reversed_at IS NOT NULL THEN 'reversed'
            WHEN s.kind = 'write_off' THEN 'written_off'
            WHEN coalesce(c.package_id, s.package_id) IS NULL THEN 'owed'
            ELSE 'funded' END AS state
    FROM charged c
    LEFT JOIN placed l ON l.id = c.id
    LEFT JOIN settled s ON s.meter_id = l.meter_id AND s.through = l.through
), both_sides AS (
    SELECT examination_id, meter_id, charged_at, package_id, settled_at, ended_at, state, 1 AS side
    FROM expected
    UNION ALL
    SELECT examination_id, meter_id, charged_at, package_id, settled_at, ended_at, state, -1
    FROM charges
), differing AS (
    SELECT examination_id, meter_id FROM both_sides
    GROUP BY examination_id, meter_id, charged_at, package_id, settled_at, ended_at, state
    HAVING sum(side) <> 0
)
SELECT DISTINCT meter_id, examination_id FROM differing
"""

_PACKAGE_CONSERVATION = """
WITH used AS (
    SELECT package_id, count(*) AS units FROM charges
    WHERE state = 'funded' GROUP BY package_id
), moved AS (
    SELECT e.package_id,
        sum(CASE WHEN e.account = 'package' THEN -e.amount
            WHEN e.account IN ('expired', 'voided') THEN e.amount
            WHEN p.kind IN ('hold', 'release') THEN e.amount ELSE 0 END) AS units
    FROM entries e JOIN postings p ON p.id = e.posting_id
    WHERE e.package_id IS NOT NULL
        AND (e.account <> 'package' OR p.kind IN ('expiry', 'void'))
    GROUP BY e.package_id
)
SELECT k.id AS package_id, k.meter_id, k.quantity, k.remaining
FROM packages k
LEFT JOIN used u ON u.package_id = k.id
LEFT JOIN moved v ON v.package_id = k.id
WHERE k.quantity <> k.remaining + coalesce(u.units, 0) + coalesce(v.units, 0)
"""

_METER_CONSERVATION = """
SELECT m.id AS meter_id, m.account_id FROM meters m
LEFT JOIN (SELECT meter_id, sum(quantity) AS units FROM packages GROUP BY meter_id) k
    ON k.meter_id = m.id
LEFT JOIN (
    SELECT meter_id, sum(CASE WHEN state = 'funded' THEN 1 ELSE 0 END) AS funded,
        sum(CASE WHEN state = 'owed' THEN 1 ELSE 0 END) AS owed,
        sum(CASE WHEN state = 'written_off' THEN 1 ELSE 0 END) AS written_off
    FROM charges GROUP BY meter_id
) c ON c.meter_id = m.id
WHERE m.purchased + m.owed + m.written_off
        <> m.available + m.held + m.consumed + m.expired + m.voided
    OR m.purchased <> coalesce(k.units, 0)
    OR (m.name = 'exam' AND (m.consumed - m.owed - m.written_off <> coalesce(c.funded, 0)
        OR m.owed <> coalesce(c.owed, 0) OR m.written_off <> coalesce(c.written_off, 0)))
"""

# An episode begins as the journal says; what moved it since is on record as well (STATE-1).
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
), first_move AS (
    SELECT episode_id, min(id) AS id FROM episode_moves GROUP BY episode_id
), recorded AS (
    SELECT e.meter_id, coalesce(v.started_before, e.started_at) AS started_at,
        coalesce(v.deadline_before, e.deadline) AS deadline, e.closed_at
    FROM episodes e
    JOIN meters m ON m.id = e.meter_id AND m.name = 'exam'
    LEFT JOIN first_move f ON f.episode_id = e.id
    LEFT JOIN episode_moves v ON v.id = f.id
)
SELECT meter_id, started_at FROM (SELECT * FROM expected EXCEPT SELECT * FROM recorded) e
UNION
SELECT meter_id, started_at FROM (SELECT * FROM recorded EXCEPT SELECT * FROM expected) r
"""

_EPISODE_MOVES = """
WITH chain AS (
    SELECT v.*, e.meter_id, e.started_at AS start_now, e.deadline AS deadline_now, e.closed_at,
        lead(v.started_before) OVER (PARTITION BY v.episode_id ORDER BY v.id) AS next_start,
        lead(v.deadline_before) OVER (PARTITION BY v.episode_id ORDER BY v.id) AS next_deadline
    FROM episode_moves v JOIN episodes e ON e.id = v.episode_id
)
SELECT id AS move_id, episode_id, meter_id FROM chain
WHERE started_at <> coalesce(next_start, start_now)
    OR deadline <> coalesce(next_deadline, deadline_now)
    OR deadline < deadline_before OR started_at < started_before OR moved_at >= closed_at
"""

_HOLDS = """
SELECT m.id AS meter_id, NULL AS hold_id FROM meters m
LEFT JOIN (
    SELECT h.meter_id, sum(s.units) AS units FROM holds h
    JOIN hold_shares s ON s.hold_id = h.id WHERE h.state = 'pending' GROUP BY h.meter_id
) h ON h.meter_id = m.id
WHERE m.held <> coalesce(h.units, 0)
UNION ALL
SELECT h.meter_id, h.id FROM holds h JOIN meters m ON m.id = h.meter_id
WHERE (h.state = 'pending' AND h.expires_at <= m.last_at)
    OR (h.state = 'pending') <> (h.settled_at IS NULL)
    OR h.posted > h.units OR (h.posted > 0) <> (h.state = 'posted')
UNION ALL
SELECT h.meter_id, h.id FROM holds h
LEFT JOIN (
    SELECT s.hold_id, sum(s.units) AS units, sum(CASE WHEN k.unlimited THEN 1 ELSE 0 END) AS free
    FROM hold_shares s JOIN packages k ON k.id = s.package_id GROUP BY s.hold_id
) s ON s.hold_id = h.id
WHERE coalesce(s.units, -1) <> CASE WHEN s.free > 0 THEN 0 ELSE h.units END
"""

_TOLD = """
SELECT e.id AS episode_id, e.meter_id, e.started_at
FROM episodes e
LEFT JOIN (SELECT episode_id, min(id) AS id FROM episode_moves GROUP BY episode_id) f
    ON f.episode_id = e.id
LEFT JOIN episode_moves v ON v.id = f.id
LEFT JOIN notices n ON n.key = 'arrears_started:' || CAST(e.meter_id AS text) || ':'
    || CAST(coalesce(v.started_before, e.started_at) AS text)
WHERE n.id IS NULL
"""

CHARGES = (
    invariant(2, "the charges' states equal the journal", _CHARGE_CACHE),
    invariant(6, "a package's units are left, used, held or lapsed", _PACKAGE_CONSERVATION),
    invariant(6, "what an account bought is left, used, held or lapsed", _METER_CONSERVATION),
    invariant(9, "an episode is open while something is owed, for 24 hours", _EPISODES),
    invariant(9, "an episode's start and deadline are moved by what is on record", _EPISODE_MOVES),
    invariant(17, "what is held is held by pending holds, none past its end", _HOLDS),
    invariant(18, "the beginning of every episode was told", _TOLD),
)
