"""`tollgate institution`: the hospitals."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli import documents, lookup, output, session, values
from gateway.cli.acts import Actor, Reason, accepted
from gateway.cli.group import examples, noun
from gateway.cli.output import AsJson, Column

app = noun("The hospitals, and by which AE title each is called.")

_COLUMNS = [
    Column(title="id", right=True),
    Column(title="name"),
    Column(title="account"),
    Column(title="called AE title"),
]


@app.command(
    epilog=examples(
        "tollgate institution create 'Lakeside East' --account 'Lakeside Hospitals'",
        "tollgate institution create 'Lakeside West' --account 1 --ae-title LAKEWEST",
    )
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
    account: Annotated[
        str,
        typer.Option(
            metavar="ACCOUNT", help="Who pays: the account's id or name.", show_default=False
        ),
    ],
    called_ae_title: Annotated[
        str | None,
        typer.Option(
            "--ae-title",
            metavar="CALLED",
            parser=values.ae_title,
            help="AE title under which only this institution's devices call the gateway; "
            "without one they call the gateway's common title.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Register an institution. Its examinations are charged to the account."""
    from storage.registry import add_institution

    with session.writing(context) as work:
        payer = lookup.account(work, account)
        institution = add_institution(
            work, name=name, account_id=payer.id, called_ae_title=called_ae_title
        )
        work.commit()
    if as_json:
        output.document(documents.institution_document(institution, payer.name))
        return
    output.say(f"institution {institution.id} created: {name}, paid by {payer.name}")
    output.hint(f"next: tollgate device add AE_TITLE --institution {institution.id}")


@app.command("list", epilog=examples("tollgate institution list"))
def list_(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the institutions."""
    from storage.registry import institutions

    with session.reading(context) as view:
        names = {account.id: account.name for account in view.accounts()}
        known = institutions(view)
    if as_json:
        listed = [documents.institution_document(one, names[one.account_id]) for one in known]
        output.document(listed)
        return
    output.table(
        _COLUMNS,
        [
            [
                str(one.id),
                one.name,
                f"{names[one.account_id]} ({one.account_id})",
                one.called_ae_title or "the common one",
            ]
            for one in known
        ],
        empty="no institutions yet: tollgate institution create NAME --account ACCOUNT",
    )


@app.command(
    epilog=examples(
        "tollgate institution move 'Lakeside East' --account 2 --reason 'buys capacity from now on'"
    )
)
def move(
    context: typer.Context,
    *,
    institution: Annotated[
        str,
        typer.Argument(
            metavar="INSTITUTION", help="The institution's id or name.", show_default=False
        ),
    ],
    account: Annotated[
        str,
        typer.Option(
            metavar="ACCOUNT", help="Who pays from now on: id or name.", show_default=False
        ),
    ],
    reason: Reason,
    actor: Actor,
    as_json: AsJson = False,
) -> None:
    """Have another account pay for the examinations to come.

    Examinations on record stay with the account that admitted them, and so do their later images.
    """
    from quota import service
    from quota.action import By
    from storage.registry import move_institution

    with session.writing(context) as work:
        known = lookup.institution(work, institution)
        payer = lookup.account(work, account)
        by = By(actor=actor, reason=reason)
        moved = accepted(move_institution(work, known.id, account_id=payer.id, by=by))
        refused = service.preview(work, payer)
        work.commit()
    if as_json:
        output.document(documents.institution_document(moved, payer.name))
    else:
        output.say(f"institution {moved.id} is paid by {payer.name} from now on: {moved.name}")
    if refused is not None:
        output.hint(
            f"{payer.name} can't admit examinations now; see: tollgate account show {payer.id}"
        )
