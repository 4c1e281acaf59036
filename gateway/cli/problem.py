"""What goes wrong, in one line on stderr: 1 for refusals and unknown names, 2 for wrong usage."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable

import typer

from gateway.cli.output import clean

REFUSED = 1
USAGE = 2


class Problem(Exception):
    """What was asked for can't be done; `rule` names the rule that refuses it, if one does."""

    def __init__(self, message: str, *, rule: str | None = None) -> None:
        super().__init__(message)
        self.rule = rule


def told(run: Callable[[], object], *, as_json: bool) -> int:
    """Run a command; tell an expected error in plain words. Returns the exit status.

    Anything unexpected is a bug and passes through, with its traceback.
    """
    try:
        status = run()
    except typer.Abort:
        return REFUSED
    except Exception as error:
        messages = _messages(error)
        if not messages:
            raise
        _tell(messages, getattr(error, "rule", None), as_json=as_json)
        return USAGE if isinstance(error, typer.TyperException) else REFUSED
    return status if isinstance(status, int) else 0


def _messages(error: Exception) -> list[str]:
    # Imported only now: a command that goes well must not pay for them.
    from config import SettingsError
    from quota.errors import QuotaError
    from storage.errors import StorageError

    match error:
        case typer.TyperException():
            return [_usage(error)]
        case SettingsError():
            return [str(problem) for problem in error.problems]
        case Problem() | QuotaError() | StorageError():
            return [str(error)]
        case OSError(errno=int(number)):
            where = f"{error.filename}: " if error.filename else ""
            return [f"{where}{os.strerror(number)}"]
        case _:
            return []


def _usage(error: typer.TyperException) -> str:
    # "Value error" is how pydantic, inside Typer, begins what it says of a choice.
    message = " ".join(error.format_message().replace("Value error, ", "").split())
    context = getattr(error, "ctx", None)
    if context is None:
        return message
    return f"{message.rstrip('.')} (see: {context.command_path} --help)"


def _tell(messages: list[str], rule: str | None, *, as_json: bool) -> None:
    if as_json:
        sys.stderr.write(json.dumps({"error": "; ".join(messages), "rule": rule}) + "\n")
        return
    for message in messages:
        sys.stderr.write(f"error: {f'{rule}: ' if rule else ''}{clean(message)}\n")
