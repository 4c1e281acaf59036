"""The groups of commands: help where nothing was asked for, errors in one line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import typer
from rich.markup import escape
from typer.core import TyperGroup

from gateway.cli.problem import USAGE, told


class Noun(TyperGroup):
    """A group of commands that shows its help where no command was given."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take the arguments; none at all is wrong usage, answered with the help."""
        if not args and not ctx.resilient_parsing:
            typer.echo(ctx.get_help())
            raise typer.Exit(USAGE)
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed


class Root(Noun):
    """`tollgate` itself: turns expected errors into a line and an exit status."""

    def main(self, args: Sequence[str] | None = None, *further: Any, **extra: Any) -> Any:
        """Run the command that `args` name; always ends in SystemExit."""
        given = list(sys.argv[1:] if args is None else args)
        extra["standalone_mode"] = False
        main = super().main
        sys.exit(told(lambda: main(given, *further, **extra), as_json="--json" in given))


def noun(about: str) -> typer.Typer:
    """A group of commands about one noun."""
    return typer.Typer(cls=Noun, help=about, rich_markup_mode="rich")


def examples(*commands: str) -> str:
    """The end of a command's help."""
    lines = [f"  [cyan]{escape(command)}[/]" for command in commands]
    return "\n".join(["[bold]Example[/]" if len(lines) == 1 else "[bold]Examples[/]", *lines])
