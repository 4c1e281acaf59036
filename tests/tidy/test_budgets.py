"""Budgets of size: what does not fit one screen has two subjects.

A file or function over its budget that would read worse in pieces says so beside the code:
``# tidy: long because <reason>``, inside the function or, for a file, outside of all functions.
"""

from pathlib import Path

from tests.tidy.tree import (
    Argument,
    all_files,
    arguments,
    functions,
    lines_without_docstring,
    python_files,
    read,
    report,
    shell_scripts,
)

FILE_LINES_MAX = 300
FUNCTION_LINES_MAX = 50
FUNCTION_LINES_HARD_MAX = 70
LINE_CHARACTERS_MAX = 100
REASON_CHARACTERS_MIN = 20
CODE_SUFFIXES = {".cfg", ".css", ".ini", ".js", ".mako", ".py", ".sh", ".sql", ".toml"}


def test_a_file_has_at_most_300_lines() -> None:
    """A source file stays within 300 lines, or argues for itself at module level."""
    report(
        (
            f"{path}: {lines} lines"
            for path in {*python_files(), *shell_scripts()}
            if (lines := len(read(path).splitlines())) > FILE_LINES_MAX and not _argued(path)
        ),
        f"Over {FILE_LINES_MAX} lines: split by subject, or write at module level "
        f"`# tidy: long because ...`.",
    )


def test_a_function_has_at_most_50_lines() -> None:
    """A function stays within 50 lines without its docstring; up to 70 if it argues for it."""
    report(
        (
            f"{path}:{function.lineno} {function.name}: {lines} lines"
            for path in python_files()
            for function in functions(path)
            if (lines := lines_without_docstring(function)) > FUNCTION_LINES_MAX
            and (
                lines > FUNCTION_LINES_HARD_MAX
                or not _reasons_within(path, function.lineno, function.end_lineno)
            )
        ),
        f"Over {FUNCTION_LINES_MAX} lines without docstring: name its steps as functions, or (up "
        f"to {FUNCTION_LINES_HARD_MAX}) write inside it `# tidy: long because ...`.",
    )


def test_a_line_has_at_most_100_characters() -> None:
    """Lines of code are short, in every language; prose, JSON and YAML flow as they like."""
    report(
        (
            f"{path}:{number}: {len(line)} characters"
            for path in {
                *shell_scripts(),
                *(path for path in all_files() if path.suffix in CODE_SUFFIXES),
            }
            if "vendor" not in path.parts
            for number, line in enumerate(read(path).splitlines(), start=1)
            if len(line) > LINE_CHARACTERS_MAX
        ),
        f"Break these lines at {LINE_CHARACTERS_MAX} characters.",
    )


def test_an_argument_with_a_budget_gives_a_reason() -> None:
    """``because`` is followed by a reason that a reader can judge, not by a word."""
    report(
        (
            f"{path}:{argument.line}: {argument.reason!r}"
            for path in python_files()
            for argument in arguments(path, "long")
            if len(argument.reason) < REASON_CHARACTERS_MIN
        ),
        f"Give a reason of at least {REASON_CHARACTERS_MIN} characters.",
    )


def _reasons_within(path: Path, first: int, last: int | None) -> list[Argument]:
    assert last is not None
    return [argument for argument in arguments(path, "long") if first <= argument.line <= last]


def _argued(path: Path) -> bool:
    if path.suffix != ".py":
        return False
    inside = {
        line
        for function in functions(path)
        for line in range(function.lineno, (function.end_lineno or 0) + 1)
    }
    return any(argument.line not in inside for argument in arguments(path, "long"))
