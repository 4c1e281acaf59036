"""`tollgate ai`: calls held, posted, voided through the command; refused with nothing written."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway.cli.conftest import Cli
from tests.gateway.cli.test_acts import written
from tests.storage.calls import buy_calls

OF = ("--account", "Lakeside", "--product", "glaucoma")


@pytest.fixture
def reading(tollgate: Cli) -> Cli:
    """A hospital with 1,000 calls of one product."""
    tollgate.hospital()
    buy(tollgate, "AI-1", 1000)
    return tollgate


def buy(tollgate: Cli, number: str, calls: int) -> None:
    """Calls, credited; 0 is without limit."""
    ledger = tollgate.ledger()
    with ledger.read() as view:
        account = view.account(1)
    buy_calls(ledger, account, number, calls)
    ledger.database.dispose()


def calls(tollgate: Cli) -> dict[str, Any]:
    """The meter of the product."""
    shown: dict[str, Any] = tollgate.json("account", "show", "1")["meters"]["ai:glaucoma"]
    return shown


def test_calls_are_held_used_and_given_back(reading: Cli) -> None:
    """§8: held, posted in part, the rest available again; a second hold voided."""
    held = reading.json("ai", "hold", *OF, "--calls", "5", "--key", "k-1")
    assert (held["state"], held["units"]) == ("pending", 5)
    assert held["packages"] == [{"package_id": 1, "units": 5, "unlimited": False}]
    assert (calls(reading)["held"], calls(reading)["available"]) == (5, 995)
    assert "held" in reading.ok("account", "show", "1")
    assert "▓" in reading.ok("account", "show", "1", terminal=True)
    posted = reading.json("ai", "post", "k-1", *OF, "--calls", "3")
    assert (posted["state"], posted["posted"]) == ("posted", 3)
    reading.ok("ai", "hold", *OF, "--calls", "7", "--key", "k-2")
    assert reading.json("ai", "void", "k-2", *OF)["state"] == "voided"
    meter = calls(reading)
    assert (meter["used"], meter["held"], meter["available"]) == (3, 0, 997)
    assert (meter["purchased"], meter["status"], meter["unlimited"]) == (1000, "ok", False)
    assert [row["key"] for row in reading.json("ai", "list")] == ["k-2", "k-1"]
    assert reading.json("ai", "list", "--pending") == []
    assert reading.json("ai", "show", "k-1", *OF) == posted
    assert reading.json("verify")["ok"]


def test_the_same_again_gets_the_first_answer(reading: Cli) -> None:
    """§9: a retry writes nothing, whichever of the three it is."""
    for again in (
        ("ai", "hold", *OF, "--calls", "5", "--key", "k-1"),
        ("ai", "post", "k-1", *OF),
    ):
        first = reading.json(*again)
        before = written(reading)
        assert reading.json(*again) == first
        assert written(reading) == before


def test_calls_without_limit_name_their_package(tollgate: Cli) -> None:
    """§8: no units are taken."""
    tollgate.hospital()
    buy(tollgate, "AI-1", 0)
    held = tollgate.json("ai", "hold", *OF, "--calls", "5", "--key", "k-1")
    assert held["packages"] == [{"package_id": 1, "units": 0, "unlimited": True}]
    assert calls(tollgate)["unlimited"] is True
    assert "no limit" in tollgate.ok("account", "show", "1")


HOLD = ("ai", "hold", "--account", "1")


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        ((*HOLD, "--product", "glaucoma", "--calls", "1001", "--key", "k"), 1, "1,000 available"),
        ((*HOLD, "--product", "unheard", "--calls", "1", "--key", "k"), 1, "AI: 1 calls asked"),
        ((*HOLD, "--product", "glaucoma", "--calls", "0", "--key", "k"), 1, "AI: "),
        ((*HOLD, "--product", "glaucoma", "--calls", "-2", "--key", "k"), 1, "AI: "),
        ((*HOLD, "--product", "glaucoma", "--calls", "9" * 30, "--key", "k"), 1, "AI: "),
        ((*HOLD, "--product", "glaucoma", "--calls", "1", "--key", "k\x07"), 2, "printable"),
        ((*HOLD, "--product", "glaucoma", "--calls", "1", "--key", "x" * 101), 1, "AI: "),
        (
            (*HOLD, "--product", "glaucoma", "--calls", "1", "--key", "k", "--ttl", "0"),
            1,
            "AI: a hold lasts",
        ),
        (
            (*HOLD, "--product", "glaucoma", "--calls", "1", "--key", "k", "--ttl", "9" * 20),
            1,
            "AI: a hold lasts",
        ),
        ((*HOLD, "--product", "Glau\x1bcoma", "--calls", "1", "--key", "k"), 2, "AI product"),
        ((*HOLD, "--product", "glaucoma", "--calls", "2", "--key", "taken"), 1, "another content"),
        (("ai", "post", "none", *OF), 1, "AI: "),
        (("ai", "void", "none", *OF), 1, "AI: there is no such hold"),
        (("ai", "show", "none", *OF), 1, "AI: "),
        (("ai", "post", "taken", *OF, "--calls", "4"), 1, "AI: 1 to 3 calls"),
        (("ai", "post", "taken", *OF, "--calls", "0"), 1, "AI: 1 to 3 calls"),
        (("ai", "post", "gone", *OF), 1, "AI: the hold is voided"),
    ],
)
def test_what_cannot_be_held_is_refused_and_writes_nothing(
    reading: Cli, arguments: tuple[str, ...], status: int, told: str
) -> None:
    """The rule, and what is available; the database as it was."""
    reading.ok("ai", "hold", *OF, "--calls", "3", "--key", "taken")
    reading.ok("ai", "hold", *OF, "--calls", "1", "--key", "gone")
    reading.ok("ai", "void", "gone", *OF)
    reading.ok("ai", "void", "gone", *OF)
    before = written(reading)
    said = reading.refused(*arguments, status=status)
    assert told.replace("1,000 available", "997 available") in said
    assert written(reading) == before
