"""`tollgate order`: what was bought."""

from __future__ import annotations

import shlex
import threading
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import documents, lookup, output, session, units
from gateway.cli.group import examples, noun
from gateway.cli.output import AsJson, Column
from gateway.cli.problem import Problem
from quota.account import CAPACITY, EXAM
from quota.order import TERABYTE, LineRequest, OrderRequest, OrderState, Rejected

if TYPE_CHECKING:
    from quota.account import Account
    from quota.order import Order, OrderLine
    from storage.ledger import SqlLedger

CREDIT_WAIT_S = 10.0
CREDIT_WAIT_MAX_S = 3_600.0
_POLL_INTERVAL_S = 0.1
_STATE_STYLES = {
    OrderState.PLACED: "yellow",
    OrderState.PAID: "cyan",
    OrderState.CREDITED: "green",
}

app = noun("What is bought: orders are placed, paid and credited.")

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
        "tollgate order place --account 1 --exams 2000 --order-no 2026-0042",
        "tollgate order place --account 2 --capacity-tb 1 --years 5 --order-no 2026-0043",
    )
)
def place(
    context: typer.Context,
    *,
    account: Annotated[
        str,
        typer.Option(
            metavar="ACCOUNT", help="For whom: the account's id or name.", show_default=False
        ),
    ],
    exams: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="How many examinations: whole thousands, at least 1,000.",
            show_default=False,
        ),
    ] = None,
    capacity_tb: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="How many TB (10^12 bytes) of capacity: whole TB, at least 1.",
            show_default=False,
        ),
    ] = None,
    years: Annotated[
        int | None,
        typer.Option(metavar="N", help="For how many whole years (default 1); capacity only."),
    ] = None,
    renews: Annotated[
        int | None,
        typer.Option(
            metavar="PACKAGE",
            help="Begin where this capacity package ends: no gap, no double count.",
        ),
    ] = None,
    order_no: Annotated[
        str,
        typer.Option(
            metavar="NO",
            help="Number in the selling system. The same number with the same content again "
            "changes nothing.",
            show_default=False,
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Place an order. Nothing is credited before it is paid."""
    # tidy: long because every option is declared with its help, and is one line of logic
    from quota import service

    line = _line(exams=exams, capacity_tb=capacity_tb, years=years, renews=renews)
    with session.writing(context) as work:
        buyer = lookup.account(work, account)
        request = OrderRequest(number=order_no, account_id=buyer.id, lines=(line,))
        order = service.place(work, request)
        if isinstance(order, Rejected):
            raise Problem(order.message, rule=order.rule)
        work.commit()
    if as_json:
        output.document(documents.order_document(order, buyer.name))
        return
    output.say(f"order {order.number} is {order.state}: {_lines(order)} for {buyer.name}")
    if order.state is OrderState.PLACED:
        output.hint(f"next: tollgate order pay {shlex.quote(order.number)}")


def _line(
    *, exams: int | None, capacity_tb: str | None, years: int | None, renews: int | None
) -> LineRequest:
    """The one line that the options describe."""
    if (exams is None) == (capacity_tb is None):
        raise typer.BadParameter("give one of --exams and --capacity-tb")
    if exams is not None:
        if years is not None or renews is not None:
            raise typer.BadParameter("--years and --renews go with --capacity-tb")
        return LineRequest(meter=EXAM, quantity=exams)
    assert capacity_tb is not None
    return LineRequest(
        meter=CAPACITY,
        quantity=_bytes(capacity_tb),
        years=1 if years is None else years,
        renews_package_id=renews,
    )


def _bytes(capacity_tb: str) -> int:
    """Exact: 1.5 TB is 1.5 x 10^12 bytes, for the rule to refuse, and no float is near it."""
    try:
        amount = Decimal(capacity_tb) * TERABYTE
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount != amount.to_integral_value():
        raise typer.BadParameter(f"--capacity-tb is a number of TB, not {capacity_tb!r}")
    return int(amount)


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
            service.pay(work, number)
            work.commit()
        with output.console(stderr=True).status("waiting for the credit"):
            order = await_credit(ledger, number, wait_s=wait)
        with ledger.read() as view:
            account = view.account(order.account_id)
            available = documents.readings(view, account)[account.plan.enforced_meter].meter
    if as_json:
        output.document(documents.order_document(order, account.name))
    elif order.state is OrderState.CREDITED:
        output.say(f"order {order.number} is credited: {_lines(order)} for {account.name}")
        output.say(
            f"available now {units.amount(available.name, available.available)}, "
            f"owed {units.amount(available.name, available.owed)}"
        )
    else:
        output.say(
            f"order {order.number} is paid; it is not credited yet, the running gateway will do "
            f"so by itself (see: tollgate order list --account {account.id})"
        )


def await_credit(ledger: SqlLedger, number: str, *, wait_s: float) -> Order:
    """Wait up to `wait_s` until the keeper has credited the order; be the keeper if nobody is.

    Returns the order as it then is. Trying for the lock again in each turn covers a gateway that
    ends meanwhile, and another `order pay` that began before this order was paid.
    """
    from gateway.bootstrap import KEEPER_LOCK
    from gateway.keeper import credit_paid_orders

    pause = threading.Event()
    turns_left = int(wait_s / _POLL_INTERVAL_S)
    while True:
        with ledger.database.try_lock(KEEPER_LOCK) as alone:
            if alone:
                credit_paid_orders(ledger, credited=lambda _order: None)
        with ledger.read() as view:
            order = lookup.order(view, number)
        if order.state is OrderState.CREDITED or turns_left == 0:
            return order
        turns_left -= 1
        pause.wait(_POLL_INTERVAL_S)


@app.command("list", epilog=examples("tollgate order list --account 'Lakeside Hospitals'"))
def list_(
    context: typer.Context,
    *,
    account: Annotated[
        str | None,
        typer.Option(metavar="ACCOUNT", help="Only those of this account (id or name)."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the orders as they were placed."""
    with session.reading(context) as view:
        accounts = {one.id: one for one in view.accounts()}
        account_id = None if account is None else lookup.account(view, account).id
        orders = view.orders(account_id)
    if as_json:
        names = {one.id: one.name for one in accounts.values()}
        output.document([documents.order_document(one, names[one.account_id]) for one in orders])
        return
    output.table(
        _COLUMNS,
        [_row(order, accounts[order.account_id]) for order in orders],
        empty="no orders yet: tollgate order place --account ACCOUNT --exams 1000 --order-no NO",
    )


def _row(order: Order, account: Account) -> list[output.Cell]:
    return [
        order.number,
        f"{account.name} ({account.id})",
        output.styled(order.state.value, _STATE_STYLES[order.state]),
        _lines(order),
        *(
            units.local(instant, account.zone)
            for instant in (order.placed_at, order.paid_at, order.credited_at)
        ),
    ]


def _lines(order: Order) -> str:
    return ", ".join(_described(line) for line in order.lines)


def _described(line: OrderLine) -> str:
    amount = units.amount(line.meter, line.quantity)
    if line.meter == EXAM:
        return f"{amount} examinations"
    term = "1 year" if line.years == 1 else f"{line.years} years"
    renewing = "" if line.renews_package_id is None else f", renewing {line.renews_package_id}"
    return f"{amount} for {term}{renewing}"
