"""`tollgate account`: created once, found by name or id, shown with what is left."""

from __future__ import annotations

import re

import pytest

from tests.gateway.cli.conftest import Cli

EMPTY_METER = {
    "status": "unprovisioned",
    "available": 0,
    "used": 0,
    "owed": 0,
    "purchased": 0,
    "expired": 0,
    "held": 0,
    "voided": 0,
    "arrears_since": None,
    "deadline": None,
    "time_left_s": None,
}
EMPTY_LEVEL = {
    "status": "unprovisioned",
    "stored_bytes": 0,
    "limit_bytes": 0,
    "free_bytes": 0,
    "owed_bytes": 0,
    "pending_bytes": 0,
    "arrears_since": None,
    "deadline": None,
    "time_left_s": None,
}


def test_a_new_account_has_a_meter_before_the_first_purchase(tollgate: Cli) -> None:
    """`meters.exam` is there from the beginning: unprovisioned, zeros, no instants."""
    made = tollgate.json(
        "account", "create", " Lakeside ", "--plan", "per-exam", "--agreement", "7"
    )
    shown = tollgate.json("account", "show", "Lakeside")
    assert (shown["id"], shown["name"], shown["plan"]) == (1, "Lakeside", "per_exam")
    assert (shown["agreement_no"], shown["timezone"]) == ("7", "Asia/Shanghai")
    assert shown["created_at"].endswith("Z")
    assert shown["meters"] == {"exam": EMPTY_METER}
    assert shown["arrears_cap"] is None
    assert [shown.pop(name) for name in ("institutions", "packages", "episodes")] == [[], [], []]
    assert shown.pop("packages_more") == 0
    assert made == shown


def test_an_account_that_buys_by_capacity_shows_that_meter_too(tollgate: Cli) -> None:
    """The enforced meter of the plan per-capacity is `capacity`; `exam` stays."""
    arguments = ("--plan", "per-capacity", "--agreement", "7", "--timezone", "UTC")
    tollgate.ok("account", "create", "Lakeside", *arguments)
    shown = tollgate.json("account", "show", "1")
    assert (shown["plan"], shown["timezone"]) == ("per_capacity", "UTC")
    assert shown["meters"] == {"exam": EMPTY_METER, "capacity": EMPTY_LEVEL}
    assert "0 B" in tollgate.ok("account", "show", "1")


@pytest.mark.slow
def test_what_is_used_and_owed_is_shown_with_the_time_left(tollgate: Cli) -> None:
    """Arrears since the 1,001st examination; the time left is rounded down, on the local clock."""
    tollgate.hospital()
    tollgate.buy("SO-1")
    # A package is usable from its credit: nothing may be filed before it.
    tollgate.upload(examinations=1002)
    shown = tollgate.json("account", "show", "1")
    meter = shown["meters"]["exam"]
    assert (meter["status"], meter["available"], meter["used"]) == ("arrears", 0, 1000)
    assert (meter["owed"], meter["purchased"], meter["expired"]) == (2, 1000, 0)
    since, deadline = meter["arrears_since"], meter["deadline"]
    assert since[10:] == deadline[10:]
    assert since < deadline
    assert shown["packages"][0]["state"] == "used_up"
    plain = tollgate.run("account", "show", "Lakeside")
    assert "23 h 59 min left, uploads of new examinations stop " in plain.stdout
    assert " +08:00" in plain.stdout
    assert "tollgate order place --account 1 --exams 1000" in plain.stderr
    picture = tollgate.ok("account", "show", "Lakeside", terminal=True)
    assert "ARREARS" in picture
    assert "█╳" in picture
    assert "░" not in picture.splitlines()[4]


@pytest.mark.slow
def test_the_end_of_the_grace_is_told_to_the_minute(tollgate: Cli) -> None:
    """Twenty hours after the arrears began four are left; after twenty-four, none."""
    tollgate.hospital()
    tollgate.bought("SO-1", hours_ago=40)
    tollgate.upload(examinations=1001, hours_ago=20.5)
    # On a busy machine minutes pass between the upload and the question.
    said = tollgate.ok("account", "list")
    assert re.search(r"3 h 2[0-9] min left, uploads of new examinations stop", said), said


