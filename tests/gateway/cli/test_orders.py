"""`tollgate order`: placed, paid, credited; refused by rule with nothing written."""

from __future__ import annotations

import json
import threading

import pytest

from gateway.bootstrap import KEEPER_LOCK
from gateway.cli.crediting import await_credit
from gateway.keeper import credit_paid_orders
from quota import service
from quota.order import OrderState
from tests.gateway.cli.conftest import Cli


@pytest.fixture
def hospital(tollgate: Cli) -> Cli:
    """An account that has bought nothing."""
    tollgate.hospital()
    return tollgate


def place(cli: Cli, number: str, exams: str = "1000") -> tuple[str, ...]:
    """The arguments of `order place`."""
    assert cli.data_dir.exists()
    return ("order", "place", "--account", "Lakeside", "--exams", exams, "--order-no", number)


def test_an_order_is_placed_paid_and_credited(hospital: Cli) -> None:
    """With no gateway running the command credits by itself; every state has its instant."""
    placed = hospital.json(*place(hospital, "SO-1", "2000"))
    assert (placed["number"], placed["account"], placed["state"]) == ("SO-1", "Lakeside", "placed")
    assert placed["lines"] == [
        {
            "meter": "exam",
            "quantity": 2000,
            "storage_years": 15,
            "years": 1,
            "renews_package_id": None,
        }
    ]
    assert (placed["paid_at"], placed["credited_at"]) == (None, None)
    paid = hospital.json("order", "pay", "SO-1")
    assert paid["state"] == "credited"
    assert placed["placed_at"] < paid["paid_at"] < paid["credited_at"]
    assert hospital.json("order", "list") == [paid]
    assert hospital.json("account", "show", "1")["meters"]["exam"]["available"] == 2000


def test_a_person_is_told_what_comes_next(hospital: Cli) -> None:
    """Placing names the payment, paying what is available now."""
    result = hospital.run(*place(hospital, "SO 1"))
    assert result.stdout == "order SO 1 is placed: 1,000 examinations for Lakeside\n"
    assert "tollgate order pay 'SO 1'" in result.stderr
    said = hospital.ok("order", "pay", "SO 1")
    assert "is credited" in said
    assert "available now 1,000, owed 0" in said


