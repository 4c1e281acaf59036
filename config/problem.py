"""What is wrong with the settings, in words that let a person repair it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from config.catalogue import Key

MASK = "***"
_SHOWN_CHARACTERS_MAX = 200
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def masked(text: str) -> str:
    """Hide what may be secret in a secret key's value.

    Only the path of an SQLite URL is shown. Of any other URL the scheme remains: a password may
    stand before the host or in the query, and one with "@" or "/" in it defeats cleverer parsing.
    """
    if not text:
        return text
    if text.startswith("sqlite:///"):
        path, query, _ = text.partition("?")
        return f"{path}?{MASK}" if query else path
    scheme = _SCHEME.match(text)
    return f"{scheme.group()}{MASK}" if scheme else MASK


def shown(key: Key, value: object) -> str:
    """Write a value as a person would in TOML; secrets masked, long ones cut, always printable."""
    if key.secret:
        value = masked(value) if isinstance(value, str) else MASK
    text = json.dumps(value, default=str, ensure_ascii=False)
    text = text.encode("utf-8", "backslashreplace").decode()
    if len(text) <= _SHOWN_CHARACTERS_MAX:
        return text
    return f"{text[:_SHOWN_CHARACTERS_MAX]}… ({len(text)} characters)"


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One thing to repair: which key or name, where it was given, and the sentence for a person.

    `key` is a dotted key, or what was given in its place: a variable, a section, a file.
    """

    key: str
    where: str
    message: str

    def __str__(self) -> str:
        """Return the sentence; secrets in it are masked."""
        return self.message


class SettingsError(Exception):
    """The settings cannot be used; `problems` has all that is wrong, the message one line each."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        """Take at least one problem."""
        self.problems = tuple(problems)
        assert self.problems, "a SettingsError needs a problem"
        count = len(self.problems)
        title = "1 problem" if count == 1 else f"{count} problems"
        lines = "".join(f"\n  {problem}" for problem in self.problems)
        super().__init__(f"{title} in the settings:{lines}")


def not_allowed(key: Key, value: object, where: str) -> Problem:
    """Make the problem of a known key with a wrong value."""
    message = f"{key.name} = {shown(key, value)} (from {where}): allowed is {key.allowed}"
    return Problem(key=key.name, where=where, message=message)
