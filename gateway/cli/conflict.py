"""`tollgate conflict`: what was set aside, and what is to become of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import documents, lookup, output, session, units
from gateway.cli.acts import Actor, Reason, accepted
from gateway.cli.exam import LIMIT, InstitutionOption, LimitOption
from gateway.cli.group import examples, noun
from gateway.cli.output import AsJson, Column

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from storage.conflict_report import ConflictRow
    from storage.conflicts import Resolved

app = noun("Instances set aside: other content under a UID that is on record already.")

ConflictArgument = Annotated[
    int,
    typer.Argument(
        metavar="CONFLICT", help="Its number, from: tollgate conflict list.", show_default=False
    ),
]
_COLUMNS = [
    Column(title="conflict", right=True),
    Column(title="set aside"),
    Column(title="kind"),
    Column(title="size", right=True),
    Column(title="size on record", right=True),
    Column(title="examination"),
    Column(title="institution"),
    Column(title="device", optional=True),
    Column(title="filed first", optional=True),
    Column(title="SOP instance UID", optional=True),
]


@app.command("list", epilog=examples("tollgate conflict list", "tollgate conflict list --json"))
def list_(
    context: typer.Context,
    *,
    institution: InstitutionOption = None,
    limit: LimitOption = LIMIT,
    as_json: AsJson = False,
) -> None:
    """List what waits for a decision, the newest first.

    A conflict has other bytes than the instance on record, a variant another transfer syntax.
    It costs nobody anything, and is removed undecided when it gets too old or too much.
    """
    from storage.conflict_report import conflicts

    with session.reading(context) as view:
        institution_id = lookup.institution_id(view, institution)
        rows = conflicts(view, institution_id=institution_id, limit=limit + 1)
        zones = {account.name: account.zone for account in view.accounts()}
    output.hint_at_more(len(rows), limit)
    rows = rows[:limit]
    if as_json:
        output.document([documents.conflict_document(row) for row in rows])
        return
    output.table(
        _COLUMNS,
        [_row(row, zones[row.account]) for row in rows],
        empty="nothing is set aside: no device has sent two contents under one UID",
    )


@app.command(
    epilog=examples("tollgate conflict accept 17 --reason 'the modality corrected the orientation'")
)
def accept(
    context: typer.Context,
    *,
    conflict: ConflictArgument,
    reason: Reason,
    actor: Actor,
    as_json: AsJson = False,
) -> None:
    """Put the newcomer in the place of the instance on record, which is removed.

    The account's bytes change by the difference. Both contents stay known: sent again, neither
    is set aside again.
    """
    from quota.action import By
    from storage.conflicts import accept as run

    with session.writing(context) as work:
        result = accepted(run(work, conflict, by=By(actor=actor, reason=reason)))
        work.commit()
    _tell(result, as_json=as_json)


@app.command(epilog=examples("tollgate conflict discard 17 --reason 'sent by a test station'"))
def discard(
    context: typer.Context,
    *,
    conflict: ConflictArgument,
    reason: Reason,
    actor: Actor,
    as_json: AsJson = False,
) -> None:
    """Remove the newcomer; the instance on record stays as it is."""
    from quota.action import By
    from storage.conflicts import discard as run

    with session.writing(context) as work:
        result = run(work, conflict, by=By(actor=actor, reason=reason))
        work.commit()
    _tell(result, as_json=as_json)


def _tell(result: Resolved, *, as_json: bool) -> None:
    if as_json:
        output.document(documents.plain(result))
        return
    change = "" if not result.grown_bytes else f", {_signed(result.grown_bytes)}"
    output.say(
        f"conflict {result.conflict_id} is {result.resolution.value}; "
        f"examination {result.examination_id}{change}"
    )


def _signed(size_bytes: int) -> str:
    sign = "+" if size_bytes > 0 else "-"
    return f"{sign}{units.size(abs(size_bytes))}"


def _row(row: ConflictRow, zone: ZoneInfo) -> list[output.Cell]:
    return [
        str(row.id),
        units.local(row.set_aside_at, zone),
        row.kind,
        units.size(row.bytes),
        units.size(row.filed_bytes),
        row.examination_id,
        row.institution,
        row.device,
        units.local(row.filed_at, zone),
        row.sop_instance_uid,
    ]