@pytest.mark.parametrize("exams", ["999", "0", "-1000", "1500", "10000000000000000000000"])
def test_less_than_whole_thousands_is_refused_by_rule(hospital: Cli, exams: str) -> None:
    """ORD-1 by its name, exit status 1, nothing written."""
    assert hospital.refused(*place(hospital, "SO-1", exams)).startswith("ORD-1: ")
    result = hospital.run(*place(hospital, "SO-1", exams), "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    told = json.loads(result.stderr)
    assert told["rule"] == "ORD-1"
    assert "examinations" in told["error"]
    assert hospital.json("order", "list") == []


def test_the_same_order_again_changes_nothing(hospital: Cli) -> None:
    """Same number and content: the first again. Same number, other content: a conflict (§9)."""
    first = hospital.json(*place(hospital, "SO-1"))
    assert hospital.json(*place(hospital, "SO-1")) == first
    assert hospital.refused(*place(hospital, "SO-1", "2000")).startswith("ORD-2: ")
    paid = hospital.json("order", "pay", "SO-1")
    assert hospital.json("order", "pay", "SO-1") == paid
    assert hospital.json(*place(hospital, "SO-1")) == paid
    assert hospital.json("account", "show", "1")["meters"]["exam"]["purchased"] == 1000


def test_an_order_for_the_other_plan_is_refused(tollgate: Cli) -> None:
    """Examinations are not sold to an account that buys by capacity."""
    tollgate.ok("account", "create", "Lakeside", "--plan", "per-capacity", "--agreement", "7")
    assert tollgate.refused(*place(tollgate, "SO-1")).startswith("ORD-1: ")


def test_an_unknown_order_is_not_paid(hospital: Cli) -> None:
    """A slip in the number names the closest one."""
    assert "no order yet" in hospital.refused("order", "pay", "SO-1")
    hospital.ok(*place(hospital, "SO-2026-17"))
    assert "did you mean 'SO-2026-17'?" in hospital.refused("order", "pay", "SO-2026-71")


def test_orders_are_listed_for_one_account(hospital: Cli) -> None:
    """By name or id, in the order of placing, instants on the account's clock."""
    hospital.ok("account", "create", "Hill", "--plan", "per-exam", "--agreement", "8")
    hospital.ok(*place(hospital, "SO-1"))
    hospital.ok("order", "place", "--account", "Hill", "--exams", "3000", "--order-no", "SO-2")
    listed = hospital.json("order", "list", "--account", "Hill")
    assert [(one["number"], one["account"]) for one in listed] == [("SO-2", "Hill")]
    assert len(hospital.json("order", "list")) == 2
    assert "3,000 examinations" in hospital.ok("order", "list", "--account", "2")


def test_paying_waits_for_the_gateway_that_runs(hospital: Cli) -> None:
    """While another process is the keeper the command credits nothing, and sees its credit."""
    hospital.ok(*place(hospital, "SO-1"))
    keeper, command = hospital.ledger(), hospital.ledger()
    with command.begin() as work:
        service.pay(work, "SO-1")
        work.commit()
    with keeper.database.try_lock(KEEPER_LOCK) as held:
        assert held
        assert await_credit(command, "SO-1", wait_s=0).state is OrderState.PAID
        crediting = threading.Thread(
            target=credit_paid_orders, args=(keeper,), kwargs={"credited": lambda _order: None}
        )
        crediting.start()
        assert await_credit(command, "SO-1", wait_s=30).state is OrderState.CREDITED
        crediting.join()
    keeper.database.dispose()
    command.database.dispose()


def test_a_payment_that_is_not_credited_in_time_is_no_failure(hospital: Cli) -> None:
    """The payment stands; the message says that the gateway will credit it."""
    hospital.ok(*place(hospital, "SO-1"))
    keeper = hospital.ledger()
    with keeper.database.try_lock(KEEPER_LOCK):
        said = hospital.ok("order", "pay", "SO-1", "--wait", "0.2")
        assert "is paid; it is not credited yet" in said
        assert hospital.json("order", "pay", "SO-1", "--wait", "0")["state"] == "paid"
    assert hospital.json("order", "pay", "SO-1")["state"] == "credited"


def test_a_keeper_that_ends_meanwhile_is_replaced(hospital: Cli) -> None:
    """Whoever waits becomes the keeper as soon as nobody else is."""
    hospital.ok(*place(hospital, "SO-1"))
    ledger = hospital.ledger()
    with ledger.begin() as work:
        service.pay(work, "SO-1")
        work.commit()
    waited: list[OrderState] = []
    with ledger.database.try_lock(KEEPER_LOCK):
        waiting = threading.Thread(
            target=lambda: waited.append(await_credit(ledger, "SO-1", wait_s=30).state)
        )
        waiting.start()
    waiting.join(timeout=30)
    assert waited == [OrderState.CREDITED]
    ledger.database.dispose()


def test_an_order_that_was_taken_back_is_not_paid(tollgate: Cli) -> None:
    """Said at once: nobody waits for a credit that never comes."""
    tollgate.hospital()
    tollgate.ok("order", "place", "--account", "1", "--exams", "1000", "--order-no", "SO-1")
    tollgate.ok("order", "void", "SO-1", "--reason", "placed twice")
    said = tollgate.refused("order", "pay", "SO-1", "--wait", "3600")
    assert said == "ORD-2: order SO-1 is taken back: it can't be paid"
    assert tollgate.json("order", "list")[0]["paid_at"] is None


def test_orders_are_listed_by_state_and_institution(tollgate: Cli) -> None:
    """An order names an institution where it is about its licences or services."""
    tollgate.hospital()
    place = ("order", "place", "--account", "1", "--order-no")
    tollgate.ok(*place, "SO-1", "--exams", "1000")
    tollgate.ok(*place, "SO-2", "--licence", "mobile")
    tollgate.ok(*place, "SO-3", "--licence", "basic")
    tollgate.ok("order", "void", "SO-3", "--reason", "placed twice")

    def listed(*options: str) -> list[str]:
        return [one["number"] for one in tollgate.json("order", "list", *options)]

    assert listed("--state", "placed") == ["SO-1", "SO-2"]
    assert listed("--institution", "East") == ["SO-2", "SO-3"]
    assert listed("--institution", "1", "--state", "voided") == ["SO-3"]
    assert listed("--state", "credited") == []
    assert tollgate.run("order", "list", "--state", "paid").stderr == "no orders\n"
