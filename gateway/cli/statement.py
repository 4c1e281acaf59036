"""`tollgate statement`: what an account's month adds up to, and every line of it."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import lookup, output, session, statement_text, units
from gateway.cli.account import AccountArgument
from gateway.cli.output import AsJson, Column
from gateway.cli.problem import Problem
from quota.statement import MOVE_NAMES, Balances, Finality, Month, Moves

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from quota.account import Account
    from quota.statement import Level, Line, MeterStatement, Statement
    from storage.view import SqlView

_STYLES = {Finality.FINAL: "green", Finality.PROVISIONAL: "yellow", Finality.OPEN: "cyan"}
_MEANINGS = {
    Finality.FINAL: "nothing can be booked into this month any more",
    Finality.PROVISIONAL: "the month is over and everything due is counted; "
    "the running gateway makes it final",
    Finality.OPEN: "the month goes on; this is how it stands now",
}
_WORDS = {"reversed_owed": "reversed (owed)", "written_off": "written off", "held": "set aside"}


def _month(given: str) -> Month:
    month = Month.parse(given)
    if month is None:
        raise typer.BadParameter(f"{given!r} is no month: write one as 2026-11")
    return month


def statement(
    context: typer.Context,
    *,
    account: AccountArgument,
    month: Annotated[
        Month | None,
        typer.Option(
            metavar="YYYY-MM",
            parser=_month,
            help="Which month, by the account's own calendar; else the current one.",
            show_default=False,
        ),
    ] = None,
    csv: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write CSV (RFC 4180, UTF-8) to FILE; - for the output."),
    ] = None,
    lines: Annotated[
        bool, typer.Option("--lines", metavar="", help="Every posting, not the sums.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what was purchased, used, owed and lapsed in one month.

    A month runs from its first instant to that of the next on the account's clock.
    What happened counts at the instant it is booked at: a package that lapses at midnight
    lapses then, whenever somebody noticed. Amounts of capacity are bytes, exact.
    """
    from storage.statements import count_lines
    from storage.statements import lines as lines_of
    from storage.statements import statement as statement_of

    if as_json and csv is not None:
        raise typer.BadParameter("give one of --json and --csv")
    with session.reading(context) as view:
        known = lookup.account(view, account)
        wanted = _begun(view, known, month)
        if lines:
            found = lines_of(view, known, wanted)
            total = count_lines(view, known, wanted) if csv else 0
            _show_lines(known, wanted, found, csv=csv, as_json=as_json, total=total)
        else:
            _show(statement_of(view, known, wanted), csv, as_json)


def _begun(view: SqlView, account: Account, month: Month | None) -> Month:
    from storage.statements import current_month

    current = current_month(view, account)
    if month is not None and month > current:
        raise Problem(
            f"{month} has not begun in {account.timezone}; the current month is {current}"
        )
    return month or current


def _show(found: Statement, csv: str | None, as_json: bool) -> None:
    if as_json:
        output.document(statement_text.document(found))
    elif csv is not None:
        rows = statement_text.rows(found)
        output.csv_rows(csv, chain([statement_text.HEADER], rows))
    else:
        _table(found)


def _show_lines(
    account: Account,
    month: Month,
    found: Iterator[Line],
    *,
    csv: str | None,
    as_json: bool,
    total: int,
) -> None:
    if as_json:
        output.document([statement_text.line_document(line) for line in found])
    elif csv is not None:
        rows = (statement_text.line_row(account, month, line) for line in found)
        told: Iterable[list[str]] = output.progress(rows, total=total, doing="writing lines")
        output.csv_rows(csv, chain([statement_text.LINE_HEADER], told))
    else:
        columns = [
            Column(title="booked"),
            Column(title="meter"),
            Column(title="what"),
            Column(title="units", right=True),
            Column(title="record"),
            Column(title="examination", optional=True),
            Column(title="order", optional=True),
            Column(title="packages", optional=True),
        ]
        empty = f"nothing was booked in {month}"
        output.table(columns, [_line(account, line) for line in found], empty=empty)


def _line(account: Account, line: Line) -> list[output.Cell]:
    moved = [
        f"{_word(name)} {getattr(line.moves, name):+,}"
        for name in MOVE_NAMES
        if getattr(line.moves, name)
    ]
    level = line.added - line.freed
    return [
        units.local(line.booked_at, account.zone),
        line.meter,
        line.kind.replace("_", " "),
        ", ".join(moved) or f"{level:+,}",
        f"{line.source} {line.id}" if line.id is not None else line.source,
        line.examination_id or "",
        line.order_no or "",
        " ".join(map(str, line.packages)),
    ]


def _table(found: Statement) -> None:
    zone = found.account.zone
    facts = [
        ("account", f"{found.account.name} ({found.account.id})"),
        ("month", f"{found.month} in {found.account.timezone}"),
        ("from", units.local(found.start, zone)),
        ("before", units.local(found.end, zone)),
        ("as of", units.local(min(found.at, found.end), zone)),
    ]
    output.facts(facts)
    if not found.meters:
        output.hint("nothing was ever booked for this account")
    for meter in found.meters:
        output.say("")
        state = output.styled(meter.finality.value, _STYLES[meter.finality])
        pending = f", {meter.pending:,} due and not recorded yet" if meter.pending else ""
        output.say(
            output.joined(f"{meter.meter}  ", state, f": {_MEANINGS[meter.finality]}{pending}")
        )
        _units(meter)
        if meter.level is not None:
            _level(meter.level)


def _units(meter: MeterStatement) -> None:
    """What is there and what is owed, from the opening to the closing, one move a row."""
    names = (
        ["available", "held", "owed"] if meter.meter.startswith("ai:") else ["available", "owed"]
    )
    if meter.level is not None:
        names = ["available"]
        if meter.closing.purchased == 0:
            return

    def row(title: str, balances: Balances, shown: str) -> list[output.Cell]:
        amounts = [getattr(balances, name) for name in names]
        return [
            title,
            *(format(amount, shown) if amount or shown == "," else "" for amount in amounts),
        ]

    rows = [row("opening", meter.opening, ",")]
    for name in MOVE_NAMES:
        moved = getattr(meter.moves, name)
        if moved or name in {"purchased", "used"}:
            alone = Balances().after(Moves(**{name: moved}))
            rows.append(row(_word(name), alone, "+,"))
    rows.append(row("closing", meter.closing, ","))
    columns = [Column(title="units"), *(Column(title=name, right=True) for name in names)]
    output.table(columns, rows, empty="")


def _level(level: Level) -> None:
    rows: list[list[output.Cell]] = [
        ["opening", f"{level.opening:,}"],
        ["added", f"{level.added:+,}"],
        ["freed", f"{-level.freed:+,}"],
        ["closing", f"{level.closing:,}"],
    ]
    if level.limit is not None:
        rows += [["limit", f"{level.limit:,}"], ["over the limit", f"{level.over_limit:,}"]]
    output.table([Column(title="stored"), Column(title="bytes", right=True)], rows, empty="")


def _word(name: str) -> str:
    return _WORDS.get(name, name)
