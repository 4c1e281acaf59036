"""The command as a whole: settings, errors, help, verification."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from gateway.cli.app import app
from tests.gateway.cli.conftest import Cli


def commands(of: typer.Typer, *path: str) -> Iterator[tuple[str, ...]]:
    """Every command below a group, as it is typed."""
    for command in of.registered_commands:
        assert command.callback is not None
        yield (*path, command.name or command.callback.__name__.replace("_", "-"))
    for group in of.registered_groups:
        assert group.name is not None
        assert group.typer_instance is not None
        yield from commands(group.typer_instance, *path, group.name)


COMMANDS = sorted(commands(app))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_with_an_example(
    tollgate: Cli, command: tuple[str, ...]
) -> None:
    """Help costs nothing, and ends with a line to copy."""
    said = tollgate.ok(*command, "--help")
    assert "Example" in said
    assert f"tollgate {' '.join(command)}" in said.split("Example")[1]
    assert tollgate.ok(*command, "-h") == said
    assert not tollgate.data_dir.exists()


@pytest.mark.parametrize("command", [c for c in COMMANDS if c[0] not in {"serve", "demo"}])
def test_every_read_and_write_can_answer_in_json(tollgate: Cli, command: tuple[str, ...]) -> None:
    """Nothing has to be scraped from a table."""
    assert "--json" in tollgate.ok(*command, "--help")


@pytest.mark.parametrize("arguments", [(), ("account",), ("order",)])
def test_without_a_command_the_help_is_shown(tollgate: Cli, arguments: tuple[str, ...]) -> None:
    """Status 2: nothing was done."""
    result = tollgate.run(*arguments)
    assert result.exit_code == 2
    assert "Usage:" in result.stdout


def test_a_mistyped_command_is_corrected_in_one_line(tollgate: Cli) -> None:
    """Wrong usage has status 2 and names the closest command."""
    assert "Did you mean 'account'" in tollgate.refused("accont", status=2)
    assert "tollgate account show --help" in tollgate.refused("account", "show", status=2)


def test_errors_of_a_json_command_are_json(tollgate: Cli) -> None:
    """An object on standard error, standard output empty; wrong usage as well."""
    for arguments, status in ((("account", "show", "x"), 1), (("account", "shw"), 2)):
        result = tollgate.run(*arguments, "--json")
        assert (result.exit_code, result.stdout) == (status, "")
        told = json.loads(result.stderr)
        assert told["error"]
        assert told["rule"] is None


def test_the_config_file_of_the_root_command_is_used(tollgate: Cli, tmp_path: Path) -> None:
    """`tollgate --config FILE …` names the settings of every command."""
    file = tmp_path / "site.toml"
    file.write_text('[dicom]\nae_title = "SITE"\n')
    rows = {row["key"]: row for row in tollgate.json("--config", str(file), "config", "show")}
    assert (rows["dicom.ae_title"]["value"], rows["dicom.ae_title"]["origin"]) == (
        "SITE",
        f"file {file}",
    )
    assert rows["data_dir"]["origin"] == "environment TOLLGATE_DATA_DIR"
    assert "SITE" in tollgate.ok("--config", str(file), "config", "show")
    assert not tollgate.data_dir.exists()


@pytest.mark.parametrize("command", [("account", "list"), ("config", "show")])
def test_wrong_settings_are_told_line_by_line(
    tollgate: Cli, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """Each problem is one `error:` line; no traceback, no data directory."""
    file = tmp_path / "site.toml"
    file.write_text('dicom.port = "x"\nhttp.prot = 1\n')
    result = tollgate.run("--config", str(file), *command)
    assert (result.exit_code, result.stdout) == (1, "")
    lines = result.stderr.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("error: ") for line in lines)
    assert not tollgate.data_dir.exists()


def test_serve_takes_its_settings_from_either_place(tollgate: Cli, tmp_path: Path) -> None:
    """`tollgate serve --config FILE` and `tollgate --config FILE serve` are the same."""
    missing = str(tmp_path / "missing.toml")
    for arguments in (("serve", "--config", missing), ("--config", missing, "serve")):
        assert missing in tollgate.refused(*arguments)


def test_a_data_directory_that_cannot_be_made_is_told_in_a_line(
    tollgate: Cli, tmp_path: Path
) -> None:
    """An expected error: plain words and what to do."""
    (tmp_path / "data").write_text("a file")
    create = ("account", "create", "Lakeside", "--plan", "per-exam", "--agreement", "7")
    assert "TOLLGATE_DATA_DIR" in tollgate.refused(*create)


@pytest.mark.parametrize(
    "command",
    [
        ("account", "list"),
        ("verify",),
        ("order", "pay", "SO-1"),
        ("institution", "create", "East", "--account", "1"),
    ],
)
def test_a_command_in_a_wrong_directory_says_so_and_leaves_nothing(
    tollgate: Cli, command: tuple[str, ...]
) -> None:
    """An empty ledger made there would answer that all is well."""
    said = tollgate.refused(*command)
    assert said.startswith(f"there is no ledger in {tollgate.data_dir}")
    assert "TOLLGATE_DATA_DIR" in said
    assert not tollgate.data_dir.exists()


def test_verify_names_every_check_and_succeeds(tollgate: Cli) -> None:
    """An empty ledger is whole, and so is one with a purchase."""
    tollgate.hospital()
    tollgate.buy("SO-1")
    report = tollgate.json("verify")
    assert report["ok"] is True
    assert {check["ok"] for check in report["checks"]} == {True}
    said = tollgate.ok("verify")
    for check in report["checks"]:
        assert check["name"] in said
    assert f"all {len(report['checks'])} checks hold" in said


def test_verify_shows_the_violation_and_fails(tollgate: Cli) -> None:
    """An instance whose object is gone: status 1, the check by name, the rows by id."""
    tollgate.hospital()
    tollgate.buy("SO-1")
    tollgate.upload(examinations=1)
    result = tollgate.run("verify", "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    broken = [check for check in report["checks"] if not check["ok"]]
    assert [(check["number"], check["violations"]) for check in broken] == [(13, 1)]
    assert broken[0]["rows"][0]["examination_id"] == "exam-0"
    result = tollgate.run("verify")
    assert result.exit_code == 1
    assert "VIOLATED  13" in result.stdout
    assert "exam-0" in result.stdout
    assert "P-4711" not in result.output


def test_the_commands_are_found_whole() -> None:
    """The list that the tests above go by is no empty one; each command is there once."""
    assert {("verify",), ("account", "write-off"), ("institution", "token", "issue")} < set(
        COMMANDS
    )
    assert len(set(COMMANDS)) == len(COMMANDS)
