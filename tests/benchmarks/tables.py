"""What a benchmark found, as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


def show(title: str, found: Sequence[Any], json_file: Path | None) -> None:
    """Print one line a figure and one column a run; `found` are dataclasses of one kind.

    The first field names the run. Writes all of them to `json_file`, if there is one.
    """
    first, *others = (field.name for field in fields(found[0]))
    table = Table(first, *(_spelled(getattr(one, first)) for one in found), title=title)
    for name in others:
        table.add_row(name, *(_spelled(getattr(one, name)) for one in found))
    Console().print(table)
    if json_file:
        json_file.write_text(json.dumps([asdict(one) for one in found], indent=2))


def _spelled(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
