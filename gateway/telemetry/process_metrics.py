"""Processor, memory and descriptors of each process of the gateway, read from /proc at a scrape."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class ProcessesCollector(Collector):
    """One series a process, by its part: `supervisor`, `control`, `worker-0` and so on."""

    def __init__(self, pids: Callable[[], Mapping[str, int]]) -> None:
        self._pids = pids

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand: registering must not read /proc."""
        return []

    def collect(self) -> Iterator[Metric]:
        """What can be read of the processes that run now."""
        labels = ["component"]
        cpu = CounterMetricFamily(
            "tollgate_process_cpu_seconds", "Processor time that it used.", labels=labels
        )
        memory = GaugeMetricFamily(
            "tollgate_process_resident_memory_bytes", "Its resident memory.", labels=labels
        )
        descriptors = GaugeMetricFamily(
            "tollgate_process_open_fds", "File descriptors that it has open.", labels=labels
        )
        for name, pid in self._pids().items():
            # One that ended a moment ago has no series.
            with suppress(OSError):
                folder = Path(f"/proc/{pid}")
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                opened = sum(1 for _ in (folder / "fd").iterdir())
                cpu.add_metric([name], (int(fields[11]) + int(fields[12])) / _TICKS_PER_S)
                memory.add_metric([name], float(int(fields[21]) * _PAGE_BYTES))
                descriptors.add_metric([name], float(opened))
        yield from (cpu, memory, descriptors)
