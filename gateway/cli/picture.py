"""The standing of an account as people look at it: status in colour, a bar, the time left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group
from rich.padding import Padding
from rich.panel import Panel
from rich.text import Text

from gateway.cli import output, units
from quota.account import Plan
from quota.order import TERABYTE, UNITS_PER_EXAM_LINE
from quota.standing import Status

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from quota.account import Account
    from quota.service import MeterReading

_BAR_CELLS_MAX = 60
_STATUS_STYLES = {
    Status.OK: "bold green",
    Status.LOW: "bold yellow",
    Status.EMPTY: "bold yellow",
    Status.ARREARS: "bold red",
    Status.SUSPENDED: "bold red",
    Status.UNPROVISIONED: "bold cyan",
    Status.CLOSED: "bold dim",
}
_MEANINGS = {
    Status.OK: "uploads go on",
    Status.LOW: "uploads go on, 10 % or less is left",
    Status.EMPTY: "nothing is left: the next examination is owed and starts the 24 hours",
    Status.UNPROVISIONED: "nothing was credited yet, uploads of examinations are refused",
    Status.CLOSED: "closed, uploads of new examinations are refused",
}
_PACKAGE_STYLES = {
    "active": "green",
    "ahead": "cyan",
    "used_up": "dim",
    "expired": "yellow",
    "voided": "dim",
}
# Each part of the bar: the meter's field, its sign (not all see colours) and its style.
_PARTS = (
    ("used", "█", "blue"),
    ("held", "▓", "magenta"),
    ("available", "░", "green"),
    ("owed", "╳", "red"),
    ("expired", "▒", "yellow"),
)
_AVAILABLE = 2
_SHOWN_IF_ANY = ("held", "expired")
_CALLS = {
    Status.OK: "calls go on",
    Status.LOW: "calls go on, 10 % or less is left",
    Status.EMPTY: "nothing is left: calls are refused",
    Status.UNPROVISIONED: "nothing was credited yet, calls are refused",
    Status.CLOSED: "closed, calls are refused",
}


def status(value: Status) -> Text:
    """A status in its colour."""
    return Text(value.value, style=_STATUS_STYLES[value])


def package_state(value: str) -> Text:
    """A package's state in its colour."""
    return Text(value.replace("_", " "), style=_PACKAGE_STYLES[value])


def meaning(reading: MeterReading, zone: ZoneInfo) -> str:
    """What the status means for uploads, with the time left of the grace on the local clock."""
    episode = reading.meter.episode
    if reading.status is Status.ARREARS and episode is not None:
        left = units.duration(episode.deadline - reading.at)
        stop = units.local(episode.deadline, zone)
        return f"{left} left, uploads of new examinations stop {stop}"
    if reading.status is Status.SUSPENDED and episode is not None:
        since = units.local(episode.deadline, zone)
        return f"uploads of new examinations are refused since {since}"
    return _MEANINGS[reading.status]


def advice(account: Account, reading: MeterReading, institutions: Sequence[str]) -> list[str]:
    """What to do next, if anything."""
    lines = []
    if not institutions:
        lines.append(
            f"no institutions yet: tollgate institution create NAME --account {account.id}"
        )
    if reading.status not in {Status.OK, Status.CLOSED}:
        owed = reading.owed
        if account.plan is Plan.PER_EXAM:
            what = f"--exams {max(1, -(-owed // UNITS_PER_EXAM_LINE)) * UNITS_PER_EXAM_LINE}"
        else:
            what = f"--capacity-tb {max(1, -(-owed // TERABYTE))} --years 1"
        then = "; what is owed is paid off first" if owed else ""
        if reading.status is Status.SUSPENDED:
            then += ", then uploads resume by themselves"
        lines.append(
            f"top up: tollgate order place --account {account.id} {what} --order-no NO{then}"
        )
    return lines


