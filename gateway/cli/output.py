"""Shows results: JSON for programs, tables on a terminal, aligned text elsewhere.

Standard output is the result and nothing else; hints go to standard error.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeAlias, TypeVar

import typer
from rich import box
from rich.cells import cell_len
from rich.console import Console, JustifyMethod, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

AsJson = Annotated[bool, typer.Option("--json", metavar="", help="Print the result as JSON.")]

Cell: TypeAlias = str | Text
_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A column of a table; optional ones give way, the last first, where a terminal is narrow."""

    title: str
    right: bool = False
    optional: bool = False


def console(*, stderr: bool = False) -> Console:
    """The terminal, or the pipe, as it is now."""
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def on_terminal() -> bool:
    """Whether a person looks at standard output."""
    return console().is_terminal


def document(value: object) -> None:
    """Print JSON: indented on a terminal, on one line otherwise.

    Only a real terminal counts: FORCE_COLOR is meant for people, and would break the JSON.
    """
    if sys.stdout.isatty():
        from rich.highlighter import JSONHighlighter

        text = JSONHighlighter()(json_text(value, indent=2))
        console().print(text, soft_wrap=True)
    else:
        sys.stdout.write(json_text(value) + "\n")
        sys.stdout.flush()


def json_text(value: object, *, indent: int | None = None) -> str:
    """JSON with Chinese names readable and nothing in it that a terminal would obey."""
    separators = (",", ": ") if indent else (",", ":")
    text = json.dumps(value, ensure_ascii=False, indent=indent, separators=separators)
    encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
    return "".join(
        json.dumps(character)[1:-1]
        if (_obeyed(character) and character != "\n")
        or (encoding != "utf8" and not character.isascii())
        else character
        for character in text
    )


def clean(text: str) -> str:
    """Text from outside, with what a terminal would obey written as escapes."""
    return "".join(
        character.encode("unicode_escape").decode() if _obeyed(character) else character
        for character in text
    )


def _obeyed(character: str) -> bool:
    # Control, format (bidirectional overrides among them), surrogates; line separators.
    category = unicodedata.category(character)
    return category.startswith("C") or category in {"Zl", "Zp"}


def say(text: Cell) -> None:
    """Print one line of the result."""
    console().print(_text(text), soft_wrap=True)


def show(renderable: RenderableType) -> None:
    """Print something that only a terminal gets to see."""
    console().print(renderable)


def hint(text: str) -> None:
    """Say what may be done next, beside the result."""
    console(stderr=True).print(Text(clean(text), style="dim"), soft_wrap=True)


def hint_at_more(found: int, limit: int) -> None:
    """Say that there is more than is shown, where there is."""
    if found > limit:
        hint(f"these are the latest {limit:,}; show more with --limit")


def facts(pairs: Sequence[tuple[str, str]]) -> None:
    """Print names and values, one pair a line."""
    width = max(len(name) for name, _ in pairs) + 2
    for name, value in pairs:
        say(joined(styled(name.ljust(width), "dim"), value))


def styled(text: str, style: str) -> Text:
    """A cell in a colour."""
    return Text(clean(text), style=style)


def joined(*cells: Cell) -> Text:
    """Several cells as one."""
    return Text().join(_text(cell) for cell in cells)


def table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], *, empty: str) -> None:
    """Print a table, or the hint `empty` where there are no rows."""
    if not rows:
        hint(empty)
    elif on_terminal():
        show(fitting(columns, rows))
    else:
        sys.stdout.write(_aligned(columns, rows))
        sys.stdout.flush()


def fitting(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> Table:
    """A table for the terminal, without the optional columns for which it has no room."""
    terminal = console()
    kept = list(range(len(columns)))
    while True:
        made = _rich(columns, rows, kept)
        wide = Measurement.get(terminal, terminal.options.update(max_width=10_000), made).maximum
        spare = [index for index in kept if columns[index].optional]
        if wide <= terminal.width or not spare:
            return made
        kept.remove(spare[-1])


def csv_rows(target: str, rows: Iterable[Sequence[str]]) -> None:
    """Write CSV as RFC 4180 has it, in UTF-8, to the file `target`, or to the output for `-`.

    A file is whole or not there: it takes its name once the last row is durable.
    """
    if target == "-":
        writing = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="")
        csv.writer(writing).writerows(rows)
        writing.flush()
        writing.detach()
        return
    partial = Path(f"{target}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="") as writing:
            csv.writer(writing).writerows(rows)
            writing.flush()
            os.fsync(writing.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def progress(things: Iterable[_T], *, total: int, doing: str) -> Iterator[_T]:
    """The same things one by one, and a bar on standard error where a person looks on."""
    from rich.progress import track

    terminal = console(stderr=True)
    yield from track(
        things,
        doing,
        total=total,
        console=terminal,
        transient=True,
        disable=not terminal.is_terminal,
    )


def _rich(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], kept: Sequence[int]) -> Table:
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for index in kept:
        column = columns[index]
        justify: JustifyMethod = "right" if column.right else "left"
        made.add_column(column.title, justify=justify, overflow="fold")
    for row in rows:
        made.add_row(*(_text(row[index]) for index in kept))
    return made


def _aligned(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> str:
    lines = [[column.title.upper() for column in columns]]
    lines += [[_text(cell).plain for cell in row] for row in rows]
    widths = [max(cell_len(line[index]) for line in lines) for index in range(len(columns))]
    return "".join(_line(columns, line, widths) for line in lines)


def _line(columns: Sequence[Column], cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = []
    for column, cell, width in zip(columns, cells, widths, strict=True):
        # Cells, not characters: a Chinese name is twice as wide.
        blanks = " " * (width - cell_len(cell))
        padded.append(blanks + cell if column.right else cell + blanks)
    return "  ".join(padded).rstrip() + "\n"


def _text(cell: Cell) -> Text:
    return cell if isinstance(cell, Text) else Text(clean(cell))
