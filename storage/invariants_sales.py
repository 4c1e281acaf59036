"""Invariants of what was sold (quota.md §12): one credit per line, terms that don't overlap."""

from __future__ import annotations

from storage.invariants import Invariant, invariant

_ONE_CREDIT = """
WITH became AS (
    SELECT order_line_id, 1 AS package, 0 AS other FROM packages
    UNION ALL SELECT order_line_id, 0, 1 FROM licences
    UNION ALL SELECT order_line_id, 0, 1 FROM services
), k AS (
    SELECT order_line_id, sum(package) AS packages, sum(other) AS others FROM became
    GROUP BY order_line_id
), p AS (
    SELECT order_line_id, count(*) AS credits FROM postings WHERE kind = 'credit'
    GROUP BY order_line_id
), line AS (
    SELECT l.id, l.order_id, l.quantity, o.paid_at, o.credited_at,
        CASE WHEN l.meter LIKE 'licence:%' OR l.meter LIKE 'service:%' THEN 0 ELSE 1 END AS metered
    FROM order_lines l JOIN orders o ON o.id = l.order_id
)
SELECT l.id AS order_line_id, l.order_id, coalesce(k.packages, 0) + coalesce(k.others, 0)
    AS packages, coalesce(p.credits, 0) AS credits
FROM line l
LEFT JOIN k ON k.order_line_id = l.id
LEFT JOIN p ON p.order_line_id = l.id
WHERE coalesce(k.packages, 0) <> CASE WHEN l.credited_at IS NULL THEN 0 ELSE l.metered END
    OR coalesce(k.others, 0) <> CASE WHEN l.credited_at IS NULL THEN 0 ELSE 1 - l.metered END
    OR coalesce(p.credits, 0) <>
        CASE WHEN l.credited_at IS NULL OR l.quantity = 0 THEN 0 ELSE l.metered END
    OR (l.credited_at IS NOT NULL AND l.paid_at IS NULL)
"""

# A licence covers starts_at <= T < its end, the revocation where that comes first.
_TERMS_APART = """
WITH span AS (
    SELECT id, feature, coalesce(institution_id, 0) AS institution_id,
        coalesce(consortium_id, 0) AS consortium_id, starts_at,
        CASE WHEN revoked_at IS NULL OR revoked_at > ends_at
            THEN coalesce(ends_at, 9223372036854775807) ELSE revoked_at END AS over_at
    FROM licences
)
SELECT a.id AS licence_id, b.id AS other_licence_id
FROM span a
JOIN span b ON b.id > a.id AND b.feature = a.feature
    AND b.institution_id = a.institution_id AND b.consortium_id = a.consortium_id
WHERE a.starts_at < a.over_at AND b.starts_at < b.over_at
    AND a.starts_at < b.over_at AND b.starts_at < a.over_at
"""

SALES: tuple[Invariant, ...] = (
    invariant(11, "every credited order line became one package, licence or service", _ONE_CREDIT),
    invariant(20, "no two licences of one scope and feature overlap", _TERMS_APART),
)
