"""`tollgate ai`: calls set aside, used, given back; no call without one (§8, AI)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import documents_ledger, lookup, output, session, units, values
from gateway.cli.acts import accepted
from gateway.cli.exam import LIMIT, LimitOption
from gateway.cli.group import examples, noun
from gateway.cli.output import AsJson, Column
from gateway.cli.problem import Problem
from quota.account import AI_PREFIX
from quota.hold import HOLD_TTL_S_MAX, HOLD_UNITS_MAX, HoldState, NotHeld

if TYPE_CHECKING:
    from quota.account import Account
    from quota.hold import Hold
    from storage.reports_ledger import HoldRow
    from storage.view import SqlView

TTL_S = 600
RULE = "AI"

app = noun("AI calls: set aside before use, then posted or voided. A hard stop, no arrears.")

AccountOption = Annotated[
    str,
    typer.Option(metavar="ACCOUNT", help="Who pays: the account's id or name.", show_default=False),
]
ProductOption = Annotated[
    str,
    typer.Option(
        metavar="PRODUCT",
        parser=values.product,
        help="The AI product, as it was bought: glaucoma, say.",
        show_default=False,
    ),
]
KeyOption = Annotated[
    str,
    typer.Option(
        metavar="KEY",
        parser=values.text,
        help="The caller's own key of this hold. The same again gets the first answer again.",
        show_default=False,
    ),
]
KeyArgument = Annotated[
    str,
    typer.Argument(
        metavar="KEY", parser=values.text, help="The key of the hold.", show_default=False
    ),
]
_STYLES = {
    HoldState.PENDING: "cyan",
    HoldState.POSTED: "green",
    HoldState.VOIDED: "dim",
    HoldState.EXPIRED: "yellow",
}
_COLUMNS = [
    Column(title="key"),
    Column(title="account"),
    Column(title="product"),
    Column(title="state"),
    Column(title="calls", right=True),
    Column(title="used", right=True),
    Column(title="held"),
    Column(title="ends", optional=True),
    Column(title="settled", optional=True),
]


@app.command(
    epilog=examples("tollgate ai hold --account 1 --product glaucoma --calls 3 --key study-17")
)
def hold(
    context: typer.Context,
    *,
    account: AccountOption,
    product: ProductOption,
    calls: Annotated[
        int,
        typer.Option(
            metavar="N", help=f"How many calls: 1 to {HOLD_UNITS_MAX:,}.", show_default=False
        ),
    ],
    key: KeyOption,
    ttl: Annotated[
        int,
        typer.Option(
            metavar="SECONDS",
            help=f"After how long it releases itself: 1 to {HOLD_TTL_S_MAX:,}.",
        ),
    ] = TTL_S,
    as_json: AsJson = False,
) -> None:
    """Set calls aside before an AI is asked. Refused where fewer are available: a hard stop."""
    from quota import ai

    with session.writing(context) as work:
        payer = lookup.account(work, account)
        outcome = ai.hold(work, payer, product, key=key, units=calls, ttl_s=ttl)
        if isinstance(outcome, NotHeld):
            raise Problem(
                f"{outcome.asked:,} calls asked for, {outcome.available:,} available of "
                f"{product!r}; top up: tollgate order place --account {payer.id} --ai {product} "
                "--calls 1000 --order-no NO",
                rule=RULE,
            )
        held = accepted(outcome)
        work.commit()
    _tell(held, payer, product, as_json=as_json)


@app.command(epilog=examples("tollgate ai post study-17 --account 1 --product glaucoma --calls 2"))
def post(
    context: typer.Context,
    *,
    key: KeyArgument,
    account: AccountOption,
    product: ProductOption,
    calls: Annotated[
        int | None,
        typer.Option(metavar="N", help="How many were used; all of them if not said."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Note that calls set aside were used, once; what was not used is given back."""
    from quota import ai

    with session.writing(context) as work:
        payer = lookup.account(work, account)
        used = _of(work, payer, product, key).units if calls is None else calls
        posted = accepted(ai.post(work, payer, product, key=key, units=used))
        work.commit()
    _tell(posted, payer, product, as_json=as_json)