def show_account(
    account: Account, reading: MeterReading, *, plan: str, institutions: Sequence[str]
) -> None:
    """Print the head of `account show`: a panel on a terminal, aligned lines otherwise."""
    facts = [
        ("plan", plan),
        ("agreement", account.agreement_no),
        ("time zone", account.timezone),
        ("institutions", ", ".join(institutions) or "none"),
    ]
    if output.on_terminal():
        output.show(_panel(account, reading, facts))
        return
    amounts = ("available", "used", "owed", "purchased", "expired", "held", "voided")
    rows = [
        ("account", f"{account.id}"),
        ("name", account.name),
        *facts,
        ("status", reading.status.value),
        ("meaning", meaning(reading, account.zone)),
        *((name, units.amount(reading.meter.name, getattr(reading, name))) for name in amounts),
    ]
    output.facts(rows)


def show_calls(readings: Sequence[MeterReading]) -> None:
    """Print the meters of AI calls: a bar each on a terminal, a table otherwise."""
    if not readings:
        return
    output.say("")
    if output.on_terminal():
        cells = max(10, min(_BAR_CELLS_MAX, output.console().width - 8))
        for one in readings:
            output.say(
                output.joined(
                    output.styled(f"{one.meter.name}  ", "bold"), status(one.status), _calls(one)
                )
            )
            output.show(Text("  ").append_text(bar(one, cells)))
            output.show(Text("  ").append_text(legend(one)))
        return
    names = ("available", "used", "held", "purchased", "expired", "voided")
    columns = [output.Column(title=name) for name in ("meter", "status")]
    columns += [output.Column(title=name, right=True) for name in names]
    rows: list[list[output.Cell]] = [
        [
            one.meter.name,
            status(one.status),
            *(
                "no limit"
                if one.unlimited and name == "available"
                else units.count(getattr(one, name))
                for name in names
            ),
        ]
        for one in readings
    ]
    output.table(columns, rows, empty="")


def _calls(reading: MeterReading) -> str:
    if reading.unlimited:
        return ", without limit"
    return f", {_CALLS.get(reading.status, '')}"


def _panel(account: Account, reading: MeterReading, facts: Sequence[tuple[str, str]]) -> Panel:
    head = Text.assemble(
        (f" {reading.status.value.upper()} ", f"reverse {_STATUS_STYLES[reading.status]}"),
        "  ",
        meaning(reading, account.zone),
    )
    about = Text("\n").join(
        Text.assemble((f"{name:<14}", "dim"), output.clean(value)) for name, value in facts
    )
    cells = max(10, min(_BAR_CELLS_MAX, output.console().width - 8))
    parts = [head, Text(), bar(reading, cells), legend(reading), Text(), about]
    title = Text.assemble((output.clean(account.name), "bold"), (f"  account {account.id}", "dim"))
    return Panel(Padding(Group(*parts), (1, 2)), title=title, title_align="left", expand=False)


def bar(reading: MeterReading, cells: int) -> Text:
    """Used, available, owed and expired as one bar; whatever is not zero is to be seen."""
    amounts = [getattr(reading, name) for name, _, _ in _PARTS]
    total = sum(amounts)
    if total == 0:
        return Text("·" * cells, style="dim")
    shares = [max(1, amount * cells // total) if amount else 0 for amount in amounts]
    # What rounding leaves goes to the largest part that is not `available`: never show too much.
    others = [index for index in range(len(shares)) if index != _AVAILABLE and shares[index]]
    if others:
        largest = max(others, key=lambda index: shares[index])
        shares[largest] = max(1, shares[largest] + cells - sum(shares))
    return Text.assemble(
        *((sign * share, style) for share, (_, sign, style) in zip(shares, _PARTS, strict=True))
    )


def legend(reading: MeterReading) -> Text:
    """The parts of the bar in figures."""
    parts = [
        Text.assemble(
            (f"{sign} ", style),
            f"{name} ",
            (units.amount(reading.meter.name, getattr(reading, name)), "bold"),
        )
        for name, sign, style in _PARTS
        if getattr(reading, name) or name not in _SHOWN_IF_ANY
    ]
    return Text("   ").join(parts)
