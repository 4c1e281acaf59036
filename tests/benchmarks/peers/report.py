"""Medians, ratios, the table and the JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks.peers.scenario import GB, MB, Outcome, Scenario

OURS = "tollgate"
_COLUMNS = (
    *("receiver", "answered/s", "ours ×", "filed/s", "ours ×", "MB/s", "p50 ms", "p99 ms"),
    *("CPU s/GB", "peak MB", "largest MB"),
)


def middle(rounds: Sequence[Outcome]) -> Outcome:
    """The median of each figure."""
    figures = [asdict(outcome) for outcome in rounds]
    timed = {name: [one[name] for one in figures] for name in figures[0]}
    medians: dict[str, Any] = {
        name: None if None in values else median(values) for name, values in timed.items()
    }
    return Outcome(**medians)


def show(console: Console, scenario: Scenario, found: Mapping[str, Sequence[Outcome]]) -> None:
    """Print the table of one scenario; `ours ×` is how often faster ours is than that row."""
    table = Table(*_COLUMNS, title=f"{scenario.title}: {scenario.instances:,} instances")
    middles = {name: middle(rounds) for name, rounds in found.items()}
    ours = middles.get(OURS)
    for name, one in middles.items():
        table.add_row(
            name,
            f"{one.answered_per_s:,.1f}",
            _ratio(ours, one, "answered_per_s"),
            f"{one.filed_per_s:,.1f}",
            _ratio(ours, one, "filed_per_s"),
            f"{one.sent_bytes / one.answered_s / MB:,.0f}",
            _time(one.p50_ms),
            _time(one.p99_ms),
            f"{one.cpu_s_per_gb:,.2f}",
            f"{one.peak_rss_bytes / MB:,.0f}",
            f"{one.largest_process_bytes / MB:,.0f}",
        )
    console.print(table)


def _ratio(ours: Outcome | None, other: Outcome, figure: str) -> str:
    if ours is None or ours is other:
        return ""
    return f"{getattr(ours, figure) / getattr(other, figure):.2f}"


def _time(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def write(
    path: Path, found: Mapping[Scenario, Mapping[str, Sequence[Outcome]]], rounds: int
) -> None:
    """Every round of everything, with the machine."""
    text = {
        "machine": {"cores": os.cpu_count(), "system": platform.platform()},
        "rounds": rounds,
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "scenarios": [
            {
                **asdict(scenario),
                "bytes_per_instance": scenario.kind.pixel_bytes,
                "receivers": {
                    name: [{**asdict(one), "gb": one.sent_bytes / GB} for one in outcomes]
                    for name, outcomes in receivers.items()
                },
            }
            for scenario, receivers in found.items()
        ],
    }
    path.write_text(json.dumps(text, indent=2))
