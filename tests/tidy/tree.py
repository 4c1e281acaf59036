"""The files of this project as git sees them, tracked or new, and what the tidy tests ask them."""

import ast
import io
import subprocess
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.peers import missing

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("gateway", "quota", "storage", "config")

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = Function | ast.ClassDef


@cache
def all_files() -> tuple[Path, ...]:
    """Return the files that are tracked, or new and not ignored, relative to the top."""
    # The build server may run as another user than the one who cloned.
    command = ("git", "-c", "safe.directory=*", "ls-files", "-co", "--exclude-standard", "-z")
    try:
        listing = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        missing(f"git, which the tidy tests ask for the list of files, gives none ({error})")
    paths = (Path(name) for name in listing.stdout.split("\0") if name)
    return tuple(sorted(path for path in paths if (ROOT / path).is_file()))


def read(path: Path) -> str:
    """Return a file's text; bytes that are no UTF-8 become escapes."""
    return (ROOT / path).read_text(encoding="utf-8", errors="backslashreplace")


@cache
def python_files() -> tuple[Path, ...]:
    """Return every Python file of the project."""
    return tuple(path for path in all_files() if path.suffix == ".py")


@cache
def shell_scripts() -> tuple[Path, ...]:
    """Return every shell script, known by its ending or its first line."""
    first_lines = ("#!/bin/sh", "#!/bin/bash", "#!/usr/bin/env bash", "#!/usr/bin/env sh")
    return tuple(
        path for path in all_files() if path.suffix == ".sh" or read(path).startswith(first_lines)
    )


@cache
def syntax_tree(path: Path) -> ast.Module:
    """Return a Python file's syntax tree."""
    return ast.parse(read(path), filename=str(path))


def functions(path: Path) -> Iterator[Function]:
    """Yield every function of a file, methods and inner ones too."""
    for node in ast.walk(syntax_tree(path)):
        if isinstance(node, Function):
            yield node


def lines_without_docstring(function: Function) -> int:
    """Return how many lines a function has from its ``def`` to its end, docstring left out."""
    assert function.end_lineno is not None
    lines = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function) is None:
        return lines
    docstring = function.body[0]
    assert docstring.end_lineno is not None
    return lines - (docstring.end_lineno - docstring.lineno + 1)


@dataclass(frozen=True, kw_only=True)
class Argument:
    """A comment that argues with a budget: ``# tidy: long because <reason>``."""

    line: int
    reason: str


def arguments(path: Path, verb: str) -> list[Argument]:
    """Return the comments ``# tidy: <verb> because <reason>`` of a Python file."""
    opening = f"# tidy: {verb} because "
    comments = tokenize.generate_tokens(io.StringIO(read(path)).readline)
    return [
        Argument(line=token.start[0], reason=token.string.removeprefix(opening).strip())
        for token in comments
        if token.type == tokenize.COMMENT and token.string.startswith(opening)
    ]


def report(offences: Iterable[str], advice: str) -> None:
    """Fail with one line per offence and what to do about it, if there is any offence."""
    found = sorted(offences)
    if found:
        listing = "\n".join(f"  {offence}" for offence in found)
        pytest.fail(f"{advice}\n{listing}", pytrace=False)
