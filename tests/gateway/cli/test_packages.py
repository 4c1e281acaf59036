"""`tollgate package list`: what is left, in the order in which it is used."""

from __future__ import annotations

import pytest

from tests.gateway.cli.conftest import Cli
from tests.storage.calls import buy_calls


@pytest.fixture
def hospital(tollgate: Cli) -> Cli:
    """A package that has lapsed, and two of which one is in use."""
    tollgate.hospital()
    tollgate.bought("SO-1", hours_ago=24 * 400)
    tollgate.bought("SO-2", hours_ago=24)
    tollgate.buy("SO-3", 2000)
    tollgate.upload(examinations=2)
    return tollgate


def test_packages_are_listed_as_they_are_used(hospital: Cli) -> None:
    """First to expire first; what is over comes last, with nothing left."""
    found = hospital.json("package", "list", "--account", "Lakeside")
    assert [(one["order_no"], one["state"], one["remaining"]) for one in found] == [
        ("SO-2", "active", 998),
        ("SO-3", "active", 2000),
        ("SO-1", "expired", 0),
    ]
    assert found[0]["account"] == "Lakeside"
    assert (found[0]["unlimited"], found[0]["storage_years"]) == (False, 15)
    assert found == hospital.json("package", "list")
    said = hospital.ok("package", "list", terminal=True, width=200)
    assert "SO-2" in said
    assert "15 years" in said


def test_the_list_and_the_account_say_the_same(hospital: Cli) -> None:
    """One fact, one place: `account show` has these packages."""
    found = hospital.json("package", "list", "--account", "1")
    shown = hospital.json("account", "show", "1")["packages"]
    assert shown == [
        {name: value for name, value in one.items() if name not in {"account", "account_id"}}
        for one in found
    ]


def test_filters_are_honoured(hospital: Cli) -> None:
    """By account, by meter, by what can still be used."""
    hospital.ok("account", "create", "Hill", "--plan", "per-exam", "--agreement", "8")
    assert hospital.json("package", "list", "--account", "Hill") == []
    assert hospital.json("package", "list", "--meter", "capacity") == []
    usable = hospital.json("package", "list", "--usable", "--meter", "exam")
    assert [one["order_no"] for one in usable] == ["SO-2", "SO-3"]
    assert "no such packages" in hospital.run("package", "list", "--account", "Hill").stderr
    assert "did you mean 'Hill'?" in hospital.refused("package", "list", "--account", "Hil")


def test_a_package_without_limit_says_so(hospital: Cli) -> None:
    """No number of calls is left, and it is in use all the same."""
    ledger = hospital.ledger()
    with ledger.read() as view:
        account = view.account(1)
    buy_calls(ledger, account, "AI-1", 0)
    ledger.database.dispose()
    (one,) = hospital.json("package", "list", "--meter", "ai:glaucoma")
    assert (one["unlimited"], one["state"]) == (True, "active")
    assert "unlimited" in hospital.ok("package", "list", "--meter", "ai:glaucoma")
