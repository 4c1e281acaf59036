"""What operators do through the command: done and journaled, or refused with nothing written."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.cli.conftest import Cli
from tests.gateway.cli.test_process import environment
from tests.storage.kit import dump

WHY = ("--reason", "agreed by telephone", "--by", "anna")


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What it took a thousand uploads to make, once."""
    made = Cli(data_dir=tmp_path_factory.mktemp("owing") / "data")
    made.hospital()
    made.bought("SO-1", hours_ago=40)
    made.upload(examinations=1001, hours_ago=1)
    return made.data_dir


@pytest.fixture
def owing(lived: Path, tollgate: Cli) -> Cli:
    """A hospital that owes one examination, exam-0, since an hour ago."""
    shutil.copytree(lived, tollgate.data_dir)
    return tollgate


def written(tollgate: Cli) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    ledger = tollgate.ledger()
    try:
        return dump(ledger)
    finally:
        ledger.database.dispose()


NO_OBJECTS = 13
"""These examinations are rows without images, which is all that an operator's acts look at."""


def violated(tollgate: Cli) -> set[int]:
    """The numbers of the invariants that do not hold."""
    checks = json.loads(tollgate.run("verify", "--json").stdout)["checks"]
    return {check["number"] for check in checks if not check["ok"]}


def meter(tollgate: Cli) -> dict[str, Any]:
    """The exam meter of the account."""
    shown: dict[str, Any] = tollgate.json("account", "show", "1")["meters"]["exam"]
    return shown


@pytest.mark.slow
def test_more_time_is_given_and_journaled(owing: Cli) -> None:
    """STATE-6: the deadline moves, what is owed stays, the act is on record with who and why."""
    before = meter(owing)
    extended = owing.json("account", "extend", "Lakeside", "--hours", "48", *WHY)
    after = meter(owing)
    assert after["deadline"] == extended["deadline"] > before["deadline"]
    assert after["time_left_s"] - before["time_left_s"] in range(48 * 3600 - 60, 48 * 3600 + 1)
    assert (after["owed"], after["arrears_since"]) == (1, before["arrears_since"])
    (act,) = owing.json("action", "list")
    assert (act["actor"], act["action"], act["reason"]) == ("anna", "extend", WHY[1])
    assert "anna" in owing.ok("action", "list")
    (episode,) = owing.json("account", "show", "1")["episodes"]
    assert (episode["deadline"], episode["closed_at"]) == (after["deadline"], None)


@pytest.mark.slow
def test_a_reversal_frees_a_unit_that_pays_the_debt(owing: Cli) -> None:
    """§3: the unit returns to its package and pays the oldest debt; the journal shows each leg."""
    done = owing.json("exam", "reverse", "exam-0", *WHY)
    assert (done["was"], done["package_id"]) == ("funded", 1)
    assert (meter(owing)["owed"], meter(owing)["used"]) == (0, 1000)
    reversal, charge = owing.json("journal", "list", "--exam", "exam-0")
    assert [reversal["kind"], charge["kind"]] == ["reversal", "charge"]
    for posting in (reversal, charge):
        assert sum(entry["amount"] for entry in posting["entries"]) == 0
    assert {entry["account"] for entry in charge["entries"]} == {"package", "consumed"}
    latest = owing.run("journal", "list", "--account", "Lakeside", "--limit", "3")
    assert len(latest.stdout.splitlines()) == 4
    assert "show more with --limit" in latest.stderr
    assert owing.json("journal", "list", "--account", "1", "--meter", "ai:none") == []
    assert owing.refused("exam", "reverse", "exam-0", *WHY).startswith("STATE-6: ")
    assert violated(owing) <= {NO_OBJECTS}


@pytest.mark.slow
def test_a_debt_is_written_off_once(owing: Cli) -> None:
    """§3: what is owed goes down, the episode ends; there is no second time."""
    done = owing.json("account", "write-off", "1", "--units", "1", *WHY)
    assert (done["written_off"], done["owed"]) == (1, 0)
    assert meter(owing)["deadline"] is None
    said = owing.refused("account", "write-off", "1", "--units", "1", *WHY)
    assert said.startswith("STATE-6: 0 owed")
    assert violated(owing) <= {NO_OBJECTS}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("account", "extend", "1", "--hours", "0"), 2, "--hours"),
        (("account", "extend", "1", "--hours", "-3"), 2, "--hours"),
        (("account", "extend", "1", "--hours", "9" * 30), 2, "--hours"),
        (("account", "extend", "1"), 2, "--until"),
        (("account", "extend", "1", "--until", "tomorrow"), 2, "--until is an instant"),
        (("account", "extend", "1", "--until", "2001-01-01"), 1, "STATE-6: "),
        (("account", "extend", "1", "--until", "9999-12-31T23:59Z"), 1, "STATE-6: "),
        (("account", "extend", "nobody", "--hours", "1"), 1, "there is no account"),
        (("account", "write-off", "1", "--units", "0"), 1, "STATE-6: "),
        (("account", "write-off", "1", "--units", "-1"), 1, "STATE-6: "),
        (("account", "write-off", "1", "--units", "2"), 1, "STATE-6: 1 owed"),
        (("account", "write-off", "1", "--units", "9" * 30), 1, "STATE-6: "),
        (("account", "cap", "1"), 2, "--none"),
        (("account", "cap", "1", "5", "--none"), 2, "--none"),
        (("account", "cap", "1", "0"), 1, "STATE-6: "),
        (("account", "cap", "1", "9" * 30), 1, "STATE-6: "),
        (("account", "close", "nobody"), 1, "there is no account"),
        (("exam", "reverse", "exam-none"), 1, "no examination has that id"),
        (("order", "void", "SO-9"), 1, "there is no order"),
        (("order", "void", "SO\x07"), 2, "printable"),
        (("institution", "move", "East", "--account", "nobody"), 1, "there is no account"),
        (("institution", "move", "West", "--account", "1"), 1, "there is no institution"),
    ],
)
def test_what_cannot_be_done_is_refused_and_writes_nothing(
    owing: Cli, arguments: tuple[str, ...], status: int, told: str
) -> None:
    """Invariant 22: a rule's name or a clear error, and the database as it was."""
    before = written(owing)
    assert told in owing.refused(*arguments, *WHY, status=status)
    assert written(owing) == before


