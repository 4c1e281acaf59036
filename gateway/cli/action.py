"""`tollgate action`: who did what, and why (STATE-6)."""

from __future__ import annotations

import typer

from gateway.cli import documents_ledger, output, session, units
from gateway.cli.account import DEFAULT_TIMEZONE
from gateway.cli.exam import LIMIT, LimitOption
from gateway.cli.group import examples, noun
from gateway.cli.output import AsJson, Column

app = noun("What operators did to the ledger: who, when, what, why.")

_COLUMNS = [
    Column(title="when"),
    Column(title="who"),
    Column(title="what"),
    Column(title="to"),
    Column(title="why"),
]


@app.command(
    "list", epilog=examples("tollgate action list --limit 20", "tollgate action list --json")
)
def list_(context: typer.Context, *, limit: LimitOption = LIMIT, as_json: AsJson = False) -> None:
    """List the latest acts of operators, the newest first."""
    from zoneinfo import ZoneInfo

    from storage.reports_ledger import actions

    with session.reading(context) as view:
        rows = actions(view, limit=limit + 1)
    output.hint_at_more(len(rows), limit)
    rows = rows[:limit]
    if as_json:
        output.document([documents_ledger.action_document(row) for row in rows])
        return
    # An act may be on no account: one clock for all, which is written beside each instant.
    zone = ZoneInfo(DEFAULT_TIMEZONE)
    output.table(
        _COLUMNS,
        [
            [
                units.local(row.acted_at, zone),
                row.actor,
                row.action.replace("_", " "),
                row.subject,
                row.reason,
            ]
            for row in rows
        ],
        empty="no operator has acted",
    )
