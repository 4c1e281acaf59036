"""What the gateway exports: the one list that rules and dashboard are held against."""

from collections.abc import Mapping

_STATUSES = ("closed", "unprovisioned", "suspended", "arrears", "empty", "low", "ok")

KNOWN_METRICS: frozenset[str] = frozenset(
    {
        "tollgate_build_info",
        "tollgate_associations_total",
        "tollgate_associations_open",
        "tollgate_stores_total",
        "tollgate_stored_bytes_total",
        "tollgate_archive_damaged_objects",
        "tollgate_archive_scrub_start_timestamp_seconds",
        # A histogram is known by the three names of its series.
        "tollgate_store_duration_seconds_bucket",
        "tollgate_store_duration_seconds_count",
        "tollgate_store_duration_seconds_sum",
        "tollgate_examinations_admitted_total",
        "tollgate_clock_held",
        "tollgate_examinations_completed_total",
        "tollgate_examinations_provisional_total",
        "tollgate_examinations_receiving",
        "tollgate_refusals_total",
        "tollgate_notices_total",
        "tollgate_refused_examinations_open",
        "tollgate_quota_purchased",
        "tollgate_quota_available",
        "tollgate_quota_used",
        "tollgate_quota_owed",
        "tollgate_quota_expired",
        "tollgate_quota_arrears_start_timestamp_seconds",
        "tollgate_quota_deadline_timestamp_seconds",
        "tollgate_quota_status",
        "tollgate_filings_total",
        "tollgate_filing_failures_total",
        *(f"tollgate_filing_lag_seconds_{part}" for part in ("bucket", "count", "sum")),
        "tollgate_spool_records",
        "tollgate_spool_bytes",
        "tollgate_spool_limit_bytes",
        "tollgate_spool_oldest_age_seconds",
        "tollgate_spool_damages",
        "tollgate_spools_unseen",
        "tollgate_database_up",
        "tollgate_database_size_bytes",
        "tollgate_disk_size_bytes",
        "tollgate_disk_free_bytes",
        "tollgate_verify_violations",
        "tollgate_verify_last_run_timestamp_seconds",
        "tollgate_process_cpu_seconds_total",
        "tollgate_process_open_fds",
        "tollgate_process_resident_memory_bytes",
    }
)

MADE_BY_PROMETHEUS: frozenset[str] = frozenset({"up", "ALERTS"})
"""Series that Prometheus itself writes about its targets and its rules."""

LABEL_VALUES: Mapping[str, frozenset[str]] = {
    "charge": frozenset({"funded", "owed", "none"}),
    "outcome": frozenset(
        {
            *("accepted", "rejected", "released", "aborted"),
            *("stored", "refused", "invalid", "failed"),
            *("filed", "duplicate", "conflict", "discarded"),
        }
    ),
    "reason": frozenset({"grace_over", "unprovisioned", "account_closed"}),
    "status": frozenset(_STATUSES),
    "volume": frozenset({"data"}),
    "kind": frozenset(
        {
            *("low", "empty", "arrears_started", "suspension_near", "suspended", "resumed"),
            *("expiring", "first_refusal", "credited"),
        }
    ),
}
"""Every value of the labels whose values are a fixed list."""