@pytest.mark.parametrize("reason", ["", "  ", "a\nb", "a\x1b[31mb", "x" * 201])
def test_an_act_has_somebody_and_a_reason(tollgate: Cli, reason: str) -> None:
    """Empty, or what a terminal would obey: refused before anything is looked at."""
    for name, other in (("--reason", "--by"), ("--by", "--reason")):
        arguments = ("account", "close", "1", other, "anna", name, reason)
        assert name in tollgate.refused(*arguments, status=2)
    assert not tollgate.data_dir.exists()


def test_a_cap_stops_uploads_before_the_grace_is_over(owing: Cli) -> None:
    """STATE-6: ARREARS counts as SUSPENDED from the cap on, and no longer once it is lifted."""
    assert owing.json("account", "cap", "1", "1", *WHY)["arrears_cap"] == 1
    assert meter(owing)["status"] == "suspended"
    assert owing.json("account", "cap", "1", "--none", *WHY)["arrears_cap"] is None
    assert meter(owing)["status"] == "arrears"


def test_a_closed_account_is_closed_once(tollgate: Cli) -> None:
    """For good; a second time changes nothing and is journaled once."""
    tollgate.hospital()
    closed = tollgate.json("account", "close", "Lakeside", *WHY)
    assert closed["closed_at"]
    before = written(tollgate)
    assert tollgate.json("account", "close", "Lakeside", *WHY) == closed
    assert written(tollgate) == before
    assert tollgate.json("account", "list")[0]["meters"]["exam"]["status"] == "closed"


def test_an_order_is_taken_back(tollgate: Cli) -> None:
    """ORD-2: what is left lapses; it shows as voided; again changes nothing."""
    tollgate.hospital()
    tollgate.buy("SO-1")
    voided = tollgate.json("order", "void", "SO-1", *WHY)
    assert (voided["state"], bool(voided["voided_at"])) == ("voided", True)
    before = written(tollgate)
    assert tollgate.json("order", "void", "SO-1", *WHY) == voided
    assert written(tollgate) == before
    assert (meter(tollgate)["available"], meter(tollgate)["voided"]) == (0, 1000)
    assert "voided" in tollgate.ok("order", "list")


def test_an_institution_moves_to_another_account(tollgate: Cli) -> None:
    """§1: from now on the other one pays; that it can't yet is said, not hidden."""
    tollgate.hospital()
    tollgate.buy("SO-1")
    tollgate.upload(examinations=1)
    tollgate.ok("account", "create", "South", "--plan", "per-capacity", "--agreement", "A-18")
    arguments = ("institution", "move", "East", "--account", "South", *WHY)
    assert tollgate.json(*arguments)["account"] == "South"
    assert "can't admit examinations now" in tollgate.run(*arguments).stderr
    assert tollgate.json("exam", "list")[0]["account"] == "Lakeside"
    assert [act["action"] for act in tollgate.json("action", "list")] == ["institution_move"]


def test_a_person_is_asked_before_what_cannot_be_undone(tollgate: Cli) -> None:
    """On a terminal only: no means no, --yes is not asked."""
    tollgate.hospital()
    command = [sys.executable, "-m", "gateway.cli", "account", "close", "1", *WHY]
    for answer, further, status in ((b"n\n", [], 1), (b"", ["--yes"], 0)):
        ours, theirs = pty.openpty()
        os.write(ours, answer)
        ended = subprocess.run(
            [*command, *further],
            env=environment(tollgate.data_dir),
            stdin=theirs,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        os.close(theirs)
        os.close(ours)
        assert ended.returncode == status, ended.stderr
        assert ("Close Lakeside for good?" in ended.stderr) is (status == 1)
        assert (tollgate.json("account", "list")[0]["closed_at"] is None) is (status == 1)


def test_notices_say_what_was_told(tollgate: Cli) -> None:
    """§10: narrowed by account, kind and delivery."""
    tollgate.begin()
    assert "no notices" in tollgate.run("notice", "list").stderr
    tollgate.hospital()
    tollgate.buy("SO-1")
    (notice,) = tollgate.json("notice", "list", "--account", "Lakeside", "--undelivered")
    assert (notice["kind"], notice["meter"], notice["delivered_at"]) == ("credited", "exam", None)
    assert notice["details"]["quantity"] == 1000
    assert notice["details"]["expires_at"].endswith("Z")
    assert tollgate.json("notice", "list", "--kind", "suspended") == []
    assert "not yet" in tollgate.ok("notice", "list")
    assert "suspension_near" in tollgate.refused("notice", "list", "--kind", "x", status=2)
