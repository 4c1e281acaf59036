"""`tollgate consortium`: institutions that share licences."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import documents, lookup, output, session, values
from gateway.cli.acts import Actor, Reason, accepted
from gateway.cli.group import examples, noun
from gateway.cli.output import AsJson, Column
from gateway.cli.problem import Problem

if TYPE_CHECKING:
    from gateway.cli.documents import Document
    from storage.consortia import Consortium
    from storage.view import SqlView
    from storage.work import SqlWork

app = noun("Consortia of institutions: a consortium's licence is open to every member.")

ConsortiumArgument = Annotated[
    str,
    typer.Argument(metavar="CONSORTIUM", help="The consortium's id or name.", show_default=False),
]
InstitutionArgument = Annotated[
    str,
    typer.Argument(metavar="INSTITUTION", help="The institution's id or name.", show_default=False),
]


@app.command(
    epilog=examples(
        "tollgate consortium create 'Lake Union' --account 'Lakeside Hospitals' --reason 'A-17'"
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
        str | None,
        typer.Option(
            metavar="ACCOUNT",
            help="The account that belongs to it and buys its licences; without one, the accounts "
            "of its members do.",
            show_default=False,
        ),
    ] = None,
    reason: Reason,
    actor: Actor,
    as_json: AsJson = False,
) -> None:
    """Found a consortium; it has no members yet."""
    from storage.consortia import add_consortium

    with session.writing(context) as work:
        account_id = None if account is None else lookup.account(work, account).id
        founded = accepted(add_consortium(work, name=name, account_id=account_id))
        document = _document(work, founded)
        _note(work, "consortium_create", str(founded.id), actor, reason)
        work.commit()
    if as_json:
        output.document(document)
        return
    output.say(f"consortium {founded.id} created: {name}")
    output.hint(f"next: tollgate consortium add {founded.id} INSTITUTION")


@app.command("list", epilog=examples("tollgate consortium list --json"))
def list_(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the consortia with their members."""
    from storage.consortia import consortia

    with session.reading(context) as view:
        listed = [_document(view, one) for one in consortia(view)]
    if as_json:
        output.document(listed)
        return
    columns = [
        Column(title="id", right=True),
        Column(title="name"),
        Column(title="members"),
        Column(title="account", optional=True),
    ]
    rows: list[list[output.Cell]] = [
        [
            str(one["id"]),
            one["name"],
            ", ".join(member["name"] for member in one["members"]),
            one["account"] or "",
        ]
        for one in listed
    ]
    output.table(columns, rows, empty="no consortia yet: tollgate consortium create NAME")


@app.command(epilog=examples("tollgate consortium show 'Lake Union'"))
def show(
    context: typer.Context, *, consortium: ConsortiumArgument, as_json: AsJson = False
) -> None:
    """Show a consortium: its members and its licences."""
    from gateway.cli.licence import licence_document
    from quota.licence import Scope

    with session.reading(context) as view:
        known = lookup.consortium(view, consortium)
        document = _document(view, known)
        at = view.clock()
        licences = [
            licence_document(view, one, at=at)
            for one in view.licences(scope=Scope(consortium_id=known.id))
        ]
    if as_json:
        output.document(document | {"licences": licences})
        return
    output.facts(
        [
            ("consortium", f"{known.name} ({known.id})"),
            ("account", document["account"] or "those of its members"),
            ("members", ", ".join(member.name for member in known.members) or "none yet"),
            (
                "licences",
                ", ".join(f"{one['feature']}: {one['state']}" for one in licences) or "none yet",
            ),
        ]
    )


@app.command(
    epilog=examples("tollgate consortium add 'Lake Union' 'Lakeside East' --reason 'joined in May'")
)
def add(
    context: typer.Context,
    *,
    consortium: ConsortiumArgument,
    institution: InstitutionArgument,
    reason: Reason,
    actor: Actor,
    as_json: AsJson = False,
) -> None:
    """Make an institution a member from now on. A member already stays one."""
    from storage.consortia import add_member
    from storage.consortia import consortium as read

    with session.writing(context) as work:
        known = lookup.consortium(work, consortium)
        member = lookup.institution(work, institution)
        if add_member(work, consortium_id=known.id, institution_id=member.id):
            _note(work, "consortium_add", f"{known.id}: institution {member.id}", actor, reason)
        document = _document(work, read(work, known.id))
        work.commit()
    if as_json:
        output.document(document)
        return
    output.say(f"{member.name} is a member of {known.name}: its licences are open to it")


@app.command(
    epilog=examples("tollgate consortium remove 'Lake Union' 'Lakeside East' --reason 'left'")
)
def remove(
    context: typer.Context,
    *,
    consortium: ConsortiumArgument,
    institution: InstitutionArgument,
    reason: Reason,
    actor: Actor,
    as_json: AsJson = False,
) -> None:
    """End a membership now: the consortium's licences close for the institution."""
    from storage.consortia import consortium as read
    from storage.consortia import remove_member

    with session.writing(context) as work:
        known = lookup.consortium(work, consortium)
        member = lookup.institution(work, institution)
        if not remove_member(work, consortium_id=known.id, institution_id=member.id):
            raise Problem(
                f"{member.name} is no member of {known.name}; "
                f"see: tollgate consortium show {known.id}"
            )
        _note(work, "consortium_remove", f"{known.id}: institution {member.id}", actor, reason)
        document = _document(work, read(work, known.id))
        work.commit()
    if as_json:
        output.document(document)
        return
    output.say(f"{member.name} is no member of {known.name} any more")


def _note(work: SqlWork, action: str, subject: str, actor: str, reason: str) -> None:
    """Who may use a licence is money: each act is journaled in its own transaction."""
    work.note_action(actor=actor, action=action, subject=subject, reason=reason)


def _document(view: SqlView, known: Consortium) -> Document:
    account = None if known.account_id is None else view.account(known.account_id).name
    return {
        "id": known.id,
        "name": known.name,
        "account_id": known.account_id,
        "account": account,
        "created_at": documents.instant_text(known.created_at),
        "members": [
            asdict(one) | {"added_at": documents.instant_text(one.added_at)}
            for one in known.members
        ],
    }
