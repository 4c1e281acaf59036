"""The layout: a fixed top level, a map that is true, four names that lead here."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tidy.tree import PACKAGES, ROOT, all_files, python_files, read, report, shell_scripts

TOP_LEVEL = {*PACKAGES, "LICENSE", "README.md", "docker", "pyproject.toml", "tests"}


def test_the_top_level_is_the_agreed_list() -> None:
    """What stands at the top is decided once: no new folder without a decision."""
    found = {path.parts[0] for path in all_files() if not path.parts[0].startswith(".")}
    report(
        (f"{'extra' if name in found else 'missing'}: {name}" for name in found ^ TOP_LEVEL),
        f"The top level holds {', '.join(sorted(TOP_LEVEL))} and dot-files, no more and no less.",
    )


def test_each_package_has_a_readme() -> None:
    """Each of the four packages explains itself: model, invariants, boundaries, decisions."""
    report(
        (f"{name}/README.md" for name in PACKAGES if Path(name, "README.md") not in all_files()),
        "Write the README of these packages.",
    )


def test_every_package_and_module_has_its_place_in_the_map() -> None:
    """The README's section "Map" names every package, and every module but the CLI's nouns."""
    the_map = _readme_map()
    report(
        (
            f"{path}: `{name}` is not in the map"
            for path in python_files()
            if path.parts[0] in PACKAGES and (name := _name_in_map(path)) is not None
            if not re.search(rf"(?<![\w-]){re.escape(name)}", the_map)
        ),
        'Give these a line in README.md, section "## Map" (packages as `name/`, modules as '
        "`name.py`).",
    )


def test_the_map_names_nothing_that_is_gone() -> None:
    """A module named in the map exists: a map that lies is worse than none."""
    names = {path.name for path in python_files()}
    report(
        (
            name
            for name in re.findall(r"(?<![\w-])\w+\.py(?!\w)", _readme_map())
            if name not in names
        ),
        'README.md, section "## Map", names modules that do not exist.',
    )


@pytest.mark.slow
def test_the_four_names_lead_into_this_project(tmp_path: Path) -> None:
    """Installed, ``import config`` finds ours: PyPI's ``config`` ships the same top-level name."""
    program = (
        "import importlib, json, sys; "
        "print(json.dumps({n: importlib.import_module(n).__file__ for n in sys.argv[1:]}))"
    )
    # Isolated and elsewhere: neither this folder nor PYTHONPATH may lend a hand.
    command = (sys.executable, "-I", "-c", program, *PACKAGES)
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    if found.returncode != 0:
        pytest.fail(f"Install first (`pip install -e '.[test]'`):\n{found.stderr}", pytrace=False)
    report(
        (
            f"{name}: {file}"
            for name, file in json.loads(found.stdout).items()
            if file is None or Path(file).resolve() != ROOT / name / "__init__.py"
        ),
        "Another distribution took our name, or the install is not editable "
        "(`pip install -e '.[test]'`).",
    )


def test_every_shell_script_can_be_parsed() -> None:
    """``bash -n`` reads every script to its end."""
    scripts = shell_scripts()
    assert scripts, "no shell script found: tests/run should be one"
    for path in scripts:
        parsed = subprocess.run(("bash", "-n", path), cwd=ROOT, capture_output=True, check=False)
        assert parsed.returncode == 0, parsed.stderr.decode()


def _readme_map() -> str:
    readme = read(Path("README.md")) if Path("README.md") in all_files() else ""
    section = re.search(r"^## Map\s*$(.*?)(?=^## |\Z)", readme, re.MULTILINE | re.DOTALL)
    if section is None:
        pytest.fail('Write README.md with a section "## Map".', pytrace=False)
    return section.group(1)


def _name_in_map(path: Path) -> str | None:
    """Return what the map must say of a module; None for those that it does not list."""
    if path.name == "__init__.py":
        return f"{path.parent.name}/"
    if "migrations" in path.parts:
        return "migrations/"
    if path.parts[:2] == ("gateway", "cli"):
        return None
    return path.name
