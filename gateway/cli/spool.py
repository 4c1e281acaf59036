"""`tollgate spool`: what is acknowledged and not filed yet, on whose disk."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from gateway.cli import lookup, output, session, units, values
from gateway.cli.acts import Actor, Reason, Yes, accepted, confirm
from gateway.cli.documents import instant_text
from gateway.cli.group import examples, noun
from gateway.cli.output import AsJson, Column
from quota.time import MICROSECONDS_PER_SECOND

if TYPE_CHECKING:
    from quota.time import Instant
    from storage.spool_register import RegisteredSpool
    from storage.view import SqlView

app = noun("What is acknowledged and not filed yet: the spools of every host.")

_NO_SUCH = "no spool has that id; see: tollgate spool status"
_STYLES = {"serving": "green", "idle": "dim", "unseen": "red", "lost": "yellow"}
_COLUMNS = [
    Column(title="host"),
    Column(title="state"),
    Column(title="last seen"),
    Column(title="records", right=True),
    Column(title="size", right=True),
    Column(title="fill", right=True),
    Column(title="oldest", right=True),
    Column(title="drains in", right=True),
    Column(title="spool"),
]

SpoolArgument = Annotated[
    str, typer.Argument(metavar="ID", help="The spool's id, a UUID.", show_default=False)
]


@app.command(epilog=examples("tollgate spool status", "tollgate spool status --json"))
def status(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Show every spool: how much waits in it, since when, and how long it will take to drain.

    serving: a worker holds it. idle: it was closed with nothing in it. unseen: no worker has told
    of it for 15 minutes, and it may hold records. lost: an operator has given it up. The time to
    drain is that at the rate of the last minute.
    """
    from storage.spool_register import registered

    with session.reading(context) as view:
        found, now = registered(view), view.clock()
    if as_json:
        output.document([_document(one, now) for one in found])
        return
    output.table(
        _COLUMNS,
        [_row(one, now) for one in found],
        empty="no spools yet: the first start of the gateway (tollgate serve) makes them",
    )
    if any(one.state == "unseen" for one in found):
        output.hint(
            "unseen: start the gateway on that host, or bring the directory to another one "
            "(tollgate spool adopt); if the disk is gone: tollgate spool declare-lost"
        )


@app.command(
    "declare-lost", epilog=examples("tollgate spool declare-lost ID --reason 'disk burnt'")
)
def declare_lost(
    context: typer.Context,
    *,
    spool: SpoolArgument,
    reason: Reason,
    actor: Actor,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Give up a spool whose disk is gone. What was acknowledged into it and not filed is lost.

    Until then no charge is taken back of an examination that it may hold. Opened again by a
    gateway, it counts again and is filed.
    """
    from quota.action import By
    from storage import spool_register

    spool_id = spool.strip().lower()

    def question(view: SqlView) -> str:
        one = next((one for one in spool_register.registered(view) if one.id == spool_id), None)
        if one is None:
            raise lookup.unknown("spool", _NO_SUCH)
        what = f"{units.count(one.records)} records, {units.size(one.bytes)}"
        return f"Give up spool {one.id} of {one.host}, with {what} when it was last seen?"

    confirm(context, question, yes=yes)
    with session.writing(context) as work:
        by = By(actor=actor, reason=reason)
        outcome = accepted(spool_register.declare_lost(work, spool_id, by=by))
        if outcome is None:
            raise lookup.unknown("spool", _NO_SUCH)
        work.commit()
        now = work.clock()
    if as_json:
        output.document(_document(outcome, now))
        return
    what = f"{units.count(outcome.records)} records, {units.size(outcome.bytes)}"
    output.say(f"spool {outcome.id} of {outcome.host} is declared lost, with {what}")


@app.command(
    epilog=examples("tollgate spool adopt /mnt/old-disk/spool/0d8f3f5e-6d0c-4c52-9a53-6f1f3c0b8a11")
)
def adopt(
    context: typer.Context,
    *,
    directory: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="The spool's directory, as it was on its host.", show_default=False
        ),
    ],
    actor: Actor,
    as_json: AsJson = False,
) -> None:
    """Take over a spool of another host: move its directory below this host's spools.

    The next start of the gateway files what is in it. A directory on another volume is copied,
    made durable, and then removed where it was. One that a gateway holds is refused.
    """
    from gateway.bootstrap import spool_root
    from storage.spool.adopting import bring
    from storage.spool_register import register

    root = spool_root(session.settings(context))
    host = socket.gethostname()
    with session.opened(context) as ledger:
        brought = bring(directory, root)  # before the transaction: a copy takes long
        with ledger.begin() as work:
            register(work, brought.name, host=host)
            work.note_action(
                actor=actor,
                action="spool_adopt",
                subject=brought.name,
                reason=f"brought to {host}"[: values.TEXT_LENGTH_MAX],
            )
            work.commit()
    if as_json:
        output.document({"id": brought.name, "directory": str(brought), "host": host})
        return
    output.say(f"spool {brought.name} is now {brought}")
    output.hint("restart the gateway on this host: it files what is in it")


def _row(one: RegisteredSpool, now: Instant) -> list[output.Cell]:
    drains_in_s = one.drains_in_s
    return [
        one.host,
        output.styled(one.state, _STYLES[one.state]),
        units.local(one.last_seen, ZoneInfo("UTC")),
        units.count(one.records),
        units.size(one.bytes),
        f"{int(one.fill * 100)} %",
        units.duration(max(0, now - one.oldest_received_at)) if one.oldest_received_at else "",
        _drains_in(drains_in_s) if one.records else "",
        one.id,
    ]


def _drains_in(seconds: int | None) -> str:
    return "not draining" if seconds is None else units.duration(seconds * MICROSECONDS_PER_SECOND)


def _document(one: RegisteredSpool, now: Instant) -> dict[str, Any]:
    oldest = one.oldest_received_at
    return {
        "id": one.id,
        "host": one.host,
        "state": one.state.value,
        "first_seen_at": instant_text(one.first_seen),
        "last_seen_at": instant_text(one.last_seen),
        "filed_through": instant_text(one.filed_through) if one.filed_through else None,
        "records": one.records,
        "bytes": one.bytes,
        "limit_bytes": one.limit_bytes,
        "fill": round(one.fill, 4),
        "oldest_received_at": instant_text(oldest) if oldest else None,
        "oldest_age_s": max(0, now - oldest) // MICROSECONDS_PER_SECOND if oldest else None,
        "filed_bytes_per_s": one.minute_bytes // 60,
        "drains_in_s": one.drains_in_s,
        "declared_lost_at": instant_text(one.declared_lost_at),
        "declared_by": one.declared_by,
        "reason": one.reason,
    }
