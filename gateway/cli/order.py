"""`tollgate order`: what was bought."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import documents, lookup, output, sales, session, units
from gateway.cli import order_lines as lines
from gateway.cli import order_place as place
from gateway.cli.crediting import await_credit
from gateway.cli.group import examples, noun
from gateway.cli.output import AsJson, Column
from gateway.cli.problem import Problem
from quota.order import OrderState, Rejected

if TYPE_CHECKING:
    from quota.account import Account
    from quota.order import Order

CREDIT_WAIT_S = 10.0
CREDIT_WAIT_MAX_S = 3_600.0
_STATE_STYLES = {
    OrderState.PLACED: "yellow",
    OrderState.PAID: "cyan",
    OrderState.CREDITED: "green",
    OrderState.VOIDED: "red",
}

app = noun("What is bought: orders are placed, paid and credited.")
app.command(epilog=place.EXAMPLES)(place.place)

_COLUMNS = [
    Column(title="order"),
    Column(title="account"),
    Column(title="state"),
    Column(title="lines"),
    Column(title="placed"),
    Column(title="paid", optional=True),
    Column(title="credited", optional=True),
]


@app.command(
    epilog=examples(
        "tollgate order quote --exams 2000 --storage-years 5",
        "tollgate order quote --licence basic --licence mobile --years 2 --json",
    )
)
def quote(
    context: typer.Context,
    *,
    exams: lines.ExamsOption = None,
    storage_years: lines.StorageYearsOption = None,
    capacity_tb: lines.CapacityOption = None,
    years: lines.YearsOption = None,
    months: lines.MonthsOption = None,
    ai: lines.AiOption = None,
    calls: lines.CallsOption = None,
    unlimited: lines.UnlimitedOption = False,
    licence: lines.LicenceOption = None,
    service: lines.ServiceOption = None,
    as_json: AsJson = False,
) -> None:
    """Say what something costs by the catalogue. Nothing is placed, nothing is written."""
    from config import load_catalogue
    from quota import price

    wanted = lines.Wanted(
        exams=exams,
        storage_years=storage_years,
        capacity_tb=capacity_tb,
        years=years,
        months=months,
        ai=ai,
        calls=calls,
        unlimited=unlimited,
        licence=licence,
        service=service,
    )
    catalogue = load_catalogue(session.settings(context))
    quoted = price.quote(wanted.lines(), catalogue)
    if isinstance(quoted, Rejected):
        raise Problem(quoted.message, rule=quoted.rule)
    if as_json:
        output.document(sales.quote_document(quoted))
        return
    output.table(sales.QUOTE_COLUMNS, sales.quote_rows(quoted, catalogue), empty="")


@app.command(epilog=examples("tollgate order pay 2026-0042"))
def pay(
    context: typer.Context,
    *,
    number: Annotated[
        str, typer.Argument(metavar="NO", help="The order's number.", show_default=False)
    ],
    wait: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0,
            max=CREDIT_WAIT_MAX_S,
            help="How long to wait for a running gateway to credit it.",
        ),
    ] = CREDIT_WAIT_S,
    as_json: AsJson = False,
) -> None:
    """Note the payment of an order, and have it credited.

    The running gateway credits the order; where none runs, this command does.
    What is owed is paid off first, and stopped uploads resume by themselves.
    The year of validity counts from the payment. Paying twice changes nothing.
    """
    from quota import service

    with session.opened(context) as ledger:
        with ledger.begin() as work:
            lookup.order(work, number)
            if service.pay(work, number).state is OrderState.VOIDED:
                raise Problem(f"order {number} is taken back: it can't be paid", rule="ORD-2")
            work.commit()
        with output.console(stderr=True).status("waiting for the credit"):
            order = await_credit(ledger, number, wait_s=wait)
        with ledger.read() as view:
            account = view.account(order.account_id)
            available = documents.readings(view, account)[account.plan.enforced_meter].meter
    if as_json:
        output.document(documents.order_document(order, account.name))
    elif order.state is OrderState.CREDITED:
        output.say(f"order {order.number} is credited: {lines.of_order(order)} for {account.name}")
        output.say(
            f"available now {units.amount(available.name, available.available)}, "
            f"owed {units.amount(available.name, available.owed)}"
        )
    else:
        output.say(
            f"order {order.number} is paid; it is not credited yet, the running gateway will do "
            f"so by itself (see: tollgate order list --account {account.id})"
        )


@app.command(
    "list",
    epilog=examples(
        "tollgate order list --account 'Lakeside Hospitals' --state placed",
        "tollgate order list --institution 'Lakeside East' --json",
    ),
)
def list_(
    context: typer.Context,
    *,
    account: Annotated[
        str | None,
        typer.Option(metavar="ACCOUNT", help="Only those of this account (id or name)."),
    ] = None,
    institution: Annotated[
        str | None,
        typer.Option(
            metavar="INSTITUTION",
            help="Only those that name this institution (id or name): ordered by its token, or "
            "for its licences and services.",
        ),
    ] = None,
    state: Annotated[
        OrderState | None, typer.Option(help="Only those in this state.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the orders as they were placed."""
    with session.reading(context) as view:
        accounts = {one.id: one for one in view.accounts()}
        account_id = None if account is None else lookup.account(view, account).id
        owner = lookup.institution_id(view, institution)
        orders = [
            one
            for one in view.orders(account_id)
            if owner in {None, one.institution_id} and state in {None, one.state}
        ]
    if as_json:
        names = {one.id: one.name for one in accounts.values()}
        output.document([documents.order_document(one, names[one.account_id]) for one in orders])
        return
    output.table(
        _COLUMNS,
        [_row(order, accounts[order.account_id]) for order in orders],
        empty="no orders"
        if state or institution
        else "no orders yet: tollgate order place --account ACCOUNT --exams 1000 --order-no NO",
    )


def _row(order: Order, account: Account) -> list[output.Cell]:
    return [
        order.number,
        f"{account.name} ({account.id})",
        output.styled(order.state.value, _STATE_STYLES[order.state]),
        lines.of_order(order),
        *(
            units.local(instant, account.zone)
            for instant in (order.placed_at, order.paid_at, order.credited_at)
        ),
    ]
