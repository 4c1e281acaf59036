"""`tollgate licence`, `service`, `consortium`: bought by an order, checked, accepted, revoked."""

from __future__ import annotations

import json

import pytest

from tests.gateway.cli.conftest import Cli

WHY = ("--reason", "letter of May", "--by", "anna")


@pytest.fixture
def hospital(tollgate: Cli) -> Cli:
    """An account with one institution."""
    tollgate.hospital()
    return tollgate


def buy(cli: Cli, number: str, *what: str) -> None:
    """Place and pay an order."""
    cli.ok("order", "place", "--account", "Lakeside", *what, "--order-no", number)
    cli.ok("order", "pay", number)


def is_open(cli: Cli, institution: str, feature: str) -> bool:
    """What `licence check` says, by its exit status and in JSON alike."""
    result = cli.run("licence", "check", institution, feature, "--json")
    told = json.loads(result.stdout)
    assert result.exit_code == (0 if told["open"] else 1)
    assert (told["licence"] is not None) is told["open"]
    assert isinstance(told["open"], bool)
    return told["open"] is True


def test_a_licence_is_bought_checked_and_revoked(hospital: Cli) -> None:
    """The one institution of an account need not be named; several features in one order."""
    assert not is_open(hospital, "East", "mobile")
    buy(hospital, "L-1", "--licence", "basic", "--licence", "mobile", "--years", "2")
    assert is_open(hospital, "East", "mobile")
    assert is_open(hospital, "1", "basic")
    assert not is_open(hospital, "East", "statistics")
    assert "mobile is open to East until" in hospital.ok("licence", "check", "East", "mobile")
    listed = hospital.json("licence", "list")
    assert [(one["feature"], one["state"], one["institution"]) for one in listed] == [
        ("basic", "active", "East"),
        ("mobile", "active", "East"),
    ]
    revoked = hospital.json("licence", "revoke", "2", "--reason", "contract cancelled")
    assert revoked["state"] == "revoked"
    assert not is_open(hospital, "East", "mobile")
    assert is_open(hospital, "East", "basic")
    assert "there is no licence 9" in hospital.refused("licence", "revoke", "9", "--reason", "x")


def test_a_renewal_lies_ahead_and_starts_where_the_old_one_ends(hospital: Cli) -> None:
    """By the id of the licence, as a capacity package by its own."""
    buy(hospital, "L-1", "--licence", "mobile")
    buy(hospital, "L-2", "--licence", "mobile", "--years", "3", "--renews", "1")
    first, second = hospital.json("licence", "list")
    assert first["ends_at"] == second["starts_at"]
    assert (first["state"], second["state"]) == ("active", "ahead")
    assert "ahead" in hospital.ok("licence", "list", "--institution", "East")


def test_a_consortiums_licence_is_open_to_its_members(hospital: Cli) -> None:
    """From joining until leaving; the account of a member may buy it."""
    hospital.ok("account", "create", "Hill", "--plan", "per-exam", "--agreement", "A-2")
    hospital.ok("institution", "create", "West", "--account", "Hill")
    made = hospital.json("consortium", "create", "Lake Union", *WHY)
    assert (made["id"], made["members"]) == (1, [])
    licence = ("order", "place", "--account", "Lakeside", "--licence", "mobile")
    shared = (*licence, "--consortium", "Lake Union", "--order-no", "L-1")
    assert hospital.refused(*shared).startswith("ORD-1: ")
    for name in ("East", "West"):
        hospital.ok("consortium", "add", "Lake Union", name, *WHY)
    hospital.ok("consortium", "add", "Lake Union", "West", *WHY)
    hospital.ok(*shared)
    hospital.ok("order", "pay", "L-1")
    assert is_open(hospital, "West", "mobile")
    shown = hospital.json("consortium", "show", "1")
    assert [one["name"] for one in shown["members"]] == ["East", "West"]
    assert [one["feature"] for one in shown["licences"]] == ["mobile"]
    said = hospital.ok("licence", "check", "West", "mobile")
    assert "by Lake Union's licence" in said
    hospital.ok("consortium", "remove", "Lake Union", "West", *WHY)
    assert not is_open(hospital, "West", "mobile")
    assert is_open(hospital, "East", "mobile")
    assert "is no member" in hospital.refused("consortium", "remove", "1", "West", *WHY)
    assert "exists already" in hospital.refused("consortium", "create", "Lake Union", *WHY)
    assert [one["id"] for one in hospital.json("consortium", "list")] == [1]
    acts = hospital.json("action", "list")
    assert {(one["actor"], one["reason"]) for one in acts} == {("anna", "letter of May")}
    assert [(one["action"], one["subject"]) for one in reversed(acts)] == [
        ("consortium_create", "1"),
        ("consortium_add", "1: institution 1"),
        ("consortium_add", "1: institution 2"),
        ("consortium_remove", "1: institution 2"),
    ]


def test_whose_it_is_must_be_said_where_several_can_be_meant(hospital: Cli) -> None:
    """ORD-1, and then by name."""
    hospital.ok("institution", "create", "West", "--account", "Lakeside")
    order = ("order", "place", "--account", "Lakeside", "--licence", "mobile", "--order-no", "L-1")
    assert hospital.refused(*order).startswith("ORD-1: ")
    placed = hospital.json(*order, "--institution", "West")
    assert placed["institution_id"] == 2
    assert hospital.refused(*order, "--institution", "East").startswith("ORD-2: ")


def test_a_delivery_is_accepted_once(hospital: Cli) -> None:
    """Placed, accepted; maintenance runs by itself and is not accepted."""
    buy(hospital, "S-1", "--service", "delivery")
    buy(hospital, "S-2", "--service", "maintenance", "--months", "6")
    listed = hospital.json("service", "list")
    assert [(one["kind"], one["state"], one["order_no"]) for one in listed] == [
        ("delivery", "placed", "S-1"),
        ("maintenance", "running", "S-2"),
    ]
    accepted = hospital.json("service", "accept", "1", "--reason", "protocol 7")
    assert accepted["state"] == "accepted"
    assert hospital.json("service", "accept", "1") == accepted
    assert hospital.refused("service", "accept", "2").startswith("SERVICE: ")
    assert "there is no service 9" in hospital.refused("service", "accept", "9")
    assert hospital.json("service", "show", "1") == accepted
    assert "accepted" in hospital.ok("service", "list", "--account", "Lakeside")
    assert "protocol" not in hospital.ok("service", "show", "1")


@pytest.mark.parametrize(
    "noun, says",
    [
        ("licence", "no licences yet"),
        ("service", "no services yet"),
        ("consortium", "no consortia yet"),
    ],
)
def test_an_empty_list_says_how_to_begin(tollgate: Cli, noun: str, says: str) -> None:
    """A hint on standard error, an empty list in JSON."""
    tollgate.begin()
    assert tollgate.json(noun, "list") == []
    assert says in tollgate.run(noun, "list").stderr
