"""`tollgate journal`: what was booked, leg by leg (§3, §11)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import documents_ledger, lookup, output, session, units, values
from gateway.cli.exam import LIMIT, LimitOption
from gateway.cli.group import examples, noun
from gateway.cli.output import AsJson, Column

if TYPE_CHECKING:
    from quota.account import Account
    from storage.reports_ledger import EntryRow, PostingRow

app = noun("What was booked: postings whose entries sum to zero. They never change.")

_COLUMNS = [
    Column(title="posting", right=True),
    Column(title="effective"),
    Column(title="meter"),
    Column(title="kind"),
    Column(title="entries"),
    Column(title="for"),
    Column(title="recorded", optional=True),
]


@app.command(
    "list",
    epilog=examples(
        "tollgate journal list --account 'Lakeside Hospitals' --limit 20",
        "tollgate journal list --exam 01a20164-5b29-70d7-b624-2622f76901ad --json",
    ),
)
def list_(
    context: typer.Context,
    *,
    account: Annotated[
        str | None,
        typer.Option(metavar="ACCOUNT", help="Whose: the account's id or name."),
    ] = None,
    exam: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="Only of this examination: its id, or its Study Instance UID."
        ),
    ] = None,
    meter: Annotated[
        str | None,
        typer.Option(
            metavar="METER", parser=values.text, help="Only of this meter: exam, ai:glaucoma, …"
        ),
    ] = None,
    limit: LimitOption = LIMIT,
    as_json: AsJson = False,
) -> None:
    """List the latest postings of an account or an examination, the newest first."""
    from storage.reports_ledger import postings

    if account is None and exam is None:
        raise typer.BadParameter("give --account or --exam")
    with session.reading(context) as view:
        accounts = {one.id: one for one in view.accounts()}
        account_id = None if account is None else lookup.account(view, account).id
        rows = postings(
            view,
            account_id=account_id,
            meter=meter,
            examination_id=None if exam is None else lookup.examination(view, exam).row.id,
            limit=limit + 1,
        )
    output.hint_at_more(len(rows), limit)
    rows = rows[:limit]
    if as_json:
        output.document([documents_ledger.posting_document(row) for row in rows])
        return
    output.table(
        _COLUMNS,
        [_row(row, accounts[row.account_id]) for row in rows],
        empty="nothing was booked",
    )


def _row(row: PostingRow, account: Account) -> list[output.Cell]:
    return [
        str(row.id),
        units.local(row.effective_at, account.zone),
        row.meter,
        row.kind.replace("_", " "),
        ", ".join(_leg(leg, row.meter) for leg in row.entries),
        row.examination_id or row.order_no or row.hold_key or "",
        units.local(row.recorded_at, account.zone),
    ]


def _leg(leg: EntryRow, meter: str) -> str:
    whose = "" if leg.package_id is None else f" {leg.package_id}"
    sign = "-" if leg.amount < 0 else "+"
    return f"{leg.account}{whose} {sign}{units.amount(meter, abs(leg.amount))}"
