"""A data directory that is ready for uploads, made through the product's own commands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from gateway.cli.app import app

ACCOUNT = "Lakeside"
EXAMS_BOUGHT = 10_000


def command(data_dir: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """Run a command in this process: a process of its own for each would take a second."""
    settings = {"TOLLGATE_DATA_DIR": str(data_dir), **(environment or {})}
    result = CliRunner().invoke(app, list(arguments), env=settings)
    assert result.exit_code == 0, result.output
    return result.stdout


def document(data_dir: Path, *arguments: str) -> Any:
    """A command's `--json` answer."""
    return json.loads(command(data_dir, *arguments, "--json"))


def ready(data_dir: Path, *, environment: Mapping[str, str] | None = None) -> Path:
    """One account with packages, one institution, and a device called CT1."""
    account = ("--account", ACCOUNT)
    for arguments in (
        ("account", "create", ACCOUNT, "--plan", "per-exam", "--agreement", "A-17"),
        ("institution", "create", "East", *account),
        ("device", "add", "CT1", "--institution", "East"),
        ("order", "place", *account, "--exams", str(EXAMS_BOUGHT), "--order-no", "S1"),
        ("order", "pay", "S1"),
    ):
        command(data_dir, *arguments, environment=environment)
    return data_dir
