"""Words: what must be said in every file, and what must not be said in any."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.tidy.tree import (
    Definition,
    Function,
    all_files,
    arguments,
    functions,
    python_files,
    read,
    report,
    syntax_tree,
)

# In pieces, so that this file does not hold what it looks for.
REGISTRY_HOSTS = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("files", "pythonhosted"),
        ("deb", "debian", "org"),
        ("security", "debian", "org"),
        ("snapshot", "debian", "org"),
        ("archive", "ubuntu", "com"),
        ("registry", "npmjs"),
        ("registry", "yarnpkg"),
        ("cdn", "jsdelivr"),
        ("unpkg", "com"),
        ("conda", "anaconda", "org"),
        ("proxy", "golang", "org"),
        ("crates", "io"),
        ("docker", "io"),
        ("quay", "io"),
        ("ghcr", "io"),
    )
)
POSTPONEMENTS = re.compile(r"\b(" + "TO" + "DO|FIX" + r"ME)\b")
TEST_NAME_WORDS_MIN = 3


def test_every_module_says_what_it_is_for() -> None:
    """Every module opens with a docstring."""
    report(
        (str(path) for path in python_files() if ast.get_docstring(syntax_tree(path)) is None),
        "Open these modules with a docstring.",
    )


def test_every_public_function_and_class_has_a_docstring() -> None:
    """Public names of a module, and every test, state shapes, units, errors or their promise."""
    report(
        (
            f"{path}:{definition.lineno} {definition.name}"
            for path in python_files()
            for definition in _public_definitions(path)
            if ast.get_docstring(definition) is None
        ),
        "Give these a docstring (a test's docstring is its promise).",
    )


def test_the_name_of_a_test_is_a_sentence() -> None:
    """A test's name tells what holds, so that a red line can be read aloud."""
    report(
        (
            f"{path}:{function.lineno} {function.name}"
            for path in python_files()
            for function in functions(path)
            if _is_test(function)
            and len(function.name.removeprefix("test_").split("_")) < TEST_NAME_WORDS_MIN
        ),
        f"Name these tests with a sentence of at least {TEST_NAME_WORDS_MIN} words.",
    )


def test_a_test_never_sleeps() -> None:
    """Tests wait for what happens, never for a time; the few that poll say why."""
    report(
        (
            f"{path}:{node.lineno}"
            for path in python_files()
            if path.parts[0] == "tests"
            for node in ast.walk(syntax_tree(path))
            if isinstance(node, ast.Call) and _sleeps(node) and not _argued(path, node.lineno)
        ),
        "Wait on an event, a line of output or a join with a time limit; where only polling is "
        "left, write `# tidy: sleeps because ...` on or above the line.",
    )


def test_nothing_is_put_off_in_a_comment() -> None:
    """What is to be done is an issue, what is broken is mended: no notes to oneself in files."""
    report(
        _occurrences(POSTPONEMENTS),
        "Open an issue or do it now.",
    )


def test_no_file_names_a_registry_host() -> None:
    """Where packages come from is the installer's affair: mirrors and offline sites must work."""
    # Whole labels: a host below one of these counts, a word that only contains one does not.
    hosts = re.compile(r"(?<![\w-])(" + "|".join(map(re.escape, REGISTRY_HOSTS)) + r")(?![\w-])")
    report(
        _occurrences(hosts),
        "Leave out the host; pin versions in tests/constraints.txt.",
    )


def _occurrences(pattern: re.Pattern[str]) -> Iterator[str]:
    for path in all_files():
        for number, line in enumerate(read(path).splitlines(), start=1):
            if found := pattern.search(line):
                yield f"{path}:{number}: {found.group()}"


def _public_definitions(path: Path) -> Iterator[Definition]:
    for node in syntax_tree(path).body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield node
    top_level = set(map(id, syntax_tree(path).body))
    yield from (
        function
        for function in functions(path)
        if _is_test(function) and id(function) not in top_level
    )


def _is_test(function: Function) -> bool:
    return function.name.startswith("test_")


def _sleeps(call: ast.Call) -> bool:
    match call.func:
        case ast.Attribute(value=ast.Name(id="time" | "asyncio"), attr="sleep"):
            return True
        case ast.Name(id="sleep"):
            return True
        case _:
            return False


def _argued(path: Path, line: int) -> bool:
    return any(argument.line in {line - 1, line} for argument in arguments(path, "sleeps"))
