"""`tollgate clock`: whether the ledger's clock is believed, and an operator's word that it is."""

from __future__ import annotations

from storage import clock_guard
from storage.clock_guard import ABSENCE_MAX
from storage.engine import system_clock
from tests.gateway.cli.conftest import Cli


def test_a_clock_in_order_says_so(tollgate: Cli) -> None:
    """Nothing is held in a new ledger."""
    tollgate.begin()
    assert tollgate.json("clock", "status")["held"] is False
    assert "in order" in tollgate.ok("clock", "status")


def test_after_a_month_every_act_waits_for_the_confirmation(tollgate: Cli) -> None:
    """The refusal names the command; the confirmation is journaled, and then all goes on."""
    tollgate.begin()
    ledger = tollgate.ledger(clock=lambda: system_clock() - ABSENCE_MAX - 60_000_000)
    with ledger.begin() as work:
        clock_guard.beat(work)
        work.commit()
    ledger.database.dispose()

    create = ("account", "create", "Lakeside", "--plan", "per-exam", "--agreement", "7")
    assert "tollgate clock confirm" in tollgate.refused(*create)
    assert tollgate.json("clock", "status")["held"] is True
    assert "held since" in tollgate.ok("clock", "status")

    confirmed = tollgate.json("clock", "confirm", "--reason", "was switched off", "--yes")
    assert confirmed["held"] is False
    tollgate.ok(*create)
    assert "was switched off" in tollgate.ok("action", "list")
