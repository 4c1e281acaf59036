"""`tollgate licence`: which features are open, to whom, until when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import documents, lookup, output, session, units
from gateway.cli.acts import Actor
from gateway.cli.group import examples, noun
from gateway.cli.output import AsJson, Column
from gateway.cli.problem import REFUSED, Problem

if TYPE_CHECKING:
    from gateway.cli.documents import Document
    from quota.licence import Licence
    from quota.time import Instant
    from storage.view import SqlView

app = noun("Software licences: which features are open, to whom, until when.")

_STYLES = {"active": "green", "ahead": "cyan", "ended": "dim", "revoked": "red"}
_COLUMNS = [
    Column(title="licence", right=True),
    Column(title="feature"),
    Column(title="for"),
    Column(title="state"),
    Column(title="from"),
    Column(title="until"),
    Column(title="account", optional=True),
]


@app.command(
    "list", epilog=examples("tollgate licence list", "tollgate licence list --institution 1 --json")
)
def list_(
    context: typer.Context,
    *,
    institution: Annotated[
        str | None,
        typer.Option(
            metavar="INSTITUTION",
            help="Only those that are this institution's, or its consortia's (id or name).",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the licences in the order of their beginning."""
    from quota.licence import Scope

    with session.reading(context) as view:
        known = view.licences()
        if institution is not None:
            meant = lookup.institution(view, institution).id
            scopes = {
                Scope(institution_id=meant),
                *(Scope(consortium_id=one) for one in view.consortia_of(meant)),
            }
            known = [one for one in known if one.scope in scopes]
        at = view.clock()
        listed = [(one, licence_document(view, one, at=at)) for one in known]
        zones = {account.id: account.zone for account in view.accounts()}
    if as_json:
        output.document([document for _, document in listed])
        return
    rows: list[list[output.Cell]] = [
        [
            str(one.id),
            one.feature,
            document["institution"] or f"all of {document['consortium']}",
            output.styled(document["state"], _STYLES[document["state"]]),
            units.local(one.starts_at, zones[one.account_id]),
            units.local(one.ends_at, zones[one.account_id]) or "for good",
            document["account"],
        ]
        for one, document in listed
    ]
    empty = "no licences yet: tollgate order place --account ACCOUNT --licence basic --order-no NO"
    output.table(_COLUMNS, rows, empty=empty)


@app.command(
    epilog=examples(
        "tollgate licence check 'Lakeside East' mobile",
        "tollgate licence check 1 basic --json",
    )
)
def check(
    context: typer.Context,
    *,
    institution: Annotated[
        str,
        typer.Argument(
            metavar="INSTITUTION", help="The institution's id or name.", show_default=False
        ),
    ],
    feature: Annotated[
        str, typer.Argument(metavar="FEATURE", help="As in the catalogue.", show_default=False)
    ],
    as_json: AsJson = False,
) -> None:
    """Say whether a feature is open to an institution now, by its own licence or a consortium's.

    Exit status 0 if it is, 1 if it is not. Arrears do not touch a licence.
    """
    from quota.granting import licence_for

    with session.reading(context) as view:
        meant = lookup.institution(view, institution)
        at = view.clock()
        opening = licence_for(view, meant.id, feature, at=at)
        document = None if opening is None else licence_document(view, opening, at=at)
        zone = view.account(meant.account_id).zone
    if as_json:
        output.document(
            {
                "institution_id": meant.id,
                "institution": meant.name,
                "feature": feature,
                "open": opening is not None,
                "at": documents.instant_text(at),
                "licence": document,
            }
        )
    elif opening is None or document is None:
        output.say(f"{feature} is not open to {meant.name}")
    else:
        until = units.local(opening.ends_at, zone)
        by = "its own" if document["institution"] else f"{document['consortium']}'s"
        term = f"until {until}" if until else "for good"
        output.say(f"{feature} is open to {meant.name} {term}, by {by} licence {opening.id}")
    if opening is None:
        raise typer.Exit(REFUSED)


@app.command(epilog=examples("tollgate licence revoke 7 --reason 'contract cancelled'"))
def revoke(
    context: typer.Context,
    *,
    licence: Annotated[
        int, typer.Argument(metavar="LICENCE", help="The licence's id.", show_default=False)
    ],
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Why; it is journaled.", show_default=False)
    ],
    actor: Actor,
    as_json: AsJson = False,
) -> None:
    """Revoke a licence now and for good; once more changes nothing."""
    from quota import granting
    from quota.order import Rejected

    by = lookup.operator(actor, reason)
    with session.writing(context) as work:
        known = next((one for one in work.licences() if one.id == licence), None)
        if known is None:
            raise lookup.unknown(
                "licence", f"there is no licence {licence}; see: tollgate licence list"
            )
        revoked = granting.revoke(work, known, by=by)
        if isinstance(revoked, Rejected):
            raise Problem(revoked.message, rule=revoked.rule)
        document = licence_document(work, revoked, at=work.clock())
        work.commit()
    if as_json:
        output.document(document)
        return
    output.say(f"licence {revoked.id} of {revoked.feature} is revoked")


def licence_document(view: SqlView, known: Licence, *, at: Instant) -> Document:
    """One licence, as it is at `at`."""
    from storage.consortia import consortium
    from storage.registry import institution

    mine, shared = known.scope.institution_id, known.scope.consortium_id
    return {
        "id": known.id,
        "feature": known.feature,
        "state": known.state(at).value,
        "account_id": known.account_id,
        "account": view.account(known.account_id).name,
        "institution_id": mine,
        "institution": None if mine is None else institution(view, mine).name,
        "consortium_id": shared,
        "consortium": None if shared is None else consortium(view, shared).name,
        "purchased_at": documents.instant_text(known.purchased_at),
        "credited_at": documents.instant_text(known.credited_at),
        "starts_at": documents.instant_text(known.starts_at),
        "ends_at": documents.instant_text(known.ends_at),
        "revoked_at": documents.instant_text(known.revoked_at),
    }
