"""By whose word an order is placed: an operator's, or an institution's, proved by its token."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gateway.cli.problem import Problem

if TYPE_CHECKING:
    from storage.work import SqlWork

TOKEN_FILE_CHARACTERS_MAX = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Proof:
    """Who somebody says to be, and the token that is to show it."""

    institution_id: int
    token: str = field(repr=False)


def claimed(
    institution_id: int | None, token_file: str | None, token_env: str | None, *, by_operator: bool
) -> Proof | None:
    """What was given of it; None where an operator orders. A token never stands among arguments,
    where the shell's history and every process list would show it."""
    if institution_id is None:
        if token_file is not None or token_env is not None:
            raise typer.BadParameter("a token goes with --institution-id")
        return None
    if by_operator:
        raise typer.BadParameter("--by-operator doesn't go with --institution-id")
    if (token_file is None) == (token_env is None):
        raise typer.BadParameter("give the token by --token-file FILE or --token-env VARIABLE")
    if token_env is not None:
        if token_env not in os.environ:
            raise typer.BadParameter(f"the environment has no variable {token_env}")
        text = os.environ[token_env]
    elif token_file == "-":  # noqa: S105  # the name of standard input
        text = sys.stdin.read(TOKEN_FILE_CHARACTERS_MAX)
    else:
        assert token_file is not None
        with Path(token_file).open(encoding="utf-8", errors="replace") as file:
            text = file.read(TOKEN_FILE_CHARACTERS_MAX)
    return Proof(institution_id=institution_id, token=text.strip())


def payer(work: SqlWork, proof: Proof, *, order_no: str) -> str:
    """The id of the account that pays for the institution. Raises Problem by the rule TOKEN.

    A refusal is journaled, without the token, and nothing else is written.
    """
    from storage.tokens import token_holds

    account_id = work.payer_of(proof.institution_id)
    if token_holds(work, proof.institution_id, proof.token) and account_id is not None:
        return str(account_id)
    work.note_action(
        actor=f"institution {proof.institution_id}",
        action="token_refused",
        subject=order_no[:64] if order_no.isprintable() else "",
        reason="an order with a token that is not the institution's",
    )
    work.commit()
    raise Problem("that is not the token of that institution", rule="TOKEN")
