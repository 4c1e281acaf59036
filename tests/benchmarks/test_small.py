"""Each benchmark of the intake on next to nothing: it runs, and its figures can be believed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks import lag, memory, millionth, start
from tests.benchmarks.histogram import Histogram
from tests.benchmarks.serving import DEFAULTS
from tests.benchmarks.stores import sqlite

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _next_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above all small segments: the first ones are written before a benchmark begins."""
    monkeypatch.setattr(start, "STUDIES", 10)
    monkeypatch.setattr(millionth, "A_TURN", 100)
    monkeypatch.setitem(DEFAULTS, "TOLLGATE_SPOOL__SEGMENT_BYTES", str(1 << 20))


_EXPOSED = """\
# HELP lag_seconds Lag.
lag_seconds_bucket{le="0.5"} 90.0
lag_seconds_bucket{le="1.0"} 99.0
lag_seconds_bucket{le="+Inf"} 100.0
lag_seconds_count 100.0
lag_seconds_sum 42.5
"""


def test_a_start_after_a_crash_finds_the_records(tmp_path: Path) -> None:
    """What the killed process had committed is there, and nothing of it is damaged."""
    (warm,) = start.measure(tmp_path, gb=0.05, leases=4, cold=False)
    assert warm.damages == 0
    assert 0 < warm.records_found <= warm.records
    assert warm.echo_s > 0 and warm.ready_s > 0


def test_memory_is_read_of_the_processes_that_took_the_load(tmp_path: Path) -> None:
    """A page that is shared counts once in one sum, and for each process in the other."""
    figures = memory.measure("200 associations", tmp_path, scale=0.02)
    assert figures.instances == 4 * memory.EACH
    assert figures.worker_before_mb < figures.worker_peak_mb < figures.all_pss_mb
    assert figures.all_pss_mb < figures.all_rss_mb


def test_two_ledgers_take_turns(tmp_path: Path) -> None:
    """Every instance that was sent is on record on either side."""
    with sqlite() as make:
        figures = millionth.measure(make, "SQLite", tmp_path, 1_000, 1)
    assert figures.sent == millionth.A_TURN
    assert figures.filed_mean_ms > figures.answer_mean_ms > 0


def test_the_half_rate_is_half_of_the_full_one(tmp_path: Path) -> None:
    """The senders keep to it, and all that they sent has a lag."""
    full, half = lag.measure(tmp_path, associations=2, scale=0.05)
    assert half.answered_per_s < 0.7 * full.answered_per_s
    assert 0 < half.lag_p50_s <= half.lag_p99_s


def test_a_quantile_is_the_bound_of_its_bucket() -> None:
    """As is what was observed in between two looks."""
    observed = Histogram.read(_EXPOSED, "lag_seconds")
    assert (observed.quantile(0.5), observed.quantile(0.99)) == (0.5, 1.0)
    assert (observed.count, observed.sum) == (100, 42.5)
    assert (observed - observed).count == 0