@pytest.mark.slow
def test_a_stopped_account_says_since_when_and_what_to_do(tollgate: Cli) -> None:
    """Suspended: refused since the deadline; how to go on stands below, and then it does."""
    tollgate.hospital()
    tollgate.bought("SO-1", hours_ago=40)
    tollgate.upload(examinations=1001, hours_ago=25)
    meter = tollgate.json("account", "show", "1")["meters"]["exam"]
    assert (meter["status"], meter["owed"]) == ("suspended", 1)
    result = tollgate.run("account", "show", "1", terminal=True)
    assert "SUSPENDED" in result.stdout
    assert "uploads of new examinations are refused since" in result.stdout
    assert "uploads resume by themselves" in result.stderr
    tollgate.buy("SO-2")
    meter = tollgate.json("account", "show", "1")["meters"]["exam"]
    assert (meter["status"], meter["available"], meter["owed"]) == ("ok", 999, 0)
    assert (meter["arrears_since"], meter["deadline"]) == (None, None)
    assert tollgate.json("exam", "list", "--limit", "1")[0]["charge"] == "funded"


def test_packages_say_what_is_left_and_when_they_end(tollgate: Cli) -> None:
    """Each package with its order; a year ends at local midnight of the account's zone."""
    tollgate.hospital()
    tollgate.buy("SO-1", 1000)
    tollgate.buy("SO-2", 2000)
    tollgate.upload(examinations=3)
    shown = tollgate.json("account", "show", "Lakeside")
    first, second = shown["packages"]
    assert (first["order_no"], first["quantity"], first["remaining"]) == ("SO-1", 1000, 997)
    assert (second["order_no"], second["remaining"], second["state"]) == ("SO-2", 2000, "active")
    assert first["expires_at"].endswith("T16:00:00.000000Z")
    assert shown["institutions"] == [{"id": 1, "name": "East"}]
    plain = tollgate.ok("account", "show", "Lakeside")
    assert "2,997" in plain
    assert "00:00 +08:00" in plain


def test_accounts_are_listed_by_name_with_their_status(tollgate: Cli) -> None:
    """JSON is a list; the table says what the status means."""
    for name in ("West", "East"):
        tollgate.ok("account", "create", name, "--plan", "per-exam", "--agreement", "7")
    assert [one["name"] for one in tollgate.json("account", "list")] == ["East", "West"]
    assert tollgate.json("account", "list")[0]["meters"] == {"exam": EMPTY_METER}
    assert "nothing was credited yet" in tollgate.ok("account", "list")


def test_a_name_is_used_once(tollgate: Cli) -> None:
    """The second account of a name is refused with status 1."""
    arguments = ("account", "create", "Lakeside", "--plan", "per-exam", "--agreement", "7")
    tollgate.ok(*arguments)
    assert "there is an account named 'Lakeside' already" in tollgate.refused(*arguments)


def test_a_close_name_is_suggested(tollgate: Cli) -> None:
    """A slip, a part, other capitals: the answer names the one that was meant."""
    tollgate.hospital()
    for given in ("Laekside", "lake", "LAKESIDE"):
        assert "did you mean 'Lakeside'?" in tollgate.refused("account", "show", given)
    assert "tollgate account list" in tollgate.refused("account", "show", "7")


def test_an_unknown_account_among_none_says_how_to_begin(tollgate: Cli) -> None:
    """Nothing to suggest: the message names the command that makes the first one."""
    tollgate.begin()
    assert "tollgate account create" in tollgate.refused("account", "show", "Lakeside")


@pytest.mark.parametrize("name", ["", "  ", "17", "a\nb", "x" * 201, "a\u202eb"])
def test_a_name_that_could_mislead_is_refused(tollgate: Cli, name: str) -> None:
    """1 to 200 printable characters, and not digits only: those are ids."""
    arguments = ("--plan", "per-exam", "--agreement", "7")
    message = tollgate.refused("account", "create", name, *arguments, status=2)
    assert "'NAME'" in message
    assert not tollgate.data_dir.exists()


def test_a_mistyped_time_zone_is_corrected(tollgate: Cli) -> None:
    """The zone decides when packages expire, so a wrong one never gets in."""
    arguments = ("--plan", "per-exam", "--agreement", "7", "--timezone")
    said = tollgate.refused("account", "create", "East", *arguments, "asia/shangai", status=2)
    assert "did you mean 'Asia/Shanghai'?" in said
    said = tollgate.refused("account", "create", "East", *arguments, "/etc/passwd", status=2)
    assert "is no time zone" in said


def test_an_unknown_plan_says_which_there_are(tollgate: Cli) -> None:
    """A closed choice names its values."""
    arguments = ("account", "create", "East", "--plan", "yearly", "--agreement", "7")
    assert "'per-exam', 'per-capacity'" in tollgate.refused(*arguments, status=2)
