"""Metrics of several processes in one exposition: each writes its own files, control adds them up.

prometheus-client decides by an environment variable, once, where values live; this is the one place
that sets it, before the first instrument of a forked gateway is made.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from prometheus_client import CollectorRegistry, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def prepare(folder: Path) -> None:
    """Let the instruments made from now on, here and in forks, be files in `folder`, made empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    os.environ[_VARIABLE] = str(folder)
    values.ValueClass = values.get_value_class()  # type: ignore[no-untyped-call]


def registry() -> CollectorRegistry:
    """What all processes of this gateway have counted."""
    collected = CollectorRegistry()
    MultiProcessCollector(collected)  # type: ignore[no-untyped-call]
    return collected


def forget(pid: int | None) -> None:
    """Drop the gauges of a process that is gone; its counters stay."""
    mark_process_dead(pid)  # type: ignore[no-untyped-call]
