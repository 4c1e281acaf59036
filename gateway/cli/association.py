"""`tollgate association`: who is connected to the gateway on this host."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import typer

from gateway.cli import output, session, units
from gateway.cli.group import examples, noun
from gateway.cli.output import AsJson, Column

if TYPE_CHECKING:
    from gateway.board import LiveAssociation

app = noun("Who is connected to the gateway on this host.")

_COLUMNS = [
    Column(title="calling"),
    Column(title="called"),
    Column(title="source"),
    Column(title="institution"),
    Column(title="instances", right=True),
    Column(title="size", right=True),
    Column(title="open for", right=True),
    Column(title="last stored", right=True),
    Column(title="worker", right=True, optional=True),
]


@app.command(
    "list", epilog=examples("tollgate association list", "tollgate association list --json")
)
def list_(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the associations that are open now, with what was stored over each.

    Read from the data directory of a gateway on this host, by the user that it runs as.
    """
    from quota.time import to_datetime
    from storage.registry import institutions

    with session.reading(context) as view:
        names = {one.id: one.name for one in institutions(view)}
        now = view.clock()
    running, found = _open_now(context)
    if as_json:
        output.document(
            [
                {
                    "calling_ae_title": one.calling_ae_title,
                    "called_ae_title": one.called_ae_title,
                    "source": one.source,
                    "institution": names.get(one.institution_id, ""),
                    "device_id": one.device_id,
                    "instances": one.instances,
                    "bytes": one.bytes,
                    "started_at": to_datetime(one.started_at).isoformat(),
                    "last_stored_at": to_datetime(one.last_at).isoformat(),
                    "worker": one.worker,
                }
                for one in found
            ]
        )
        return
    output.table(
        _COLUMNS,
        [_row(one, names, now=now) for one in found],
        empty="nobody is connected"
        if running
        else "no gateway runs on this data directory; start one with `tollgate serve`",
    )


def _open_now(context: typer.Context) -> tuple[bool, list[LiveAssociation]]:
    """Whether a gateway runs, and its associations, the longest open first."""
    from gateway.board import Board
    from gateway.bootstrap import BOARD

    try:
        board = Board(session.settings(context).data_dir / BOARD, writable=False)
    except FileNotFoundError:
        return False, []
    try:
        os.kill(board.supervisor_pid, 0)
    except ProcessLookupError:
        return False, []
    except PermissionError:
        pass  # somebody else's process: it runs
    return True, sorted(board.open_associations(), key=lambda one: one.started_at)


def _row(one: LiveAssociation, names: dict[int, str], *, now: int) -> list[output.Cell]:
    return [
        one.calling_ae_title,
        one.called_ae_title,
        one.source,
        names.get(one.institution_id, ""),
        units.count(one.instances),
        units.size(one.bytes),
        units.duration(max(0, now - one.started_at)),
        units.duration(max(0, now - one.last_at)) + " ago" if one.instances else "",
        str(one.worker),
    ]
