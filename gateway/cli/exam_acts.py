"""`tollgate exam delete|reverse`: an operator's acts on an examination (CAP-2, §3)."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import exam as exam_noun
from gateway.cli import lookup, output, session, units
from gateway.cli.acts import Actor, Reason, Yes, accepted, confirm
from gateway.cli.exam import ExamArgument
from gateway.cli.group import examples
from gateway.cli.output import AsJson
from gateway.cli.problem import Problem

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from quota.time import Instant
    from storage.view import SqlView

app = exam_noun.app


@app.command(
    epilog=examples(
        "tollgate exam delete 01a20164-5b29-70d7-b624-2622f76901ad --reason 'patient request 17'",
    )
)
def delete(
    context: typer.Context,
    *,
    exam: ExamArgument,
    reason: Reason,
    actor: Actor,
    yes: Yes = False,
    override: Annotated[
        bool, typer.Option("--override", help="Delete although the retention has not ended.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Delete an examination's instances and free their bytes. Can't be undone.

    The examination stays on record with its charge: uploaded again, it is not charged again.
    Before the end of its retention this needs --override.
    """
    from storage.deletion import Retained, delete_examination

    def question(view: SqlView) -> str:
        detail = lookup.examination(view, exam)
        size = f"{units.count(detail.row.instances)} instances, {units.size(detail.row.bytes)}"
        return f"Delete examination {detail.row.id}, {size}?"

    confirm(context, question, yes=yes)
    with session.writing(context) as work:
        detail = lookup.examination(work, exam)
        zone = next(one.zone for one in work.accounts() if one.name == detail.row.account)
        result = delete_examination(
            work, detail.row.id, actor=actor, reason=reason, override=override
        )
        if isinstance(result, Retained):
            raise Problem(_retained(result.until, zone), rule="RETENTION")
        work.commit()
    if as_json:
        output.document(asdict(result))
        return
    output.say(
        f"examination {result.examination_id} is deleted: {units.count(result.instances)} "
        f"instances, {units.size(result.bytes)}"
    )


def _retained(until: Instant | None, zone: ZoneInfo) -> str:
    term = f"until {units.local(until, zone)}" if until else "while its account has capacity"
    return f"the examination is to be kept {term}; --override deletes it all the same"


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

    def question(view: SqlView) -> str:
        return f"Take back the charge of examination {_known(view)[0]}?"

    def _known(view: SqlView) -> tuple[str, str]:
        detail = lookup.examination(view, exam)
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
