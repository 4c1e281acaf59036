"""Admissions of new examinations on ONE account from several processes, on both databases.

Run by hand, on a quiet machine: `python -m tests.benchmarks.admissions [--each 500]`.
Each admission is a transaction of its own that is durable when it returns. Prints a table, and
writes JSON with `--json FILE`. Nothing fails on a time.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import TypeAlias

from quota import service
from quota.account import Account
from quota.service import Admitted
from storage.engine import open_database
from storage.ledger import SqlLedger
from storage.schema import migrate
from tests.benchmarks.tables import show
from tests.storage.kit import add_account, reading, top_up, url_of, verified
from tests.storage.server import Server

LIMIT_S = 600
Latencies: TypeAlias = list[float]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What one run came to; times in ms."""

    database: str
    processes: int
    admissions: int
    per_second: float
    p50_ms: float
    p99_ms: float
    maximum_ms: float
    slowest_to_mean: float
    """The slowest process's rate over the mean of all: fairness."""


def main() -> None:
    """Measure SQLite, then PostgreSQL."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--each", type=int, default=500, help="admissions per process")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    found = []
    for name, opened in (("SQLite", _sqlite), ("PostgreSQL", _postgresql)):
        with opened() as ledger:
            found.append(measure(ledger, name, arguments.processes, arguments.each))
    show("Admissions", found, arguments.json)


def measure(ledger: SqlLedger, name: str, processes: int, each: int) -> Figures:
    """Admit `each` examinations from each process at once; half are funded, half are owed."""
    account = add_account(ledger)
    top_up(ledger, account, "SO-1", processes * each // 2)
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(processes)
    results: multiprocessing.Queue[Latencies] = context.Queue()
    running = [
        context.Process(
            target=_admit,
            args=(
                _Task(url=url_of(ledger), account=account, number=number, each=each),
                barrier,
                results,
            ),
        )
        for number in range(processes)
    ]
    for process in running:
        process.start()
    latencies = [results.get(timeout=LIMIT_S) for _ in running]
    for process in running:
        process.join()
    meter = reading(ledger, account).meter
    assert meter.consumed == processes * each, "an admission is missing"
    assert meter.owed == processes * each - processes * each // 2
    # 5: admitted without rows of examinations; 12: a package of a size that nobody could buy.
    assert {violation.check.number for violation in verified(ledger).violations} <= {5, 12}
    return _figures(name, latencies)


def _figures(name: str, latencies: list[Latencies]) -> Figures:
    merged = sorted(latency for one in latencies for latency in one)
    rates = [len(one) / sum(one) for one in latencies]
    return Figures(
        database=name,
        processes=len(latencies),
        admissions=len(merged),
        per_second=sum(rates),
        p50_ms=1000 * statistics.median(merged),
        p99_ms=1000 * merged[len(merged) * 99 // 100],
        maximum_ms=1000 * merged[-1],
        slowest_to_mean=min(rates) / statistics.mean(rates),
    )


@dataclass(frozen=True, kw_only=True)
class _Task:
    url: str
    account: Account
    number: int
    each: int


def _admit(task: _Task, barrier: Barrier, results: multiprocessing.Queue[Latencies]) -> None:
    url, account, number, each = task.url, task.account, task.number, task.each
    with tempfile.TemporaryDirectory() as folder:
        path = Path(url.removeprefix("sqlite:///")).parent if "sqlite" in url else Path(folder)
        ledger = SqlLedger(open_database(url, lock_dir=path))
        latencies: Latencies = []
        barrier.wait()
        for examination in range(each):
            began = time.perf_counter()
            with ledger.begin() as work:
                admission = service.admit(work, account, f"{number}-{examination}")
                assert isinstance(admission, Admitted)
                work.commit()
            latencies.append(time.perf_counter() - began)
        results.put(latencies)
        ledger.database.dispose()


@contextmanager
def _sqlite() -> Iterator[SqlLedger]:
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(f"sqlite:///{folder}/ledger.sqlite3", lock_dir=Path(folder))
        migrate(database)
        yield SqlLedger(database)
        database.dispose()


@contextmanager
def _postgresql() -> Iterator[SqlLedger]:
    with Server() as server:
        ledger = SqlLedger(server.new_database())
        yield ledger
        ledger.database.dispose()


if __name__ == "__main__":
    main()