@app.command(epilog=examples("tollgate ai void study-17 --account 1 --product glaucoma"))
def void(
    context: typer.Context,
    *,
    key: KeyArgument,
    account: AccountOption,
    product: ProductOption,
    as_json: AsJson = False,
) -> None:
    """Give all calls of a hold back, once."""
    from quota import ai

    with session.writing(context) as work:
        payer = lookup.account(work, account)
        voided = accepted(ai.void(work, payer, product, key=key))
        work.commit()
    _tell(voided, payer, product, as_json=as_json)


@app.command(epilog=examples("tollgate ai show study-17 --account 1 --product glaucoma --json"))
def show(
    context: typer.Context,
    *,
    key: KeyArgument,
    account: AccountOption,
    product: ProductOption,
    as_json: AsJson = False,
) -> None:
    """Show one hold, and which packages it took its calls from."""
    with session.reading(context) as view:
        payer = lookup.account(view, account)
        found = _of(view, payer, product, key)
    _tell(found, payer, product, as_json=as_json)


@app.command("list", epilog=examples("tollgate ai list --account 'Lakeside Hospitals' --pending"))
def list_(
    context: typer.Context,
    *,
    account: Annotated[
        str | None,
        typer.Option(metavar="ACCOUNT", help="Only those of this account (id or name)."),
    ] = None,
    product: Annotated[
        str | None,
        typer.Option(metavar="PRODUCT", parser=values.product, help="Only those of this product."),
    ] = None,
    pending: Annotated[
        bool, typer.Option("--pending", metavar="", help="Only those that are not settled.")
    ] = False,
    limit: LimitOption = LIMIT,
    as_json: AsJson = False,
) -> None:
    """List the latest holds, the newest first."""
    from storage.reports_ledger import holds

    with session.reading(context) as view:
        accounts = {one.id: one for one in view.accounts()}
        account_id = None if account is None else lookup.account(view, account).id
        rows = holds(
            view, account_id=account_id, product=product, pending_only=pending, limit=limit + 1
        )
    output.hint_at_more(len(rows), limit)
    rows = rows[:limit]
    if as_json:
        output.document(
            [
                documents_ledger.hold_document(
                    row, account=accounts[row.account_id].name, product=row.meter
                )
                for row in rows
            ]
        )
        return
    output.table(
        _COLUMNS,
        [_row(row, accounts[row.account_id]) for row in rows],
        empty="no holds: tollgate ai hold --help",
    )


def _row(row: HoldRow, account: Account) -> list[output.Cell]:
    return [
        row.key,
        account.name,
        row.meter.removeprefix(AI_PREFIX),
        output.styled(row.state.value, _STYLES[row.state]),
        units.count(row.units),
        units.count(row.posted),
        units.local(row.held_at, account.zone),
        units.local(row.expires_at, account.zone),
        units.local(row.settled_at, account.zone),
    ]


def _of(view: SqlView, account: Account, product: str, key: str) -> Hold:
    """The hold of that key as it is now; raises Problem. One that is over is expired (TIME-4)."""
    from dataclasses import replace

    meter = view.meter(account.id, AI_PREFIX + product)
    found = None if meter is None else view.hold(meter.id, key)
    if found is None:
        raise Problem(
            f"{account.name} has no hold {key!r} of {product!r}; see: tollgate ai list "
            f"--account {account.id}",
            rule=RULE,
        )
    if found.state is HoldState.PENDING and found.expired(view.clock()):
        return replace(found, state=HoldState.EXPIRED, settled_at=found.expires_at)
    return found


def _tell(hold: Hold, account: Account, product: str, *, as_json: bool) -> None:
    if as_json:
        document = documents_ledger.hold_document(hold, account=account.name, product=product)
        output.document(document)
        return
    shares = ", ".join(
        f"{one.package.id} without limit"
        if one.package.unlimited
        else f"{one.package.id} ({one.units:,})"
        for one in hold.shares
    )
    facts = [
        ("hold", hold.key),
        ("account", account.name),
        ("product", product),
        ("state", hold.state.value),
        ("calls", units.count(hold.units)),
        ("used", units.count(hold.posted)),
        ("packages", shares),
        ("held", units.local(hold.held_at, account.zone)),
        ("ends", units.local(hold.expires_at, account.zone)),
        ("settled", units.local(hold.settled_at, account.zone)),
    ]
    output.facts([(name, value) for name, value in facts if value])
