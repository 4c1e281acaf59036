"""`tollgate config`: the settings, and where each came from."""

from __future__ import annotations

from dataclasses import asdict

import typer

from gateway.cli import output
from gateway.cli.group import examples, noun
from gateway.cli.output import AsJson, Column

app = noun("The settings: every value, and where it came from.")

_COLUMNS = [
    Column(title="setting"),
    Column(title="value"),
    Column(title="unit"),
    Column(title="from"),
    Column(title="meaning", optional=True),
]


@app.command(epilog=examples("tollgate config show", "tollgate --config site.toml config show"))
def show(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Show every setting with its value and its origin. Secrets are masked."""
    from config import explain

    rows = explain(context.obj)
    if as_json:
        output.document([asdict(row) for row in rows])
        return
    output.table(
        _COLUMNS,
        [
            [
                row.key,
                str(row.value).lower() if isinstance(row.value, bool) else str(row.value),
                row.unit,
                output.styled(row.origin, "dim" if row.origin == "default" else "cyan"),
                row.doc,
            ]
            for row in rows
        ],
        empty="no settings",
    )
