"""`tollgate exam reverse`: a charge taken back by an operator (§3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from gateway.cli import exam as exam_noun
from gateway.cli import output, session
from gateway.cli.acts import Actor, Reason, Yes, accepted, confirm
from gateway.cli.exam import NO_SUCH, ExamArgument
from gateway.cli.group import examples
from gateway.cli.output import AsJson
from gateway.cli.problem import Problem

if TYPE_CHECKING:
    from storage.view import SqlView

app = exam_noun.app


@app.command(
    epilog=examples(
        "tollgate exam reverse 01a20164-5b29-70d7-b624-2622f76901ad --reason 'phantom, no patient'",
    )
)
def reverse(
    context: typer.Context,
    *,
    exam: ExamArgument,
    reason: Reason,
    actor: Actor,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Take the charge of an examination back; its images stay. Can't be undone.

    A unit that was paid for returns to its package, or lapses as the package did, and pays off
    the oldest debt. Where nothing is owed any more, stopped uploads resume by themselves.
    """
    from quota import correction
    from quota.action import By
    from storage.reports import examination

    def question(view: SqlView) -> str:
        return f"Take back the charge of examination {_known(view)[0]}?"

    def _known(view: SqlView) -> tuple[str, str]:
        detail = examination(view, exam.strip())
        if detail is None:
            raise Problem(NO_SUCH)
        return detail.row.id, detail.row.account

    confirm(context, question, yes=yes)
    with session.writing(context) as work:
        examination_id, owner = _known(work)
        account = next(one for one in work.accounts() if one.name == owner)
        by = By(actor=actor, reason=reason)
        charge = accepted(correction.reverse(work, account, examination_id, by=by))
        work.commit()
    if as_json:
        output.document(
            {
                "examination_id": examination_id,
                "account_id": account.id,
                "charge": "reversed",
                "was": charge.state.value,
                "package_id": charge.package_id,
            }
        )
        return
    was = "was owed" if charge.package_id is None else f"was paid by package {charge.package_id}"
    output.say(f"the charge of examination {examination_id} is taken back; it {was}")
