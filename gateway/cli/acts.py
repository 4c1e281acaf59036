"""What every act of an operator asks for: who, why, and whether it is meant."""

from __future__ import annotations

import sys
from collections.abc import Callable
from getpass import getuser
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from gateway.cli import session, values
from gateway.cli.problem import Problem
from quota.order import Rejected

if TYPE_CHECKING:
    from storage.view import SqlView

_T = TypeVar("_T")

Reason = Annotated[
    str,
    typer.Option(
        metavar="TEXT", parser=values.text, help="Why; it is journaled.", show_default=False
    ),
]
Actor = Annotated[
    str,
    typer.Option(
        "--by",
        "--actor",
        metavar="NAME",
        parser=values.text,
        help="Who; it is journaled (default: who is logged in).",
        default_factory=getuser,
        show_default=False,
    ),
]
Yes = Annotated[
    bool, typer.Option("--yes", metavar="", help="Don't ask before what can't be undone.")
]


def confirm(context: typer.Context, question: Callable[[SqlView], str], *, yes: bool) -> None:
    """Ask a person before what can't be undone; a script, which has no terminal, is not asked.

    No transaction stays open while the person thinks. Raises typer.Abort where the answer is no.
    """
    if yes or not sys.stdin.isatty():
        return
    with session.reading(context) as view:
        text = question(view)
    typer.confirm(text, abort=True, err=True)


def accepted(outcome: _T | Rejected) -> _T:
    """The outcome of an act; raises Problem, with the rule, where one refuses it."""
    if isinstance(outcome, Rejected):
        raise Problem(outcome.message, rule=outcome.rule)
    return outcome
