"""`tollgate order place`: for whom, what, and by whose word."""

from __future__ import annotations

import shlex
from getpass import getuser
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import authority, documents, lookup, output, session
from gateway.cli import order_lines as lines
from gateway.cli.group import examples
from gateway.cli.output import AsJson
from gateway.cli.problem import Problem
from quota.order import OrderRequest, OrderState, Rejected

if TYPE_CHECKING:
    from quota.account import Account
    from storage.view import SqlView

EXAMPLES = examples(
    "tollgate order place --account 1 --exams 2000 --order-no 2026-0042",
    "tollgate order place --account 2 --capacity-tb 1 --years 5 --order-no 2026-0043",
    "tollgate order place --account 1 --ai glaucoma --calls 1000 --order-no 2026-0044",
    "tollgate order place --account 1 --licence basic --licence mobile --years 2 "
    "--institution 'Lakeside East' --order-no 2026-0045",
    "tollgate order place --institution-id 1 --token-file token.txt --exams 1000 "
    "--order-no 2026-0047",
    "tollgate order place --account 1 --service maintenance --months 6 --order-no 2026-0046",
)

AccountOption = Annotated[
    str | None,
    typer.Option(
        metavar="ACCOUNT",
        help="Who pays: the account's id or name. Not needed with --institution-id.",
        show_default=False,
    ),
]
InstitutionIdOption = Annotated[
    int | None,
    typer.Option(
        metavar="ID",
        help="Order as this institution, whose token is asked for; its account pays.",
        show_default=False,
    ),
]
TokenFileOption = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="File with the token; - is standard input."),
]
TokenEnvOption = Annotated[
    str | None,
    typer.Option(metavar="VARIABLE", help="Environment variable with the token."),
]
InstitutionOption = Annotated[
    str | None,
    typer.Option(
        metavar="INSTITUTION",
        help="Whose licence or service it is (id or name); needed where the account pays for "
        "several.",
        show_default=False,
    ),
]
ConsortiumOption = Annotated[
    str | None,
    typer.Option(
        metavar="CONSORTIUM",
        help="Whose licence it is (id or name): open to every member.",
        show_default=False,
    ),
]
NumberOption = Annotated[
    str,
    typer.Option(
        metavar="NO",
        help="Number in the selling system. The same number with the same content again "
        "changes nothing.",
        show_default=False,
    ),
]
ByOperatorOption = Annotated[
    bool,
    typer.Option(
        "--by-operator",
        metavar="",
        help="An operator books it, on an agreement: needed for --unlimited; journaled.",
    ),
]
ReasonOption = Annotated[
    str, typer.Option(metavar="TEXT", help="Why an operator acts; journaled.", show_default=False)
]
ActorOption = Annotated[
    str,
    typer.Option(
        "--by",
        "--actor",
        metavar="NAME",
        help="Which operator; journaled.",
        default_factory=getuser,
    ),
]


def place(
    context: typer.Context,
    *,
    account: AccountOption = None,
    institution_id: InstitutionIdOption = None,
    token_file: TokenFileOption = None,
    token_env: TokenEnvOption = None,
    exams: lines.ExamsOption = None,
    storage_years: lines.StorageYearsOption = None,
    capacity_tb: lines.CapacityOption = None,
    ai: lines.AiOption = None,
    calls: lines.CallsOption = None,
    unlimited: lines.UnlimitedOption = False,
    licence: lines.LicenceOption = None,
    service: lines.ServiceOption = None,
    years: lines.YearsOption = None,
    months: lines.MonthsOption = None,
    renews: lines.RenewsOption = None,
    institution: InstitutionOption = None,
    consortium: ConsortiumOption = None,
    by_operator: ByOperatorOption = False,
    reason: ReasonOption = "",
    actor: ActorOption,
    order_no: NumberOption,
    as_json: AsJson = False,
) -> None:
    """Place an order. Nothing is credited before it is paid."""
    # tidy: long because every option is declared, and handed on by its name
    from config import load_catalogue
    from quota import service as quota_service

    wanted = lines.Wanted(
        exams=exams,
        storage_years=storage_years,
        capacity_tb=capacity_tb,
        years=years,
        months=months,
        renews=renews,
        ai=ai,
        calls=calls,
        unlimited=unlimited,
        licence=licence,
        service=service,
    )
    by = lookup.operator(actor, reason) if by_operator else None
    catalogue = load_catalogue(session.settings(context))
    proof = authority.claimed(institution_id, token_file, token_env, by_operator=by_operator)
    if (account is None) == (proof is None) or (proof and institution):
        raise typer.BadParameter("give --account, or --institution-id with its token")
    with session.writing(context) as work:
        if proof is not None:
            account = authority.payer(work, proof, order_no=order_no)
            institution = str(proof.institution_id)
        assert account is not None
        buyer = lookup.account(work, account)
        request = _request(
            work, order_no, buyer, wanted, institution=institution, consortium=consortium
        )
        order = quota_service.place(work, request, catalogue=catalogue, by=by)
        if isinstance(order, Rejected):
            raise Problem(order.message, rule=order.rule)
        work.commit()
    if as_json:
        output.document(documents.order_document(order, buyer.name))
        return
    output.say(f"order {order.number} is {order.state}: {lines.of_order(order)} for {buyer.name}")
    if order.state is OrderState.PLACED:
        output.hint(f"next: tollgate order pay {shlex.quote(order.number)}")


def _request(
    view: SqlView,
    number: str,
    buyer: Account,
    wanted: lines.Wanted,
    *,
    institution: str | None,
    consortium: str | None,
) -> OrderRequest:
    """The order as it arrives. Whose it is need not be said where only one can be meant."""
    if consortium is not None and not wanted.licence:
        raise typer.BadParameter("--consortium goes with --licence")
    if consortium is not None and institution is not None:
        raise typer.BadParameter("give --consortium, or whose licence else it is")
    shared = None if consortium is None else lookup.consortium(view, consortium).id
    owner = lookup.institution_id(view, institution)
    if owner is None and shared is None and (wanted.licence or wanted.service):
        owner = _only_institution(view, buyer)
    return OrderRequest(
        number=number,
        account_id=buyer.id,
        lines=wanted.lines(consortium_id=shared),
        institution_id=owner,
    )


def _only_institution(view: SqlView, buyer: Account) -> int | None:
    from storage.registry import institutions

    mine = [one.id for one in institutions(view) if one.account_id == buyer.id]
    return mine[0] if len(mine) == 1 else None
