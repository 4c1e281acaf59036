"""`tollgate exam`: what was uploaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from gateway.cli import documents, lookup, output, session, units
from gateway.cli.group import examples, noun
from gateway.cli.output import AsJson, Column

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from storage.reports import ExaminationDetail, ExaminationRow

LIMIT = 1_000
LIMIT_MAX = 100_000

InstitutionOption = Annotated[
    str | None,
    typer.Option(metavar="INSTITUTION", help="Only those of this institution (id or name)."),
]
ExamArgument = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="The examination's id, or a Study Instance UID that only one institution has.",
        show_default=False,
    ),
]
LimitOption = Annotated[
    int, typer.Option(metavar="N", min=1, max=LIMIT_MAX, help="Show the latest N.")
]

app = noun("What was uploaded: examinations, their instances and charges.")

_STYLES = {"complete": "green", "receiving": "cyan", "funded": "green", "owed": "red"}
_COLUMNS = [
    Column(title="admitted"),
    Column(title="institution"),
    Column(title="state"),
    Column(title="instances", right=True),
    Column(title="size", right=True),
    Column(title="charge"),
    Column(title="examination"),
    Column(title="missing", right=True, optional=True),
    Column(title="modality", optional=True),
    Column(title="device", optional=True),
    Column(title="accession", optional=True),
    Column(title="study instance UID", optional=True),
]


@app.command(
    "list",
    epilog=examples("tollgate exam list --institution 'Lakeside East' --limit 20"),
)
def list_(
    context: typer.Context,
    *,
    institution: InstitutionOption = None,
    limit: LimitOption = LIMIT,
    as_json: AsJson = False,
) -> None:
    """List the latest examinations, the newest first. No patient is named."""
    from storage.reports import examinations

    with session.reading(context) as view:
        institution_id = lookup.institution_id(view, institution)
        rows = examinations(view, institution_id=institution_id, limit=limit + 1)
        zones = {account.name: account.zone for account in view.accounts()}
    output.hint_at_more(len(rows), limit)
    rows = rows[:limit]
    if as_json:
        output.document([documents.examination_document(row) for row in rows])
        return
    output.table(
        _COLUMNS,
        [_row(row, zones[row.account]) for row in rows],
        empty="no examinations yet: add a device (tollgate device add), then send to the gateway",
    )


@app.command(
    epilog=examples(
        "tollgate exam show 0198c2a4-7d1e-7b52-9a31-5f2c8c1f6f6e",
        "tollgate exam show 1.2.840.113619.2.55.3 --json",
    )
)
def show(
    context: typer.Context,
    *,
    exam: ExamArgument,
    as_json: AsJson = False,
) -> None:
    """Show one examination with its patient, series and findings."""
    with session.reading(context) as view:
        detail = lookup.examination(view, exam)
        zones = {account.name: account.zone for account in view.accounts()}
    if as_json:
        output.document(documents.examination_detail(detail))
        return
    _show(detail, zones[detail.row.account])


def _row(row: ExaminationRow, zone: ZoneInfo) -> list[output.Cell]:
    return [
        units.local(row.admitted_at, zone),
        row.institution,
        _word(row.state),
        units.count(row.instances),
        units.size(row.bytes),
        _word(row.charge or ""),
        row.id,
        output.styled(units.count(row.missing) if row.missing else "", "red"),
        row.modality,
        row.device,
        row.accession,
        row.study_instance_uid,
    ]


def _word(value: str) -> Text:
    return output.styled(value.replace("_", " "), _STYLES.get(value, "dim"))


def _show(detail: ExaminationDetail, zone: ZoneInfo) -> None:
    row = detail.row
    paid = f" by package {row.package_id}" if row.package_id is not None else ""
    charge = (
        f"{row.charge.replace('_', ' ')}{paid}" if row.charge else "none, the plan counts bytes"
    )
    facts = [
        ("examination", row.id),
        ("patient", f"{row.patient_name} ({row.patient_id})"),
        ("study", row.study_instance_uid),
        ("description", row.study_description),
        ("study date", row.study_date),
        ("accession", row.accession),
        ("modality", row.modality),
        ("institution", row.institution),
        ("device", row.device),
        ("account", row.account),
        ("admitted", units.local(row.admitted_at, zone)),
        ("state", f"{row.state} {units.local(row.completed_at, zone)}".strip()),
        ("charge", charge),
        ("instances", units.count(row.instances)),
        ("size", units.size(row.bytes)),
        ("missing", f"{units.count(row.missing)} refused and not sent again" * (row.missing > 0)),
    ]
    output.facts([(name, value) for name, value in facts if value])
    _series(detail)
    for finding in detail.findings:
        first, last = units.local(finding.first_at, zone), units.local(finding.last_at, zone)
        what = f"{units.count(finding.instances)} instances, {first} to {last}"
        output.say(output.styled(f"look at this: {finding.kind}, {what}", "yellow"))
    for set_aside in detail.quarantined:
        what = f"{set_aside.kind} {set_aside.sop_instance_uid}, {units.size(set_aside.bytes)}"
        output.say(output.styled(f"set aside: {what}", "yellow"))


def _series(detail: ExaminationDetail) -> None:
    columns = [
        Column(title="series"),
        Column(title="instances", right=True),
        Column(title="size", right=True),
    ]
    output.say("")
    output.table(
        columns,
        [
            [one.series_instance_uid, units.count(one.instances), units.size(one.bytes)]
            for one in detail.series
        ],
        empty="no series",
    )
