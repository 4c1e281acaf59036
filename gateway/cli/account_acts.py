"""`tollgate account extend|write-off|cap|close`: an operator's acts on an account (STATE-6)."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import account as account_noun
from gateway.cli import documents, documents_ledger, lookup, output, session, units
from gateway.cli.account import AccountArgument
from gateway.cli.acts import Actor, Reason, Yes, accepted, confirm
from gateway.cli.group import examples
from gateway.cli.output import AsJson
from quota.time import MICROSECONDS_PER_SECOND, Instant, to_instant

if TYPE_CHECKING:
    from quota.account import Account
    from quota.ledger import Episode
    from storage.reports_ledger import EpisodeRow
    from storage.view import SqlView

app = account_noun.app
_HOUR = 3_600 * MICROSECONDS_PER_SECOND
HOURS_MAX = 366 * 24


@app.command(
    epilog=examples(
        "tollgate account extend 'Lakeside Hospitals' --hours 48 --reason 'transfer under way'",
        "tollgate account extend 1 --until '2026-12-01 18:00' --reason 'agreed by telephone'",
    )
)
def extend(
    context: typer.Context,
    *,
    account: AccountArgument,
    until: Annotated[
        str | None,
        typer.Option(
            metavar="INSTANT",
            help="The new deadline, on the account's local clock unless it has an offset.",
            show_default=False,
        ),
    ] = None,
    hours: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=HOURS_MAX,
            help="Or: so many hours after the deadline, or after now if that has passed.",
            show_default=False,
        ),
    ] = None,
    reason: Reason,
    actor: Actor,
    as_json: AsJson = False,
) -> None:
    """Give an account in arrears more time: move the deadline of its open episode.

    Uploads that had stopped go on until then. What is owed stays owed.
    """
    from quota import correction, service
    from quota.action import By

    if (until is None) == (hours is None):
        raise typer.BadParameter("give one of --until and --hours")
    with session.writing(context) as work:
        known = lookup.account(work, account)
        if until is not None:
            wanted = _instant(until, known)
        else:
            reading = service.read_meter(work, known, known.plan.enforced_meter)
            episode = reading.meter.episode
            start = reading.at if episode is None else max(episode.deadline, reading.at)
            wanted = start + (hours or 0) * _HOUR
        by = By(actor=actor, reason=reason)
        extended = accepted(correction.extend(work, known, until=wanted, by=by))
        work.commit()
    if as_json:
        output.document(documents_ledger.episode_document(_row_of(extended, known)))
        return
    deadline = units.local(extended.deadline, known.zone)
    output.say(f"account {known.id} has until {deadline}: uploads of new examinations go on")


def _instant(given: str, account: Account) -> Instant:
    try:
        parsed = datetime.fromisoformat(given.strip())
        return to_instant(parsed if parsed.tzinfo else parsed.replace(tzinfo=account.zone))
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"--until is an instant as '2026-12-01 18:00' or 2026-12-01T10:00Z, not {given!r}"
        ) from None


@app.command(
    "write-off",
    epilog=examples(
        "tollgate account write-off 'Lakeside Hospitals' --units 12 --reason 'test images'"
    ),
)
def write_off(
    context: typer.Context,
    *,
    account: AccountArgument,
    count: Annotated[
        int,
        typer.Option(
            "--units",
            metavar="N",
            help="How many owed examinations, the oldest first.",
            show_default=False,
        ),
    ],
    reason: Reason,
    actor: Actor,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Give up what an account owes: it will not be asked for it again. Can't be undone.

    Where nothing is owed any more, stopped uploads resume by themselves.
    """
    from quota import correction
    from quota.action import By

    def question(view: SqlView) -> str:
        return f"Write off {count:,} examinations that {_called(view, account)} owes, for good?"

    confirm(context, question, yes=yes)
    with session.writing(context) as work:
        known = lookup.account(work, account)
        by = By(actor=actor, reason=reason)
        owed = accepted(correction.write_off(work, known, units=count, by=by))
        work.commit()
    if as_json:
        output.document({"account_id": known.id, "written_off": count, "owed": owed})
        return
    output.say(f"{count:,} written off; {known.name} owes {owed:,}")


@app.command(
    epilog=examples(
        "tollgate account cap 'Lakeside Hospitals' 200 --reason 'agreement, section 4'",
        "tollgate account cap 1 --none --reason 'back to the standard agreement'",
    )
)
def cap(
    context: typer.Context,
    *,
    account: AccountArgument,
    limit: Annotated[
        int | None,
        typer.Argument(
            metavar="[N]",
            help="Examinations, or bytes on the plan per-capacity, that may be owed.",
            show_default=False,
        ),
    ] = None,
    none: Annotated[bool, typer.Option("--none", metavar="", help="Lift the cap.")] = False,
    reason: Reason,
    actor: Actor,
    as_json: AsJson = False,
) -> None:
    """Cap what an account may owe: from there on uploads stop before the 24 hours are over."""
    from quota import correction
    from quota.action import By
    from storage.pending import pending_bytes

    if (limit is None) != none:
        raise typer.BadParameter("give either a number or --none")
    with session.writing(context) as work:
        known = lookup.account(work, account)
        by = By(actor=actor, reason=reason)
        capped = accepted(correction.cap_arrears(work, known, cap=limit, by=by))
        document = documents.account_document(
            capped,
            documents.readings(work, capped),
            pending_bytes=pending_bytes(work).get(capped.id, 0),
        )
        work.commit()
    if as_json:
        output.document(document)
    elif limit is None:
        output.say(f"{known.name} has no cap: the 24 hours alone decide")
    else:
        most = units.amount(known.plan.enforced_meter, limit)
        output.say(f"uploads of {known.name} stop when {most} are owed")


@app.command(
    epilog=examples("tollgate account close 'Lakeside Hospitals' --reason 'end of agreement'")
)
def close(
    context: typer.Context,
    *,
    account: AccountArgument,
    reason: Reason,
    actor: Actor,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Close an account for good: no new examinations, no new orders. Can't be undone.

    Whatever is stored stays, and examinations under way are completed. Closing it twice changes
    nothing.
    """
    from quota import correction
    from quota.action import By
    from storage.pending import pending_bytes

    confirm(context, lambda view: f"Close {_called(view, account)} for good?", yes=yes)
    with session.writing(context) as work:
        known = lookup.account(work, account)
        by = By(actor=actor, reason=reason)
        closed = accepted(correction.close_account(work, known, by=by))
        document = documents.account_document(
            closed,
            documents.readings(work, closed),
            pending_bytes=pending_bytes(work).get(closed.id, 0),
        )
        work.commit()
    if as_json:
        output.document(document)
        return
    output.say(f"account {closed.id} is closed: {closed.name}")


def _row_of(episode: Episode, account: Account) -> EpisodeRow:
    from storage.reports_ledger import EpisodeRow

    return EpisodeRow(
        meter=account.plan.enforced_meter,
        started_at=episode.started_at,
        deadline=episode.deadline,
        closed_at=None,
    )


def _called(view: SqlView, account: str) -> str:
    return lookup.account(view, account).name
