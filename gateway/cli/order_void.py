"""`tollgate order void`: an order taken back (ORD-2, §3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import documents, lookup, output, session, values
from gateway.cli import order as order_noun
from gateway.cli.acts import Actor, Reason, Yes, accepted, confirm
from gateway.cli.group import examples
from gateway.cli.output import AsJson

if TYPE_CHECKING:
    from storage.view import SqlView

app = order_noun.app


@app.command(epilog=examples("tollgate order void 2026-0042 --reason 'placed twice by mistake'"))
def void(
    context: typer.Context,
    *,
    number: Annotated[
        str,
        typer.Argument(
            metavar="NO", parser=values.text, help="The order's number.", show_default=False
        ),
    ],
    reason: Reason,
    actor: Actor,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Take an order back: what is left of its packages lapses. Can't be undone.

    What was used stays used and paid for. An order that is not credited yet never will be.
    Voiding twice changes nothing.
    """
    from quota import correction
    from quota.action import By

    def question(view: SqlView) -> str:
        order = lookup.order(view, number)
        return f"Take back order {order.number}, which is {order.state.value}?"

    confirm(context, question, yes=yes)
    with session.writing(context) as work:
        lookup.order(work, number)
        by = By(actor=actor, reason=reason)
        order = accepted(correction.void_order(work, number, by=by))
        account = work.account(order.account_id)
        work.commit()
    if as_json:
        output.document(documents.order_document(order, account.name))
        return
    output.say(f"order {order.number} of {account.name} is voided")
