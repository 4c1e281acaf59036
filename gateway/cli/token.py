"""`tollgate institution token`: by which an institution proves itself when it orders."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli import lookup, output, session
from gateway.cli.acts import Actor, Reason
from gateway.cli.group import examples, noun
from gateway.cli.output import AsJson
from gateway.cli.problem import Problem

app = noun("An institution's token: shown once, kept as a hash, replaced, revoked.")

InstitutionArgument = Annotated[
    str,
    typer.Argument(metavar="INSTITUTION", help="The institution's id or name.", show_default=False),
]


@app.command(
    epilog=examples("tollgate institution token issue 'Lakeside East' --reason 'asked by letter'")
)
def issue(
    context: typer.Context,
    *,
    institution: InstitutionArgument,
    reason: Reason,
    actor: Actor,
    as_json: AsJson = False,
) -> None:
    """Issue a token and show it, this once. The one before is not valid any more."""
    from storage.tokens import issue_token

    with session.writing(context) as work:
        known = lookup.institution(work, institution)
        token = issue_token(work, known.id)
        subject = f"institution {known.id}"
        work.note_action(actor=actor, action="token_issue", subject=subject, reason=reason)
        work.commit()
    if as_json:
        output.document({"institution_id": known.id, "institution": known.name, "token": token})
        return
    output.say(token)
    output.hint(f"token of {known.name}, institution id {known.id}; it is not shown again")


@app.command(
    epilog=examples("tollgate institution token revoke 'Lakeside East' --reason 'laptop stolen'")
)
def revoke(
    context: typer.Context,
    *,
    institution: InstitutionArgument,
    reason: Reason,
    actor: Actor,
    as_json: AsJson = False,
) -> None:
    """Revoke the token: nobody can order for the institution by one until another is issued."""
    from storage.tokens import revoke_token

    with session.writing(context) as work:
        known = lookup.institution(work, institution)
        if not revoke_token(work, known.id):
            raise Problem(
                f"{known.name} has no valid token; see: tollgate institution token issue --help"
            )
        subject = f"institution {known.id}"
        work.note_action(actor=actor, action="token_revoke", subject=subject, reason=reason)
        work.commit()
    if as_json:
        output.document({"institution_id": known.id, "institution": known.name, "token": None})
        return
    output.say(f"the token of {known.name} is revoked")
