"""Metrics that are read from the database and the disk at each scrape, never counted along."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from quota import service
from quota.account import Account
from quota.service import MeterReading
from quota.standing import Status
from quota.time import MICROSECONDS_PER_SECOND
from storage import clock_guard
from storage.damage import damaged_count, round_began
from storage.errors import StorageError
from storage.ledger import SqlLedger
from storage.reports import counts
from storage.spool_register import unseen_count

_BALANCES: Mapping[str, tuple[str, Callable[[MeterReading], int]]] = {
    "purchased": ("Units ever credited.", lambda reading: reading.meter.purchased),
    "available": ("Units that can be used now.", lambda reading: reading.available),
    "used": ("Units used and paid for, or bytes stored.", lambda reading: reading.used),
    "owed": ("Units in arrears.", lambda reading: reading.owed),
    "expired": ("Units that lapsed.", lambda reading: reading.meter.expired),
}


class LedgerCollector(Collector):
    """Balances per account, open registers, database and disk."""

    def __init__(self, ledger: SqlLedger, *, data_dir: Path) -> None:
        self._ledger = ledger
        self._data_dir = data_dir

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand: registering must not ask the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """One snapshot of the ledger; without it, only `tollgate_database_up` 0 and the disk."""
        up = GaugeMetricFamily("tollgate_database_up", "Whether the database answers.")
        try:
            families = list(self._read())
        except StorageError:
            families = []
        up.add_metric([], float(bool(families)))
        yield up
        yield from families
        yield from self._disk()

    def _read(self) -> Iterator[Metric]:
        with self._ledger.read() as view:
            readings = [
                (account, service.read_meter(view, account, account.plan.enforced_meter))
                for account in view.accounts()
            ]
            receiving, refused = counts(view)
            damaged, round_began_at = damaged_count(view), round_began(view)
            unseen = unseen_count(view)
            held = clock_guard.state(view.connection).held_at is not None
        yield GaugeMetricFamily(
            "tollgate_examinations_receiving", "Examinations not complete yet.", value=receiving
        )
        yield GaugeMetricFamily(
            "tollgate_refused_examinations_open",
            "Refused examinations of which instances are still missing.",
            value=refused,
        )
        yield GaugeMetricFamily(
            "tollgate_archive_damaged_objects",
            "Objects on record that are missing or not what was put.",
            value=damaged,
        )
        yield GaugeMetricFamily(
            "tollgate_spools_unseen",
            "Spools that may hold instances and were not seen for 15 minutes.",
            value=unseen,
        )
        yield GaugeMetricFamily(
            "tollgate_clock_held",
            "Whether nothing is booked until somebody has confirmed the clock.",
            value=held,
        )
        if round_began_at is not None:
            yield GaugeMetricFamily(
                "tollgate_archive_scrub_start_timestamp_seconds",
                "When reading the archive again last began; absent before the first time.",
                value=round_began_at / MICROSECONDS_PER_SECOND,
            )
        yield GaugeMetricFamily(
            "tollgate_database_size_bytes",
            "Size of the database.",
            value=self._ledger.database.size_bytes(),
        )
        yield from _balances(readings)
        yield _statuses(readings)
        yield from _episodes(readings)

    def _disk(self) -> Iterator[Metric]:
        usage = shutil.disk_usage(self._data_dir)
        for name, text, value in (
            ("tollgate_disk_size_bytes", "Size of the volume.", usage.total),
            ("tollgate_disk_free_bytes", "Free bytes of the volume.", usage.free),
        ):
            family = GaugeMetricFamily(name, text, labels=["volume"])
            family.add_metric(["data"], value)
            yield family


def _balances(readings: list[tuple[Account, MeterReading]]) -> Iterator[Metric]:
    for balance, (text, value) in _BALANCES.items():
        family = GaugeMetricFamily(f"tollgate_quota_{balance}", text, labels=["account", "meter"])
        for account, reading in readings:
            family.add_metric([account.name, reading.meter.name], value(reading))
        yield family


def _statuses(readings: list[tuple[Account, MeterReading]]) -> Metric:
    family = GaugeMetricFamily(
        "tollgate_quota_status",
        "1 for the status that the account's enforced meter has now.",
        labels=["account", "meter", "status"],
    )
    for account, reading in readings:
        for status in Status:
            family.add_metric(
                [account.name, reading.meter.name, status], float(status is reading.status)
            )
    return family


def _episodes(readings: list[tuple[Account, MeterReading]]) -> Iterator[Metric]:
    started = GaugeMetricFamily(
        "tollgate_quota_arrears_start_timestamp_seconds",
        "When the arrears began; absent while nothing is owed.",
        labels=["account", "meter"],
    )
    deadline = GaugeMetricFamily(
        "tollgate_quota_deadline_timestamp_seconds",
        "When new examinations stop; absent while nothing is owed.",
        labels=["account", "meter"],
    )
    for account, reading in readings:
        if (episode := reading.meter.episode) is not None:
            labels = [account.name, reading.meter.name]
            started.add_metric(labels, episode.started_at / MICROSECONDS_PER_SECOND)
            deadline.add_metric(labels, episode.deadline / MICROSECONDS_PER_SECOND)
    yield started
    yield deadline
