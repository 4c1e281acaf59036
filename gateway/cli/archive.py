"""`tollgate archive`: whether every object is what was put."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import documents, lookup, output, session, units
from gateway.cli.group import examples, noun
from gateway.cli.output import AsJson, Column
from gateway.cli.problem import REFUSED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.damage import Overview
    from storage.ledger import SqlLedger

app = noun("The archive of stored instances: read again, and what was found damaged.")


@app.callback()
def archive() -> None:
    """The archive of stored instances: read again, and what was found damaged."""


_COLUMNS = [
    Column(title="damage"),
    Column(title="examination"),
    Column(title="found"),
    Column(title="seen last"),
    Column(title="object", optional=True),
]


@app.command(
    epilog=examples(
        "tollgate archive check",
        "tollgate archive check --all",
        "tollgate archive check 0198c2a4-7d1e-7b52-9a31-5f2c8c1f6f6e --json",
    )
)
def check(
    context: typer.Context,
    *,
    exams: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID…]", help="Read these examinations again now.", show_default=False
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", metavar="", help="Read the whole archive again now.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the objects that are damaged or missing; exit status 1 where there are any.

    A running gateway reads everything again within 30 days, at low priority; this shows what it
    found. With --all or examinations, they are read now: a local archive byte for byte, a remote
    one by size and ETag. An object that is whole again leaves the list.
    """
    from storage.damage import overview

    with session.opened(context) as ledger:
        if everything or exams:
            with ledger.read() as view:
                named = [lookup.examination(view, one).row.id for one in exams or ()]
            chosen = None if everything else named
            _read_again(context, ledger, chosen)
        with ledger.read() as view:
            found = overview(view)
    _tell(found, as_json=as_json)
    if found.damaged:
        raise typer.Exit(REFUSED)


def _read_again(context: typer.Context, ledger: SqlLedger, chosen: Sequence[str] | None) -> None:
    from gateway.bootstrap import open_archive
    from storage.damage import check_now, objects_of

    with ledger.read() as view:
        total = objects_of(view, chosen)
    checking = check_now(ledger, open_archive(session.settings(context)), chosen)
    for _ in output.progress(checking, total=total, doing="reading the archive"):
        pass


def _tell(found: Overview, *, as_json: bool) -> None:
    if as_json:
        output.document(
            {
                "ok": not found.damaged,
                "damaged": [documents.plain(one) for one in found.damaged],
                "round": None if found.round is None else documents.plain(found.round),
            }
        )
        return
    if found.round is not None:
        counted = f"{units.count(found.round.objects)} objects, {units.size(found.round.bytes)}"
        began = documents.instant_text(found.round.began_at)
        ended = documents.instant_text(found.round.ended_at)
        state = f"ended {ended}" if ended else "is under way"
        output.say(f"the round that began {began} {state}: {counted} read")
    if not found.damaged:
        output.say(output.styled("no damage is known", "green"))
        return
    output.table(
        _COLUMNS,
        [
            [
                output.styled(one.damage, "bold red"),
                one.examination_id,
                documents.instant_text(one.found_at) or "",
                documents.instant_text(one.seen_at) or "",
                one.object_key,
            ]
            for one in found.damaged
        ],
        empty="",
    )
    output.hint("restore these objects from a copy, or let the hospital send the examination again")
