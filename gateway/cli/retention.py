"""`tollgate retention`: what need not be kept any longer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import documents, lookup, output, session, units
from gateway.cli.exam import LIMIT, InstitutionOption, LimitOption
from gateway.cli.group import examples, noun
from gateway.cli.output import AsJson, Column
from gateway.cli.problem import Problem

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from storage.retention import Ended

app = noun("What need not be kept any longer. Nothing is deleted by itself.")

_COLUMNS = [
    Column(title="retention ended"),
    Column(title="account"),
    Column(title="institution"),
    Column(title="admitted"),
    Column(title="instances", right=True),
    Column(title="size", right=True),
    Column(title="kept for"),
    Column(title="examination"),
]


@app.command(
    "list",
    epilog=examples(
        "tollgate retention list --account 'Lakeside Hospitals'",
        "tollgate retention list --limit 500 --before 0198c2a4-7d1e-7b52-9a31-5f2c8c1f6f6e --json",
    ),
)
def list_(
    context: typer.Context,
    *,
    account: Annotated[
        str | None,
        typer.Option(metavar="ACCOUNT", help="Only those of this account (id or name)."),
    ] = None,
    institution: InstitutionOption = None,
    before: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="Go on behind this examination, the last one of the page before."
        ),
    ] = None,
    limit: LimitOption = LIMIT,
    as_json: AsJson = False,
) -> None:
    """List examinations whose retention has ended, the latest end first. No patient is named.

    An examination is kept for the storage years of the package that paid for it, or, where the
    account buys capacity, while a capacity package is active. At the end it is listed here, and
    `tollgate exam delete` deletes it without an override.
    """
    from storage.retention import retention_ended

    with session.reading(context) as view:
        account_id = None if account is None else lookup.account(view, account).id
        institution_id = lookup.institution_id(view, institution)
        rows = retention_ended(
            view,
            limit=limit + 1,
            account_id=account_id,
            institution_id=institution_id,
            before=None if before is None else before.strip(),
        )
        zones = {one.id: one.zone for one in view.accounts()}
    if rows is None:
        raise Problem(f"the retention of {before} has not ended: begin without --before")
    more, rows = len(rows) > limit, rows[:limit]
    if as_json:
        output.document([documents.ended_document(row) for row in rows])
    else:
        output.table(
            _COLUMNS,
            [_row(row, zones[row.account_id]) for row in rows],
            empty="no examination's retention has ended",
        )
    if more:
        output.hint(f"there are more; the next ones: --before {rows[-1].id}")


def _row(row: Ended, zone: ZoneInfo) -> list[output.Cell]:
    return [
        units.local(row.ended_at, zone),
        row.account,
        row.institution,
        units.local(row.admitted_at, zone),
        units.count(row.instances),
        units.size(row.bytes),
        "capacity" if row.retained_until is None else "its term",
        row.id,
    ]
