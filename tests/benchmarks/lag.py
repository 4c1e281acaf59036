"""How long an acknowledged instance waits to be filed, at half of the highest sustained rate.

Run by hand, on a quiet machine: `python -m tests.benchmarks.lag [--scale 1]`. First MR instances of
34 KB go as fast as they are answered, then half as many a second, evenly. What the gateway filed of
each part is read from `tollgate_filing_lag_seconds`; a quantile is the bound of the bucket that it
lies in. Prints a table, and writes JSON with `--json FILE`. Nothing fails on a time.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import threading
import time
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path

from rich.progress import track

from tests.benchmarks.histogram import Histogram
from tests.benchmarks.pattern import pattern_of
from tests.benchmarks.peers.scenario import MR
from tests.benchmarks.peers.wire import Association
from tests.benchmarks.serving import CALLED, CALLING, serving
from tests.benchmarks.tables import show
from tests.harness import RunningGateway

FULL_S, HALF_S = 20.0, 60.0
LAG = "tollgate_filing_lag_seconds"
_A_STUDY = 100
_STUDIES = 100_000
_SPARE_S = 120
_START_S = 60
_STARTING: list[Barrier] = []
"""Of a sender's process: where it waits for the others."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One part."""

    part: str
    associations: int
    seconds: float
    instances: int
    answered_per_s: float
    filed_per_s: float
    """Until the last of them was filed."""
    lag_p50_s: float
    lag_p99_s: float
    lag_mean_s: float


@dataclass(frozen=True, kw_only=True)
class Task:
    """What one association sends: as fast as it can, or one each `every_s`."""

    port: int
    first_study: int
    seconds: float
    every_s: float


def main() -> None:
    """As fast as possible, then half of that."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.lag", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the time")
    parser.add_argument("--associations", type=int, default=4)
    parser.add_argument("--dir", type=Path, help="where to work")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lag-", dir=arguments.dir) as folder:
        found = measure(Path(folder), associations=arguments.associations, scale=arguments.scale)
    show("Filing lag", found, arguments.json)


def measure(folder: Path, *, associations: int, scale: float) -> list[Figures]:
    """Both parts on one gateway; the second begins when all of the first is filed."""
    found: list[Figures] = []
    with serving(folder / "data") as gateway:
        for part, seconds in track((("full", FULL_S), ("half", HALF_S)), description="lag"):
            every_s = 2 * associations / found[0].answered_per_s if found else 0.0
            tasks = [
                Task(
                    port=gateway.dicom_port,
                    first_study=(len(found) * associations + number) * _STUDIES,
                    seconds=seconds * scale,
                    every_s=every_s,
                )
                for number in range(associations)
            ]
            found.append(_part(gateway, part, tasks))
    return found


def _part(gateway: RunningGateway, part: str, tasks: list[Task]) -> Figures:
    before = Histogram.read(gateway.http("/metrics"), LAG)
    instances, began_s, ended_s = send(tasks)
    lag = _filed(gateway, before, instances)
    answered_s, filed_s = ended_s - began_s, time.monotonic() - began_s
    return Figures(
        part=part,
        associations=len(tasks),
        seconds=answered_s,
        instances=instances,
        answered_per_s=instances / answered_s,
        filed_per_s=instances / filed_s,
        lag_p50_s=lag.quantile(0.5),
        lag_p99_s=lag.quantile(0.99),
        lag_mean_s=lag.sum / lag.count,
    )


def _filed(gateway: RunningGateway, before: Histogram, instances: int) -> Histogram:
    """The lags of what was filed since `before`, once all `instances` were."""
    pause, deadline_s = threading.Event(), time.monotonic() + _SPARE_S
    while (lag := Histogram.read(gateway.http("/metrics"), LAG) - before).count < instances:
        assert time.monotonic() < deadline_s, f"{lag.count} of {instances} were filed"
        pause.wait(0.2)
    return lag


def send(tasks: list[Task]) -> tuple[int, float, float]:
    """Each task in a process of its own: how many were answered 0x0000, from when until when."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(len(tasks))
    with context.Pool(len(tasks), initializer=_remember, initargs=(barrier,)) as pool:
        sent = pool.map(_send, tasks, chunksize=1)
    # CLOCK_MONOTONIC is one clock for all processes.
    began_s, ended_s = min(one[1] for one in sent), max(one[2] for one in sent)
    return sum(one[0] for one in sent), began_s, ended_s


def _remember(barrier: Barrier) -> None:
    _STARTING.append(barrier)


def _send(task: Task) -> tuple[int, float, float]:
    pattern = pattern_of(MR)
    association = Association(task.port, called=CALLED, calling=CALLING)
    pause = threading.Event()
    _STARTING[0].wait(_START_S)
    began_s, count = time.monotonic(), 0
    while (now_s := time.monotonic()) < began_s + task.seconds:
        due_s = began_s + count * task.every_s
        if now_s < due_s:
            pause.wait(due_s - now_s)
        association.store(pattern.request(task.first_study + count // _A_STUDY, count))
        count += 1
    ended_s = time.monotonic()
    association.release()
    return count, began_s, ended_s


if __name__ == "__main__":
    main()
