"""Thirty minutes at a modest rate: nothing grows, and filing keeps up. With `tests/run --full`."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pytest

from tests.benchmarks.histogram import Histogram
from tests.benchmarks.peers.processes import descendants
from tests.durability.aftermath import look, on_record
from tests.durability.figures import record
from tests.durability.scu import Image, image
from tests.durability.senders import Promises, Senders
from tests.durability.site import ready
from tests.durability.test_under_load import resident_bytes, site_in
from tests.harness import RunningGateway, wait_until

SOAK_S = 1_800
SAMPLE_S = 10
SENDERS = 4
IMAGES_PER_STUDY = 200
PAUSE_S = 0.04
"""Of each sender between two images: some 60 a second from all of them."""
LAG_P99_MAX_S = 5
_GROWTH_BYTES_MAX = 32 << 20


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What the gateway holds at a moment."""

    resident_bytes: int
    threads: int
    descriptors: int
    spool_files: int


def sample(gateway: RunningGateway) -> Sample:
    """All its processes together."""
    assert gateway.process is not None
    pids = descendants(gateway.process.pid)
    return Sample(
        resident_bytes=resident_bytes(gateway),
        threads=sum(len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in pids),
        descriptors=sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids),
        spool_files=len(list((gateway.data_dir / "spool").rglob("*"))),
    )


def paced(sender: int, until_s: float) -> Iterator[Image]:
    """Studies of many images, with a pause between two of them, until it is time."""
    never = threading.Event()
    number = 0
    while time.monotonic() < until_s:
        study = sender * 1_000 + number // IMAGES_PER_STUDY
        yield image(study, number % IMAGES_PER_STUDY + 1, size_bytes=34_000)
        number += 1
        never.wait(PAUSE_S)


def lag_p99_s(gateway: RunningGateway) -> float:
    """The bucket's bound below which 99 % of the filings' lags lie."""
    return Histogram.read(gateway.http("/metrics"), "tollgate_filing_lag_seconds").quantile(0.99)


@pytest.mark.full
@pytest.mark.timeout(SOAK_S + 600)
def test_nothing_grows_in_half_an_hour(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Memory, threads, descriptors and files of the last quarter are those of the second."""
    site = site_in(ready(tmp_path / "data"))
    promised = Promises()
    samples: list[Sample] = []
    with RunningGateway(site.data) as gateway:
        until_s = time.monotonic() + SOAK_S
        senders = Senders(gateway.dicom_port, [paced(n, until_s) for n in range(SENDERS)])
        senders.start()
        pause = threading.Event()
        while time.monotonic() < until_s:
            pause.wait(SAMPLE_S)
            samples.append(sample(gateway))
        senders.join()
        promised.add([*senders.acknowledged, *senders.late])
        assert not senders.refused and not senders.unanswered
        owed = set(promised.digest)
        wait_until(lambda: owed <= on_record(site), 60)
        lag_s = lag_p99_s(gateway)
        assert look(site, promised).clean
        assert gateway.stop() == 0
    quarter = len(samples) // 4
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]

    def grown(what: str) -> float:
        before, after = ([float(getattr(one, what)) for one in part] for part in (early, late))
        return median(after) - median(before)

    record(
        request,
        soak_s=SOAK_S,
        acknowledged=len(owed),
        soak_grown_kib=round(grown("resident_bytes") / 1024),
        lost=0,
    )
    assert lag_s <= LAG_P99_MAX_S
    assert grown("resident_bytes") < _GROWTH_BYTES_MAX
    assert grown("threads") <= 2 and grown("descriptors") <= 8 and grown("spool_files") <= 8
