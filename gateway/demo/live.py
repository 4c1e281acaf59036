"""The story on a terminal: finished steps above, and below them what happens now."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gateway.cli import picture, units
from gateway.demo.hospital import Snapshot
from gateway.demo.modality import Batch, Modality
from gateway.demo.teller import NEXT, Scene, Summary, countdown
from quota.time import MICROSECONDS_PER_SECOND

_WIDTH_MAX = 100
_WIDTH_MIN = 72
_HEIGHT_MIN = 24
_ENTRIES_SHOWN = 3
_BEATS = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


def can_draw() -> bool:
    """Whether standard output is a terminal that the view fits on."""
    console = _console()
    return (
        sys.stdout.isatty()
        and not console.is_dumb_terminal
        and console.encoding.startswith("utf")
        and console.width >= _WIDTH_MIN
        and console.height >= _HEIGHT_MIN
    )


class LiveTeller:
    """Draws with rich; what is finished scrolls up and stays."""

    interval_s = 0.1
    pause_s = 1.2

    def __init__(self) -> None:
        self._console = _console()
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._width = min(self._console.width, _WIDTH_MAX)
        self._steps = 0
        self._number = 0
        self._title = ""
        self._finished = False
        self._beat = 0

    def open(self, steps: int) -> None:
        """Take the lower part of the terminal."""
        self._steps = steps
        self._console.print(
            Text.assemble(
                ("tollgate demo", "bold"),
                "  a real gateway, real DICOM associations, simulated devices\n",
            )
        )
        self._live.start()

    def begin(self, number: int, title: str) -> None:
        """Show which step is under way."""
        self._number, self._title, self._finished = number, title, False

    def watch(self, scene: Scene) -> None:
        """Draw what the ledger and the devices say now."""
        self._beat += 1
        snapshot = scene.look()
        parts: list[RenderableType] = [_account(snapshot, self._width), _devices(scene.devices)]
        if snapshot.refusals:
            parts.append(_register(snapshot))
        parts.append(self._now())
        self._live.update(Group(*parts), refresh=True)

    def end(self, sentence: str, scene: Scene) -> None:
        """Tick the step off, above what is drawn."""
        self._finished = True
        line = Table.grid(padding=(0, 1))
        line.add_column(width=8, justify="right")
        line.add_column(width=self._width - 10)
        mark = Text.assemble((f"{self._number:2}/{self._steps} ", "dim"), ("✓", "bold green"))
        line.add_row(mark, Text.assemble((self._title, "bold"), "\n", sentence))
        self._live.console.print(line)
        self.watch(scene)

    def close(self) -> None:
        """Give the terminal back."""
        self._live.stop()

    def sum_up(self, summary: Summary) -> None:
        """Print the figures, and what to do next."""
        self._console.print(_pairs("summary", summary.rows(), style="bold"))
        self._console.print(_pairs("next", NEXT, style="cyan"))

    def fail(self, reason: str) -> None:
        """Say at which step the story broke off, and why."""
        where = f"{self._number:2}/{self._steps} "
        self._console.print(
            Text.assemble((where, "dim"), ("✗ ", "bold red"), (self._title, "bold"), "\n", reason)
        )

    def _now(self) -> Text:
        if self._finished:
            return Text()
        beat = _BEATS[self._beat % len(_BEATS)]
        return Text.assemble(
            (f"\n{self._number:2}/{self._steps} ", "dim"), (f"{beat} ", "cyan"), self._title
        )


def _console() -> Console:
    return Console(highlight=False, markup=False, emoji=False)


def _account(snapshot: Snapshot, width: int) -> Panel:
    reading, zone = snapshot.reading, snapshot.account.zone
    badge = picture.status(reading.status)
    head = Text.assemble(
        (f" {reading.status.value.upper()} ", f"reverse {badge.style}"),
        "  ",
        picture.meaning(reading, zone),
        no_wrap=True,
        overflow="ellipsis",
    )
    # To the second, so that the clock is seen to run: the story is about 24 hours.
    second = reading.at // MICROSECONDS_PER_SECOND * MICROSECONDS_PER_SECOND
    clock = Text.assemble(("the demo's clock ", "dim"), units.local(second, zone)[:16])
    if reading.meter.episode is not None:
        left = countdown(reading.meter.episode.deadline - reading.at)
        clock.append_text(Text.assemble(("   left of the grace ", "dim"), (left, "bold red")))
    parts = [head, picture.bar(reading, width - 4), picture.legend(reading), clock]
    return Panel(
        Group(*parts), title=Text(snapshot.account.name, "bold"), title_align="left", width=width
    )


def _devices(devices: Sequence[Modality]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for justify in ("left", "left", "right", "right", "right"):
        table.add_column(justify=justify, no_wrap=True)
    for device in devices:
        batch = device.batch
        refused = batch.refused > 0
        table.add_row(
            Text(f" {device.ae_title:<8}", "bold"),
            ProgressBar(
                total=max(batch.examinations, 1),
                completed=batch.examinations_done,
                width=24,
                complete_style="red" if refused else "blue",
                finished_style="red" if refused else "green",
            ),
            _sent(batch),
            f"{units.count(device.instances_stored)} stored",
            Text(_speed(batch), "" if device.sending else "dim"),
        )
    return table


def _sent(batch: Batch) -> str:
    if not batch.examinations:
        return "idle"
    return f"{units.count(batch.examinations_done)} of {units.count(batch.examinations)} sent"


def _speed(batch: Batch) -> str:
    return f"{batch.per_second:.0f} instances/s" if batch.examinations else ""


def _register(snapshot: Snapshot) -> Table:
    shown = snapshot.refusals[:_ENTRIES_SHOWN]
    table = Table.grid(padding=(0, 2, 0, 0))
    head = f" register of refusals: {snapshot.open_refusals} open of {len(snapshot.refusals)}"
    table.add_row(Text(head, "bold red" if snapshot.open_refusals else "bold green"))
    for row in shown:
        style = "dim" if row.resolved_at is not None else ""
        state = "all stored since" if row.resolved_at is not None else f"{row.missing} missing"
        reason = row.reason.replace("_", " ")
        table.add_row(
            Text(f"   {row.accession:<16}{reason:<15}{row.refused} refused, {state}", style)
        )
    for _ in range(_ENTRIES_SHOWN - len(shown)):
        table.add_row("")
    return table


def _pairs(title: str, pairs: Sequence[tuple[str, str]], *, style: str) -> Group:
    table = Table.grid(padding=(0, 3, 0, 0))
    for name, value in pairs:
        table.add_row(Text(f"  {name}", style), value)
    return Group(Text(f"\n{title}", "bold"), table)
