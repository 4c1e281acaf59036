"""`tollgate notice`: what people are told (§10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import documents_ledger, lookup, output, session, units
from gateway.cli.exam import LIMIT, LimitOption
from gateway.cli.group import examples, noun
from gateway.cli.output import AsJson, Column
from quota.account import EXAM
from quota.notice import NoticeKind

if TYPE_CHECKING:
    from quota.account import Account
    from storage.reports_ledger import NoticeRow

app = noun("What the hospital and the operators are told, and whether it was delivered.")

_COLUMNS = [
    Column(title="raised"),
    Column(title="account"),
    Column(title="kind"),
    Column(title="meter"),
    Column(title="about"),
    Column(title="delivered"),
]
_INSTANTS = ("deadline", "expires_at")
_STYLES = {
    NoticeKind.LOW: "yellow",
    NoticeKind.EMPTY: "yellow",
    NoticeKind.EXPIRING: "yellow",
    NoticeKind.RESUMED: "green",
    NoticeKind.CREDITED: "green",
}


@app.command(
    "list",
    epilog=examples(
        "tollgate notice list --undelivered",
        "tollgate notice list --account 'Lakeside Hospitals' --kind suspended",
    ),
)
def list_(
    context: typer.Context,
    *,
    account: Annotated[
        str | None,
        typer.Option(metavar="ACCOUNT", help="Only those of this account (id or name)."),
    ] = None,
    kind: Annotated[
        NoticeKind | None, typer.Option(help="Only those of this kind.", show_default=False)
    ] = None,
    undelivered: Annotated[
        bool, typer.Option("--undelivered", metavar="", help="Only those nobody was told yet.")
    ] = False,
    limit: LimitOption = LIMIT,
    as_json: AsJson = False,
) -> None:
    """List the latest notices, the newest first."""
    from storage.reports_ledger import notices

    with session.reading(context) as view:
        accounts = {one.id: one for one in view.accounts()}
        account_id = None if account is None else lookup.account(view, account).id
        rows = notices(
            view,
            account_id=account_id,
            kind=None if kind is None else kind.value,
            undelivered_only=undelivered,
            limit=limit + 1,
        )
    output.hint_at_more(len(rows), limit)
    rows = rows[:limit]
    if as_json:
        named = [(row, accounts[row.notice.account_id].name) for row in rows]
        output.document([documents_ledger.notice_document(*pair) for pair in named])
        return
    output.table(
        _COLUMNS,
        [_row(row, accounts[row.notice.account_id]) for row in rows],
        empty="no notices",
    )


def _row(row: NoticeRow, account: Account) -> list[output.Cell]:
    notice = row.notice
    about = [
        f"{name.replace('_', ' ')} {_value(name, value, notice.meter or EXAM, account)}"
        for name, value in notice.details.items()
        if value != ""
    ]
    return [
        units.local(notice.raised_at, account.zone),
        account.name,
        output.styled(notice.kind.replace("_", " "), _STYLES.get(notice.kind, "red")),
        notice.meter or "",
        ", ".join(about),
        units.local(row.delivered_at, account.zone) or "not yet",
    ]


def _value(name: str, value: int | str, meter: str, account: Account) -> str:
    if isinstance(value, str):
        return value
    if name in _INSTANTS:
        return units.local(value, account.zone) if value else "never"
    if name in {"owed", "available", "threshold", "quantity", "remaining"}:
        return units.amount(meter, value)
    return str(value)
