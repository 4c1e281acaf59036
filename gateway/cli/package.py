"""`tollgate package`: what was bought, and what is left of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import documents, lookup, output, picture, session, units
from gateway.cli.group import examples, noun
from gateway.cli.output import AsJson, Column

if TYPE_CHECKING:
    from quota.account import Account
    from storage.packages import Stock

app = noun("What was bought, and what is left of it.")

COLUMNS = [
    Column(title="package", right=True),
    Column(title="order"),
    Column(title="state"),
    Column(title="left", right=True),
    Column(title="bought", right=True),
    Column(title="use before"),
    Column(title="purchased", optional=True),
]
_LIST_COLUMNS = [
    Column(title="account"),
    Column(title="meter"),
    *COLUMNS,
    Column(title="usable from", optional=True),
    Column(title="stored for", optional=True),
]


@app.command(
    "list",
    epilog=examples(
        "tollgate package list --account 'Lakeside Hospitals'",
        "tollgate package list --account 1 --meter exam --usable --json",
    ),
)
def list_(
    context: typer.Context,
    *,
    account: Annotated[
        str | None,
        typer.Option(metavar="ACCOUNT", help="Only those of this account (id or name)."),
    ] = None,
    meter: Annotated[
        str | None,
        typer.Option(metavar="METER", help="Only those of exam, capacity or ai:PRODUCT."),
    ] = None,
    usable: Annotated[
        bool,
        typer.Option("--usable", metavar="", help="Only what can be used now or later."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List packages: what can be used in the order in which it is, then what is over.

    The package that expires first is used first. One that is `ahead` begins where the package
    that it renews ends. What lapsed or was voided has nothing left.
    """
    from storage.packages import USABLE, stocks

    with session.reading(context) as view:
        owners = view.accounts() if account is None else [lookup.account(view, account)]
        found = [(owner, stock) for owner in owners for stock in stocks(view, owner)]
    found = [
        (owner, stock)
        for owner, stock in found
        if meter in {None, stock.meter} and (not usable or stock.state in USABLE)
    ]
    if as_json:
        output.document(
            [
                {"account": owner.name, "account_id": owner.id} | documents.package_document(stock)
                for owner, stock in found
            ]
        )
        return
    output.table(
        _LIST_COLUMNS,
        [_row(owner, stock) for owner, stock in found],
        empty="no such packages; one comes of an order that is paid: tollgate order place --help",
    )


def _row(account: Account, stock: Stock) -> list[output.Cell]:
    # Capacity is stored for as long as it is there; calls store nothing.
    years = stock.package.storage_years
    return [
        f"{account.name} ({account.id})",
        stock.meter,
        *row(stock, account),
        units.local(stock.package.effective_at, account.zone),
        f"{years} {'year' if years == 1 else 'years'}" if stock.meter == "exam" else "",
    ]


def row(stock: Stock, account: Account) -> list[output.Cell]:
    """One package under COLUMNS."""
    package = stock.package
    return [
        str(package.id),
        stock.order_no,
        picture.package_state(stock.state.value),
        "unlimited" if package.unlimited else units.amount(stock.meter, stock.left),
        "unlimited" if package.unlimited else units.amount(stock.meter, package.quantity),
        units.local(package.expires_at, account.zone) or "no end",
        units.local(package.purchased_at, account.zone),
    ]
