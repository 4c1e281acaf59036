"""`tollgate exam export`: an examination's instances as Part 10 files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import exam_acts, lookup, output, session, units
from gateway.cli.exam import ExamArgument
from gateway.cli.group import examples
from gateway.cli.output import AsJson
from gateway.cli.problem import REFUSED, Problem

if TYPE_CHECKING:
    from storage.export import Exported, Item

app = exam_acts.app


@app.command(
    epilog=examples(
        "tollgate exam export 0198c2a4-7d1e-7b52-9a31-5f2c8c1f6f6e /mnt/usb/study",
        "tollgate exam export 1.2.840.113619.2.55.3 ./study --json",
    )
)
def export(
    context: typer.Context,
    *,
    exam: ExamArgument,
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="A new or empty folder for the files.", show_default=False
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Write an examination's instances as DICOM files into DIR/series-001/00001.dcm and so on.

    Every file is compared with its hash on record as it is written; one that is damaged is not
    written, but named, and the exit status is 1. Works whatever the account owes.
    """
    from gateway.bootstrap import open_archive
    from storage.export import export as run
    from storage.export import items

    with session.reading(context) as view:
        detail = lookup.examination(view, exam)
        wanted = items(view, detail.row.id)
    if not wanted:
        raise Problem(f"examination {detail.row.id} has no instances: it was deleted")
    archive = open_archive(session.settings(context))
    try:
        writing = run(archive, wanted, folder)
        done = list(output.progress(writing, total=len(wanted), doing="exporting"))
    except FileExistsError:
        raise Problem(f"{folder} is not an empty folder: nothing is ever replaced") from None
    _tell(detail.row.id, folder, done, as_json=as_json)
    if any(one.damage for one in done):
        raise typer.Exit(REFUSED)


def _tell(examination_id: str, folder: Path, done: list[Exported], *, as_json: bool) -> None:
    whole = [one.item for one in done if one.damage is None]
    if as_json:
        output.document(
            {
                "examination_id": examination_id,
                "folder": str(folder),
                "files": [_document(item) for item in whole],
                "missing": [
                    {**_document(one.item), "damage": one.damage} for one in done if one.damage
                ],
            }
        )
        return
    for one in done:
        if one.damage:
            what = f"not written: {one.item.sop_instance_uid} ({one.damage.value})"
            output.say(output.styled(what, "bold red"))
    size = units.size(sum(item.size_bytes for item in whole))
    output.say(f"{units.count(len(whole))} of {units.count(len(done))} instances, {size}: {folder}")


def _document(item: Item) -> dict[str, Any]:
    return {
        "file": item.name,
        "sop_instance_uid": item.sop_instance_uid,
        "bytes": item.size_bytes,
    }
