"""`tollgate service`: what people render; delivery, development, maintenance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import documents, lookup, output, session, units
from gateway.cli.acts import Actor
from gateway.cli.group import examples, noun
from gateway.cli.output import AsJson, Column
from gateway.cli.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.cli.documents import Document
    from quota.service_term import BoughtService
    from quota.time import Instant
    from storage.view import SqlView

app = noun("Services: delivery and development until accepted, maintenance for its term.")

_STYLES = {
    "placed": "yellow",
    "accepted": "green",
    "running": "green",
    "lapsed": "red",
    "ended": "dim",
    "cancelled": "red",
}
_COLUMNS = [
    Column(title="service", right=True),
    Column(title="kind"),
    Column(title="for"),
    Column(title="state"),
    Column(title="ends"),
    Column(title="order", optional=True),
    Column(title="accepted", optional=True),
]
ServiceArgument = Annotated[
    int, typer.Argument(metavar="SERVICE", help="The service's id.", show_default=False)
]


@app.command("list", epilog=examples("tollgate service list --account 'Lakeside Hospitals'"))
def list_(
    context: typer.Context,
    *,
    account: Annotated[
        str | None,
        typer.Option(metavar="ACCOUNT", help="Only those of this account (id or name)."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the services. What is placed lapses one year after purchase unless accepted."""
    with session.reading(context) as view:
        account_id = None if account is None else lookup.account(view, account).id
        numbers, at = _order_numbers(view), view.clock()
        listed = [
            (one, _document(view, one, numbers, at=at))
            for one in view.services(account_id=account_id)
        ]
        zones = {one.id: one.zone for one in view.accounts()}
    if as_json:
        output.document([document for _, document in listed])
        return
    rows: list[list[output.Cell]] = [
        [
            str(one.id),
            one.kind.value,
            document["institution"],
            output.styled(document["state"], _STYLES[document["state"]]),
            units.local(one.ends_at, zones[one.account_id]),
            document["order_no"],
            units.local(one.accepted_at, zones[one.account_id]),
        ]
        for one, document in listed
    ]
    output.table(
        _COLUMNS,
        rows,
        empty="no services yet: tollgate order place --account ACCOUNT --service delivery "
        "--order-no NO",
    )


@app.command(epilog=examples("tollgate service show 3"))
def show(context: typer.Context, *, service: ServiceArgument, as_json: AsJson = False) -> None:
    """Show one service."""
    with session.reading(context) as view:
        known = _known(view, service)
        document = _document(view, known, _order_numbers(view), at=view.clock())
    if as_json:
        output.document(document)
        return
    output.facts(
        [(name.replace("_", " "), str(value)) for name, value in document.items() if value]
    )


@app.command(
    epilog=examples("tollgate service accept 3 --reason 'acceptance protocol of 12 May, signed'")
)
def accept(
    context: typer.Context,
    *,
    service: ServiceArgument,
    reason: Annotated[
        str,
        typer.Option(
            metavar="TEXT", help="On what ground, as a protocol; journaled.", show_default=False
        ),
    ] = "accepted by the customer",
    actor: Actor,
    as_json: AsJson = False,
) -> None:
    """Note that the customer accepts a delivery or development; once more changes nothing."""
    from quota import granting
    from quota.order import Rejected

    by = lookup.operator(actor, reason)
    with session.writing(context) as work:
        known, numbers = _known(work, service), _order_numbers(work)
        accepted = granting.accept(work, known, number=numbers[known.order_line_id], by=by)
        if isinstance(accepted, Rejected):
            raise Problem(accepted.message, rule=accepted.rule)
        document = _document(work, accepted, numbers, at=work.clock())
        work.commit()
    if as_json:
        output.document(document)
        return
    output.say(f"service {accepted.id}, {accepted.kind}, is accepted")


def _known(view: SqlView, service_id: int) -> BoughtService:
    known = next((one for one in view.services() if one.id == service_id), None)
    if known is None:
        raise lookup.unknown(
            "service", f"there is no service {service_id}; see: tollgate service list"
        )
    return known


def _order_numbers(view: SqlView) -> dict[int, str]:
    return {line.id: order.number for order in view.orders() for line in order.lines}


def _document(
    view: SqlView, known: BoughtService, numbers: Mapping[int, str], *, at: Instant
) -> Document:
    from storage.registry import institution

    return {
        "id": known.id,
        "kind": known.kind.value,
        "state": known.state(at).value,
        "order_no": numbers[known.order_line_id],
        "account_id": known.account_id,
        "account": view.account(known.account_id).name,
        "institution_id": known.institution_id,
        "institution": institution(view, known.institution_id).name,
        "purchased_at": documents.instant_text(known.purchased_at),
        "credited_at": documents.instant_text(known.credited_at),
        "ends_at": documents.instant_text(known.ends_at),
        "accepted_at": documents.instant_text(known.accepted_at),
        "cancelled_at": documents.instant_text(known.cancelled_at),
    }
