"""What memory one large instance, 10,000 instances and 200 associations take.

Run by hand, at least 18 GB free: `python -m tests.benchmarks.memory [--scale 1]`. Each load meets a
gateway that was just started, with the product's settings but for the caps on associations. A
worker's peak is VmHWM of /proc: what it ever had. Prints a table, and writes JSON with `--json
FILE`. Fails on nothing but a store that is not answered 0x0000.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Barrier
from typing import TypeAlias

from pydicom.uid import MRImageStorage
from rich.progress import track

from tests.benchmarks.pattern import (
    PDU_LENGTH_MAX,
    Pattern,
    pattern_of,
    pattern_of_data_set,
)
from tests.benchmarks.peers.data import make
from tests.benchmarks.peers.processes import Memory, named, peak_bytes
from tests.benchmarks.peers.scenario import MB, MR, MULTI_FRAME, Scenario
from tests.benchmarks.serving import associated, serving
from tests.benchmarks.tables import show
from tests.durability.scu import image
from tests.harness import RunningGateway, wait_until

INSTANCES, ASSOCIATIONS, EACH = 10_000, 200, 5
_EDGES = (8, 32, 64, 96, 128)
_A_STUDY = 500
_OPEN_S, _FILED_S = 60, 600
_FILED = 'tollgate_filings_total{outcome="filed"}'
_CAPS = {
    "TOLLGATE_DICOM__ASSOCIATIONS_MAX": "1000",
    "TOLLGATE_DICOM__ASSOCIATIONS_PER_SOURCE_MAX": "1000",
}


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What a load came to."""

    instances: int
    smallest_bytes: int
    largest_bytes: int


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One load; memory in MB (10^6 bytes)."""

    load: str
    instances: int
    smallest_bytes: int
    largest_bytes: int
    worker_before_mb: float
    """Of the worker that grew most, once it listens and before the first association."""
    worker_peak_mb: float
    worker_grown_mb: float
    filer_grown_mb: float
    """Of the filer that grew most, up to the last instance filed."""
    all_rss_mb: float
    """The largest sum of resident memory of all processes: a page that n share counts n times."""
    all_pss_mb: float
    """The same with a page that n share counted once."""


Load: TypeAlias = Callable[[RunningGateway, Path, float], Sent]


def main() -> None:
    """One load after the other."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.memory", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="share of each load")
    parser.add_argument("--only", choices=sorted(LOADS))
    parser.add_argument("--dir", type=Path, help="where to work")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    names = [name for name in LOADS if arguments.only in {None, name}]
    found = []
    for name in track(names, description="memory"):
        with tempfile.TemporaryDirectory(prefix="memory-", dir=arguments.dir) as folder:
            found.append(measure(name, Path(folder), scale=arguments.scale))
    show("Memory", found, arguments.json)


def measure(name: str, folder: Path, *, scale: float) -> Figures:
    """Start a gateway, send, wait until all of it is filed."""
    with serving(folder / "data", environment=_CAPS) as gateway:
        assert gateway.process is not None
        root = gateway.process.pid
        workers, filers = _peaks(root, "worker-"), _peaks(root, "filer-")
        with Memory(root, shares=True).watched() as memory:
            sent = LOADS[name](gateway, folder, scale)
            wait_until(lambda: gateway.metric(_FILED) >= sent.instances, _FILED_S)
        worker_bytes = _grown(workers)
        filer_bytes = _grown(filers)
    before = workers[worker_bytes.pid]
    return Figures(
        load=name,
        instances=sent.instances,
        smallest_bytes=sent.smallest_bytes,
        largest_bytes=sent.largest_bytes,
        worker_before_mb=before / MB,
        worker_peak_mb=(before + worker_bytes.bytes) / MB,
        worker_grown_mb=worker_bytes.bytes / MB,
        filer_grown_mb=filer_bytes.bytes / MB,
        all_rss_mb=memory.peak_bytes / MB,
        all_pss_mb=memory.peak_proportional_bytes / MB,
    )


@dataclass(frozen=True, kw_only=True)
class Growth:
    """By how much the peak of a process rose."""

    pid: int
    bytes: int


def _peaks(root: int, prefix: str) -> dict[int, int]:
    return {pid: peak_bytes(pid) for pid in named(root, prefix)}


def _grown(before: Mapping[int, int]) -> Growth:
    """Of the process that grew most."""
    grown = [Growth(pid=pid, bytes=peak_bytes(pid) - had) for pid, had in before.items()]
    return max(grown, key=lambda one: one.bytes)


def one_large(gateway: RunningGateway, folder: Path, scale: float) -> Sent:
    """One multi-frame instance of a GB, by DCMTK's storescu."""
    kind = replace(MULTI_FRAME, frames=max(1, round(MULTI_FRAME.frames * scale)))
    (files,) = make(Scenario(kind=kind, associations=1, instances=1), folder)
    done = gateway.sent("-R", "--max-pdu", str(PDU_LENGTH_MAX), "+sd", files)
    assert done.returncode == 0, done.stdout + done.stderr
    size = next(files.iterdir()).stat().st_size
    return Sent(instances=1, smallest_bytes=size, largest_bytes=size)


def many_in_one(gateway: RunningGateway, _: Path, scale: float) -> Sent:
    """MR instances of many sizes, one after the other in one association."""
    instances, chosen = max(1, round(INSTANCES * scale)), patterns()
    association = associated(gateway)
    for number in range(instances):
        association.store(chosen[number % len(chosen)].request(number // _A_STUDY, number))
    association.release()
    return _sent(instances, chosen)


def many_at_once(gateway: RunningGateway, _: Path, scale: float) -> Sent:
    """Associations that are all open before any of them stores, and until all have."""
    count, chosen = max(1, round(ASSOCIATIONS * scale)), patterns()
    opened = [associated(gateway) for _ in range(count)]
    barrier = Barrier(count)

    def store(study: int) -> None:
        barrier.wait(_OPEN_S)
        for number in range(EACH):
            opened[study].store(chosen[number % len(chosen)].request(study, number))

    with ThreadPoolExecutor(count) as threads:
        list(threads.map(store, range(count)))
    for association in opened:
        association.release()
    return _sent(count * EACH, chosen)


def patterns() -> Sequence[Pattern]:
    """MR instances from a few hundred bytes to 34 KB."""
    little = image(1, size_bytes=16).data_set
    little.SOPClassUID, little.Modality = MRImageStorage, "MR"
    sized = (pattern_of(replace(MR, edge=edge)) for edge in _EDGES)
    return [pattern_of_data_set(little), *sized]


def _sent(instances: int, chosen: Sequence[Pattern]) -> Sent:
    sizes = [len(one.data_set) for one in chosen]
    return Sent(instances=instances, smallest_bytes=min(sizes), largest_bytes=max(sizes))


LOADS: Mapping[str, Load] = {
    "1 GB instance": one_large,
    "10,000 in one association": many_in_one,
    "200 associations": many_at_once,
}


if __name__ == "__main__":
    main()
