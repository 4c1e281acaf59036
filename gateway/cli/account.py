"""`tollgate account`: who pays, and what is left."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import (
    documents,
    documents_ledger,
    lookup,
    output,
    package,
    picture,
    session,
    units,
    values,
)
from gateway.cli.group import examples, noun
from gateway.cli.output import AsJson, Column
from gateway.cli.problem import Problem
from quota.account import AI_PREFIX, Plan

if TYPE_CHECKING:
    from quota.account import Account
    from quota.service import MeterReading

DEFAULT_TIMEZONE = "Asia/Shanghai"
EPISODES_SHOWN = 20
"""How many episodes of arrears `account show --json` lists, the latest first."""

app = noun("Who pays: accounts, their packages and what is left.")

AccountArgument = Annotated[
    str, typer.Argument(metavar="ACCOUNT", help="The account's id or name.", show_default=False)
]


class PlanOption(StrEnum):
    """How an account buys, as it is typed."""

    PER_EXAM = "per-exam"
    PER_CAPACITY = "per-capacity"

    @property
    def plan(self) -> Plan:
        """The plan meant."""
        return Plan[self.name]


@app.command(
    epilog=examples("tollgate account create 'Lakeside Hospitals' --plan per-exam --agreement A-17")
)
def create(
    context: typer.Context,
    *,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", parser=values.name, help="Its name, not used yet.", show_default=False
        ),
    ],
    plan: Annotated[
        PlanOption, typer.Option(help="How it buys. A plan never changes.", show_default=False)
    ],
    agreement: Annotated[
        str,
        typer.Option(
            metavar="NO",
            parser=values.text,
            help="Number of the signed agreement; without one nothing can be ordered.",
            show_default=False,
        ),
    ],
    timezone: Annotated[
        str,
        typer.Option(
            metavar="ZONE",
            parser=values.time_zone,
            help="By whose calendar its packages expire, as in the IANA database.",
        ),
    ] = DEFAULT_TIMEZONE,
    as_json: AsJson = False,
) -> None:
    """Create an account. Nothing can be uploaded before its first order is credited."""
    with session.writing(context, create=True) as work:
        account = work.add_account(
            name=name, plan=plan.plan, agreement_no=agreement, timezone=timezone
        )
        if account is None:
            raise Problem(f"there is an account named {name!r} already; choose another name")
        document = documents.account_document(account, documents.readings(work, account))
        work.commit()
    if as_json:
        output.document(document)
        return
    output.say(f"account {account.id} created: {name}, {plan}, time zone {timezone}")
    output.hint(f"next: tollgate institution create NAME --account {account.id}")


@app.command("list", epilog=examples("tollgate account list", "tollgate account list --json"))
def list_(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the accounts with their status and what is left."""
    from storage.pending import pending_bytes

    with session.reading(context) as view:
        accounts = [(account, documents.readings(view, account)) for account in view.accounts()]
        pending = pending_bytes(view)
    if as_json:
        output.document(
            [
                documents.account_document(one, meters, pending_bytes=pending.get(one.id, 0))
                for one, meters in accounts
            ]
        )
        return
    columns = [
        Column(title="id", right=True),
        Column(title="name"),
        Column(title="status"),
        Column(title="available", right=True),
        Column(title="used", right=True),
        Column(title="owed", right=True),
        Column(title="what it means"),
        Column(title="plan", optional=True),
        Column(title="agreement", optional=True),
    ]
    output.table(
        columns,
        [_row(account, meters) for account, meters in accounts],
        empty="no accounts yet: tollgate account create NAME --plan per-exam --agreement NO",
    )


def _row(account: Account, meters: dict[str, MeterReading]) -> list[output.Cell]:
    name = account.plan.enforced_meter
    reading = meters[name]
    return [
        str(account.id),
        account.name,
        picture.status(reading.status),
        units.amount(name, reading.available),
        units.amount(name, reading.used),
        units.amount(name, reading.owed),
        picture.meaning(reading, account.zone),
        PlanOption[account.plan.name].value,
        account.agreement_no,
    ]


@app.command(
    epilog=examples("tollgate account show 'Lakeside Hospitals'", "tollgate account show 1 --json")
)
def show(context: typer.Context, *, account: AccountArgument, as_json: AsJson = False) -> None:
    """Show what is available, used and owed, the time left, and the packages."""
    from storage.packages import overview
    from storage.pending import pending_bytes
    from storage.registry import institutions
    from storage.reports_ledger import episodes

    with session.reading(context) as view:
        known = lookup.account(view, account)
        meters = documents.readings(view, known)
        mine = institutions(view, account_id=known.id)
        packages = overview(view, known)
        past = episodes(view, known.id, limit=EPISODES_SHOWN)
        pending = pending_bytes(view).get(known.id, 0)
    if as_json:
        listed = [documents.package_document(stock) for stock in packages.stocks]
        of_arrears = [documents_ledger.episode_document(row) for row in past]
        output.document(
            documents.account_detail(
                known,
                meters,
                mine,
                listed,
                of_arrears,
                more=packages.more,
                pending_bytes=pending,
            )
        )
        return
    plan = PlanOption[known.plan.name].value
    names = [f"{one.name} ({one.id})" for one in mine]
    picture.show_account(known, meters[known.plan.enforced_meter], plan=plan, institutions=names)
    if pending:
        output.facts([("pending", f"{units.size(pending)} acknowledged and not filed yet")])
    picture.show_calls([one for name, one in meters.items() if name.startswith(AI_PREFIX)])
    if packages.stocks:
        output.say("")
        rows = [package.row(stock, known) for stock in packages.stocks]
        output.table(package.COLUMNS, rows, empty="")
    if packages.more:
        output.hint(f"and {packages.more:,} more: tollgate package list --account {known.id}")
    for line in picture.advice(known, meters[known.plan.enforced_meter], names):
        output.hint(line)
