"""What a run of the durability suite counts: cuts, kills, acknowledged, lost, doubled …

The numbers go with each test's result, also from another process of pytest-xdist; their sums are
printed at the end of the run (tests/conftest.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest

PREFIX = "durability:"


def record(request: pytest.FixtureRequest, **counts: int) -> None:
    """Put counts beside the test's result."""
    request.node.user_properties.extend(
        (f"{PREFIX}{name}", int(count)) for name, count in counts.items()
    )


def summary(reports: Iterable[pytest.TestReport]) -> str:
    """The sums over a run; empty where nothing was counted."""
    sums: Counter[str] = Counter()
    for report in reports:
        for name, count in report.user_properties:
            if report.when == "call" and name.startswith(PREFIX) and isinstance(count, int):
                sums[name.removeprefix(PREFIX).replace("_", " ")] += count
    return ", ".join(f"{name} {count}" for name, count in sums.items())
