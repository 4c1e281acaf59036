"""`tollgate refusal`: what was refused, and what is still missing for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import documents, lookup, output, session, units
from gateway.cli.exam import LIMIT, InstitutionOption, LimitOption
from gateway.cli.group import examples, noun
from gateway.cli.output import AsJson, Column

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from storage.reports import RefusalRow

app = noun("What was refused, why, and what has to be sent again.")

_COLUMNS = [
    Column(title="last refused"),
    Column(title="institution"),
    Column(title="device"),
    Column(title="reason"),
    Column(title="refused", right=True),
    Column(title="missing", right=True),
    Column(title="resolved"),
    Column(title="accession", optional=True),
    Column(title="first refused", optional=True),
    Column(title="study instance UID", optional=True),
]


@app.command(
    "list", epilog=examples("tollgate refusal list --open", "tollgate refusal list --json")
)
def list_(
    context: typer.Context,
    *,
    institution: InstitutionOption = None,
    only_open: Annotated[
        bool,
        typer.Option("--open", metavar="", help="Only those of which instances are still missing."),
    ] = False,
    limit: LimitOption = LIMIT,
    as_json: AsJson = False,
) -> None:
    """List the examinations of which instances were refused, the latest first.

    An entry is resolved when every refused instance has been sent again and stored.
    """
    from storage.registry import institutions
    from storage.reports import refusals

    with session.reading(context) as view:
        institution_id = lookup.institution_id(view, institution)
        rows = refusals(view, institution_id=institution_id, open_only=only_open, limit=limit + 1)
        payers = {account.id: account for account in view.accounts()}
        zones = {one.name: payers[one.account_id].zone for one in institutions(view)}
    output.hint_at_more(len(rows), limit)
    rows = rows[:limit]
    if as_json:
        output.document([documents.refusal_document(row) for row in rows])
        return
    output.table(
        _COLUMNS,
        [_row(row, zones[row.institution]) for row in rows],
        empty="no refusals" if not only_open else "no open refusals: nothing is missing",
    )


def _row(row: RefusalRow, zone: ZoneInfo) -> list[output.Cell]:
    return [
        units.local(row.last_at, zone),
        row.institution,
        row.device,
        output.styled(row.reason.replace("_", " "), "red" if row.missing else "dim"),
        units.count(row.refused),
        output.styled(units.count(row.missing), "bold red" if row.missing else "dim"),
        units.local(row.resolved_at, zone),
        row.accession,
        units.local(row.first_at, zone),
        row.study_instance_uid,
    ]
