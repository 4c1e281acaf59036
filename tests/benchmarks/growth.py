"""What an admission, `account show` and `verify` cost with a long past, beside a short one.

Run by hand: `python -m tests.benchmarks.growth [--charges 1000000] [--packages 10000]`; a few
minutes per database. The two ledgers take turns, a few admissions at a time, so that both see the
same machine. Prints a table, and writes JSON with `--json FILE`. Nothing fails on a time.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.progress import track

from gateway.cli import documents
from gateway.cli.account import EPISODES_SHOWN
from gateway.telemetry.ledger_metrics import LedgerCollector
from quota import service
from quota.account import EXAM, Account
from storage.ledger import SqlLedger
from storage.packages import overview
from storage.registry import institutions
from storage.reports_ledger import episodes
from storage.verify import verify
from tests.benchmarks.filling import fill
from tests.benchmarks.stores import STORES, Maker
from tests.benchmarks.tables import show
from tests.storage.kit import admit

SMALL_CHARGES, SMALL_PACKAGES = 1_000, 10


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What one database came to; times in ms unless they say s."""

    database: str
    charges: int
    packages: int
    fill_s: float
    admission_small_ms: float
    admission_ms: float
    growth: float
    """The cost of an admission with the long past, over its cost with the short one."""
    account_show_small_ms: float
    account_show_ms: float
    metrics_small_ms: float
    metrics_ms: float
    """What a scrape of `/metrics` asks of the ledger."""
    verify_s: float
    violations: int
    peak_mb: int
    """The most memory that this process ever had: `verify` reads the whole journal."""


@dataclass(frozen=True, kw_only=True)
class Past:
    """A filled ledger, and its account."""

    ledger: SqlLedger
    account: Account


def main() -> None:
    """Measure SQLite, then PostgreSQL."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--charges", type=int, default=1_000_000, help="whole thousands")
    parser.add_argument("--packages", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=100, help="of five admissions on each ledger")
    parser.add_argument("--only", choices=sorted(STORES))
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    found = []
    for name, opened in STORES.items():
        if arguments.only in {None, name}:
            with opened() as make:
                found.append(measure(make, name, arguments))
    show("Growth", found, arguments.json)


def measure(make: Maker, name: str, arguments: argparse.Namespace) -> Figures:
    """Fill a small and a large ledger, and compare."""
    small = _past(make(), SMALL_CHARGES, SMALL_PACKAGES)
    began = time.perf_counter()
    large = _past(make(), arguments.charges, arguments.packages)
    filled = time.perf_counter()
    small_admission, admission = _turns(small, large, _admission, arguments.rounds, name)
    small_show, show = _turns(small, large, _show, max(1, arguments.rounds // 5), name)
    small_scrape, scrape = _turns(small, large, _scrape, max(1, arguments.rounds // 5), name)
    verifying = time.perf_counter()
    with large.ledger.read() as view:
        report = verify(view, archive=None)
    return Figures(
        database=name,
        charges=arguments.charges,
        packages=arguments.packages,
        fill_s=filled - began,
        admission_small_ms=small_admission,
        admission_ms=admission,
        growth=admission / small_admission,
        account_show_small_ms=small_show,
        account_show_ms=show,
        metrics_small_ms=small_scrape,
        metrics_ms=scrape,
        verify_s=time.perf_counter() - verifying,
        violations=sum(violation.count for violation in report.violations),
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    )


def _past(ledger: SqlLedger, charges: int, packages: int) -> Past:
    past = Past(ledger=ledger, account=fill(ledger, charges=charges, packages=packages))
    with ledger.begin() as work:
        service.materialise(work, past.account, EXAM)
        work.commit()
    return past


def _turns(
    small: Past, large: Past, step: Callable[[Past, str], None], rounds: int, name: str
) -> tuple[float, float]:
    """The medians of a step on each, in ms, the first tenth left out: it warms up."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in track(range(rounds), description=f"{name}: {step.__name__.strip('_')}"):
        for past, taken in zip((small, large), times, strict=True):
            for again in range(5):
                began = time.perf_counter()
                step(past, f"new-{number}-{again}")
                taken.append(1000 * (time.perf_counter() - began))
    return (
        statistics.median(times[0][len(times[0]) // 10 :]),
        statistics.median(times[1][len(times[1]) // 10 :]),
    )


def _admission(past: Past, name: str) -> None:
    admit(past.ledger, past.account, name)


def _show(past: Past, _: str) -> None:
    with past.ledger.read() as view:
        documents.readings(view, past.account)
        institutions(view, account_id=past.account.id)
        overview(view, past.account)
        episodes(view, past.account.id, limit=EPISODES_SHOWN)


def _scrape(past: Past, _: str) -> None:
    for _family in LedgerCollector(past.ledger, data_dir=Path()).collect():
        pass


if __name__ == "__main__":
    main()
