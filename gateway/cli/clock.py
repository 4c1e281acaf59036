"""`tollgate clock`: the clock that the ledger goes by, and whether it is believed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from gateway.cli import output, session
from gateway.cli.acts import Actor, Reason, Yes, confirm
from gateway.cli.documents import instant_text
from gateway.cli.group import examples, noun
from gateway.cli.output import AsJson

if TYPE_CHECKING:
    from quota.time import Instant
    from storage.clock_guard import ClockState
    from storage.view import SqlView

app = noun("The clock that the ledger goes by: whether it has leapt, and that it is right.")


@app.command(epilog=examples("tollgate clock status", "tollgate clock status --json"))
def status(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Show the ledger's clock, and whether nothing is booked by it until somebody has looked."""
    from storage.clock_guard import state

    with session.reading(context) as view:
        found, now = state(view.connection), view.clock()
    if as_json:
        output.document(_document(found, now))
        return
    output.say(f"the ledger's clock says {instant_text(now)}")
    if found.held_at is None:
        output.say("it is in order")
        return
    seen = instant_text(found.beat_at) if found.beat_at else "never"
    output.say(f"held since {instant_text(found.held_at)}; last seen in order: {seen}")
    output.hint("is it right? tollgate clock confirm; if not, set the host's clock first")


@app.command("confirm", epilog=examples("tollgate clock confirm --reason 'moved to a new host'"))
def confirm_clock(
    context: typer.Context,
    *,
    reason: Reason,
    actor: Actor,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Say that the ledger's clock is right: what waited for it is booked, by what it says now.

    It is held where it leaps ahead by more than five minutes, or where the gateway was away for
    more than 30 days. Packages that have ended by this clock then expire for good.
    """
    from storage import clock_guard

    def question(view: SqlView) -> str:
        return f"Is it {instant_text(view.clock())} now? Packages that have ended then expire."

    confirm(context, question, yes=yes)
    with session.opened(context) as ledger, ledger.unguarded().begin() as work:
        found = clock_guard.confirm(work)
        work.note_action(actor=actor, action="clock_confirm", subject="clock", reason=reason)
        work.commit()
        now = work.clock()
    if as_json:
        output.document(_document(found, now))
        return
    output.say(f"confirmed: it is {instant_text(now)}; uploads and bookings go on")


def _document(found: ClockState, now: Instant) -> dict[str, Any]:
    return {
        "now": instant_text(now),
        "held": found.held_at is not None,
        "held_at": instant_text(found.held_at),
        "last_in_order_at": instant_text(found.beat_at) if found.beat_at else None,
        "confirmed_at": instant_text(found.confirmed_at),
    }
