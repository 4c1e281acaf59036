"""Run by hand: `python -m tests.mutants [--only TEXT] [--json FILE]`; an hour for all of them.

Each mutant is made in a copy of the tree; the tests run in stages, the quick ones first, until one
fails: that one killed it. One that survives them all is a hole in the suite, and the exit status 1.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.mutants.catalogue import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]
_COPIED = ("quota", "storage", "config", "gateway", "tests", "docker", "pyproject.toml")
_STAGES = (
    ("tests/quota",),
    (
        *(
            "tests/storage",
            "-k",
            "contract or capacity or deletion or filing or rollback or together",
        ),
        *("--ignore=tests/storage/spool",),
    ),
    ("tests/storage", "-k", "state_machine or races or statements or rebuild or verify"),
)
_STAGE_S = 1_800


def main() -> int:
    """Try every mutant; returns how many survived, as an exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="rules or mistakes that say so")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    chosen = [one for one in MUTANTS if arguments.only in f"{one.rule} {one.wrong}"]
    console = Console(width=max(140, Console().width))
    found: list[tuple[Mutant, str | None]] = []
    for mutant in track(chosen, description="mutants", console=console):
        found.append((mutant, killer_of(mutant)))
        console.print(f"{mutant.rule}: {mutant.wrong}: {found[-1][1] or 'SURVIVED'}")
        if arguments.json:
            listed = [{**asdict(one), "killed_by": killer} for one, killer in found]
            arguments.json.write_text(json.dumps(listed, indent=2, ensure_ascii=False))
    table = Table("rule", "what is wrong", "killed by")
    for mutant, killer in found:
        table.add_row(mutant.rule, mutant.wrong, killer or "[red]survived[/]")
    console.print(table)
    return int(any(killer is None for _, killer in found))


def killer_of(mutant: Mutant) -> str | None:
    """The first test that fails on the mutant, or None. Raises AssertionError if it is stale."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as directory:
        copy = Path(directory)
        for name in _COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, copy / name)
        path = copy / mutant.path
        text = path.read_text()
        assert text.count(mutant.old) == 1, f"{mutant.wrong}: stale, see {mutant.path}"
        path.write_text(text.replace(mutant.old, mutant.new))
        for stage in _STAGES:
            if (killer := _failing(copy, stage)) is not None:
                return killer
    return None


def _failing(tree: Path, arguments: tuple[str, ...]) -> str | None:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider"]
    try:
        run = subprocess.run(
            [*command, *arguments],
            cwd=tree,
            # Spawned processes of a test must import the copy as well.
            env={**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=_STAGE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"time: {arguments[0]} did not end"
    if run.returncode == 0:
        return None
    found = re.search(r"^(?:FAILED|ERROR) (\S+)", run.stdout, re.MULTILINE)
    assert found is not None, run.stdout[-2_000:] + run.stderr[-2_000:]
    return found[1]


if __name__ == "__main__":
    sys.exit(main())
