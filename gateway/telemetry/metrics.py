"""Metrics: base units, bounded labels, nobody's name but an account's.

Counters and histograms live here; what the database knows better (balances, open registers) is
read from it at each scrape by `gateway.telemetry.ledger_metrics`.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)

from quota.notice import NoticeKind

ASSOCIATION_OUTCOMES = ("accepted", "rejected", "released", "aborted")
STORE_OUTCOMES = ("stored", "refused", "invalid", "failed")
FILING_OUTCOMES = ("filed", "duplicate", "conflict", "discarded")
CHARGES = ("funded", "owed", "none")
# From 1 ms (a small instance on a fast disk) to half a minute (a gigabyte over a thin line).
_STORE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_LAG_SECONDS = (0.01, 0.05, 0.1, 0.5, 1, 5, 30, 300, 3_600, 86_400)

_Mode: TypeAlias = Literal["livesum", "livemax"]
"""How the values of several workers make one."""

# A `_created` series beside each counter would triple the output and tells nothing that we use.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """The instruments of one gateway, on a registry of their own."""

    def __init__(self, *, version: str, refusal_reasons: tuple[str, ...]) -> None:
        self.registry = CollectorRegistry()
        build = Gauge(
            "tollgate_build_info",
            "The running version.",
            ["version"],
            registry=self.registry,
            multiprocess_mode="livemax",
        )
        build.labels(version=version).set(1)
        self.associations = self._counter(
            "tollgate_associations", "Associations by what became of them.", "outcome"
        )
        self.associations_open = self._gauge(
            "tollgate_associations_open", "Associations established now."
        )
        self.stores = self._counter("tollgate_stores", "C-STORE requests by outcome.", "outcome")
        self._add_filing()
        self.stored_bytes = self._total("tollgate_stored_bytes", "Bytes of stored Part 10 objects.")
        self.store_duration = Histogram(
            "tollgate_store_duration_seconds",
            "From the whole data set received until the answer is handed over.",
            buckets=_STORE_SECONDS,
            registry=self.registry,
        )
        self.admitted = self._counter(
            "tollgate_examinations_admitted", "Examinations admitted, by how paid.", "charge"
        )
        self.let_in = self._total("tollgate_examinations_provisional", "Let in without ledger.")
        self.completed = self._total(
            "tollgate_examinations_completed", "Examinations whose quiet period is over."
        )
        self.refusals = self._counter(
            "tollgate_refusals", "Instances refused by quota, by reason.", "reason"
        )
        self.notices = self._counter("tollgate_notices", "Notices raised, by kind.", "kind")
        self.verify_violations = Gauge(
            "tollgate_verify_violations",
            "Violations that the last verification found; 0 before the first.",
            registry=self.registry,
            multiprocess_mode="mostrecent",
        )
        self.verify_last_run: Gauge | None = None
        # A series that begins at its first event hides that event from rate() and from alerts.
        _begin_at_zero(self.associations, "outcome", ASSOCIATION_OUTCOMES)
        _begin_at_zero(self.stores, "outcome", STORE_OUTCOMES)
        _begin_at_zero(self.admitted, "charge", CHARGES)
        _begin_at_zero(self.refusals, "reason", refusal_reasons)
        _begin_at_zero(self.notices, "kind", tuple(NoticeKind))

    def _add_filing(self) -> None:
        """Instruments of the spool and of what leaves it."""
        self.spool_records = self._gauge(
            "tollgate_spool_records", "Acknowledged instances that are not filed yet."
        )
        self.spool_bytes = self._gauge("tollgate_spool_bytes", "Their bytes.")
        self.spool_limit = self._gauge(
            "tollgate_spool_limit_bytes", "Most that the spools may take of the disk."
        )
        self.spool_age = self._gauge(
            "tollgate_spool_oldest_age_seconds",
            "How long ago the oldest of them was received.",
            mode="livemax",
        )
        self.spool_damages = self._gauge(
            "tollgate_spool_damages", "Acknowledged records that can not be read back."
        )
        self.filings = self._counter(
            "tollgate_filings", "Acknowledged instances that left the spool, as what.", "outcome"
        )
        self.filing_failures = self._total(
            "tollgate_filing_failures", "Batches that could not be filed; they are tried again."
        )
        self.filing_lag = Histogram(
            "tollgate_filing_lag_seconds",
            "From an instance received until it is filed.",
            buckets=_LAG_SECONDS,
            registry=self.registry,
        )
        _begin_at_zero(self.filings, "outcome", FILING_OUTCOMES)

    def ledger_verified(self, *, violations: int, at_s: float) -> None:
        """Note the result of a verification that ended at Unix time `at_s`."""
        self.verify_violations.set(violations)
        if self.verify_last_run is None:
            # Absent until then: a zero would read as "verified in 1970".
            self.verify_last_run = Gauge(
                "tollgate_verify_last_run_timestamp_seconds",
                "When the ledger was last verified.",
                registry=self.registry,
                multiprocess_mode="mostrecent",
            )
        self.verify_last_run.set(at_s)

    def _gauge(self, name: str, text: str, *, mode: _Mode = "livesum") -> Gauge:
        return Gauge(name, text, registry=self.registry, multiprocess_mode=mode)

    def _total(self, name: str, text: str) -> Counter:
        return Counter(name, text, registry=self.registry)

    def _counter(self, name: str, text: str, label: str) -> Counter:
        return Counter(name, text, [label], registry=self.registry)


def _begin_at_zero(counter: Counter, label: str, values: tuple[str, ...]) -> None:
    for value in values:
        counter.labels(**{label: value})
