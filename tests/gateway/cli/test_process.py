"""The command as its own process: quick to start, quiet when a reader leaves."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gateway.cli.conftest import Cli

HEAVY = ("pynetdicom", "pydicom", "fastapi", "uvicorn", "prometheus_client")
TOLLGATE = (sys.executable, "-m", "gateway.cli")


def environment(data_dir: Path) -> dict[str, str]:
    """What the process is given."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TOLLGATE_")}
    return clean | {"TOLLGATE_DATA_DIR": str(data_dir)}


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("--help",), ("account", "show", "1", "--json")])
def test_starting_does_not_pay_for_the_server(tollgate: Cli, arguments: tuple[str, ...]) -> None:
    """Neither help nor a look at an account imports DICOM or HTTP; help not even the database."""
    tollgate.hospital()
    program = (
        "import atexit, json, sys; sys.argv[1:] = json.loads(sys.argv[1]); "
        "atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr)); "
        "from gateway.cli import main; main()"
    )
    ran = subprocess.run(
        (sys.executable, "-c", program, json.dumps(arguments)),
        env=environment(tollgate.data_dir),
        capture_output=True,
        text=True,
        check=True,
    )
    imported = set(json.loads(ran.stderr.splitlines()[-1]))
    assert not imported & set(HEAVY)
    assert "gateway.cli.app" in imported
    assert ("sqlalchemy" in imported) == (arguments[0] == "account")


@pytest.mark.slow
def test_the_entry_point_exits_with_the_status(tollgate: Cli) -> None:
    """0, 1 and 2 reach the shell, and errors are one line."""
    tollgate.begin()
    for arguments, status in (
        (("order", "list", "--json"), 0),
        (("account", "show", "x"), 1),
        (("account", "show"), 2),
    ):
        ran = subprocess.run(
            (*TOLLGATE, *arguments),
            env=environment(tollgate.data_dir),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == status
        assert ran.stderr.count("\n") == (status != 0)
        assert ran.stdout == ("" if status else "[]\n")


@pytest.mark.slow
def test_a_reader_that_leaves_early_is_no_error(tollgate: Cli) -> None:
    """`tollgate exam list | head -1`: no traceback, nothing on standard error."""
    reader, writer = os.pipe()
    os.close(reader)
    for arguments in (("config", "show"), ("config", "show", "--json"), ("--help",)):
        ran = subprocess.run(
            (*TOLLGATE, *arguments),
            env=environment(tollgate.data_dir),
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        assert ran.stderr == ""
    os.close(writer)


@pytest.mark.slow
def test_a_terminal_gets_pretty_json_and_a_pipe_one_line(tollgate: Cli) -> None:
    """People and programs read the same value."""
    ours, theirs = pty.openpty()
    subprocess.run(
        (*TOLLGATE, "config", "show", "--json"),
        env=environment(tollgate.data_dir) | {"NO_COLOR": "1", "TERM": "dumb"},
        stdout=theirs,
        check=True,
    )
    os.close(theirs)
    with os.fdopen(ours, "rb") as terminal:
        shown = b""
        try:
            while part := terminal.read1():
                shown += part
        except OSError:  # how Linux says that the other side is closed
            pass
    assert shown.count(b"\n") > 10
    piped = tollgate.ok("config", "show", "--json")
    assert piped.count("\n") == 1
    assert tollgate.ok("config", "show", "--json", terminal=True) == piped
    assert json.loads(shown) == json.loads(piped)


@pytest.mark.slow
def test_a_terminal_without_unicode_shows_escapes(tollgate: Cli) -> None:
    """A Chinese name on an ASCII terminal is no traceback, and JSON stays JSON."""
    tollgate.ok("account", "create", "湖滨", "--plan", "per-exam", "--agreement", "7")
    for arguments in (("account", "list"), ("account", "show", "1", "--json")):
        ran = subprocess.run(
            (*TOLLGATE, *arguments),
            env=environment(tollgate.data_dir) | {"PYTHONIOENCODING": "ascii"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert "\\u6e56\\u6ee8" in ran.stdout
        if "--json" in arguments:
            assert json.loads(ran.stdout)["name"] == "湖滨"
