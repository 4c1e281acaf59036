"""What an operator corrects: what moves, what is refused, and that it is journaled (STATE-6)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from quota import correction, service
from quota.account import EXAM, Account
from quota.action import By
from quota.ledger import Episode
from quota.order import Rejected
from quota.service import Admitted
from quota.standing import Status
from tests.quota.bench import Bench
from tests.quota.makers import DAY, HOUR, NOON

BY = By(actor="wang", reason="asked by letter")


@pytest.fixture
def bench() -> Bench:
    """An account with one examination paid for, and then two owed, one µs apart."""
    bench = Bench()
    bench.buy(1)
    for name in ("funded", "owed-1", "owed-2"):
        bench.now += 1
        assert isinstance(bench.admit(name), Admitted)
    return bench


def funders(bench: Bench) -> dict[str, int | None]:
    """Who pays for each standing charge."""
    with bench.ledger.read() as view:
        names = ("funded", "owed-1", "owed-2")
        charges = [charge for name in names if (charge := view.charge(name)) is not None]
    return {charge.examination_id: charge.package_id for charge in charges}


def reverse(bench: Bench, examination_id: str, *, never_stored: bool = False) -> object:
    """Take a charge back."""
    return bench.do(
        lambda work: correction.reverse(
            work, bench.account, examination_id, by=BY, never_stored=never_stored
        )
    )


def test_a_reversed_unit_pays_the_oldest_debt(bench: Bench) -> None:
    """§3, reversal: CONSUMED −1, PACKAGE +1, then offset."""
    reverse(bench, "funded")

    assert funders(bench) == {"owed-1": 1, "owed-2": None}
    assert (bench.reading().meter.available, bench.reading().owed) == (0, 1)


def test_a_reversed_unit_of_a_package_that_has_ended_lapses(bench: Bench) -> None:
    """§3, reversal: to PACKAGE if that is still valid, else EXPIRED; it pays nothing."""
    bench.now += 366 * DAY

    reverse(bench, "funded")

    meter = bench.reading().meter
    assert (meter.available, meter.expired, meter.owed) == (0, 1, 2)


def test_an_owed_charge_that_is_reversed_is_owed_no_more(bench: Bench) -> None:
    """§3: CONSUMED −1, ARREARS +1; STATE-1: the deadline stays with what is still owed."""
    before = bench.reading().meter.episode

    reverse(bench, "owed-1")

    assert funders(bench) == {"funded": 1, "owed-2": None}
    assert bench.reading().meter.episode == before


def test_what_was_never_stored_starts_no_grace(bench: Bench) -> None:
    """STATE-1, its one exception: the start moves to the oldest charge still owed."""
    reverse(bench, "owed-1", never_stored=True)

    assert bench.reading().meter.episode == Episode.starting(NOON + 3)


def test_an_examination_without_a_charge_is_not_reversed(bench: Bench) -> None:
    """A second reversal finds nothing; the rule is named."""
    reverse(bench, "owed-1")

    refused = reverse(bench, "owed-1")

    assert isinstance(refused, Rejected)
    assert refused.rule == "STATE-6"


@pytest.mark.parametrize("units", [-1, 0, 3])
def test_no_more_is_written_off_than_is_owed(bench: Bench, units: int) -> None:
    """STATE-6, §3: between 1 and what is owed."""
    before = bench.postings()

    refused = bench.do(lambda work: correction.write_off(work, bench.account, units=units, by=BY))

    assert isinstance(refused, Rejected)
    assert refused.rule == "STATE-6"
    assert (bench.postings(), bench.reading().owed) == (before, 2)


def test_all_that_is_owed_can_be_written_off(bench: Bench) -> None:
    """§3: ARREARS +k, WRITTEN_OFF −k; STATE-3: the episode closes."""
    left = bench.do(lambda work: correction.write_off(work, bench.account, units=2, by=BY))

    meter = bench.reading().meter
    assert (left, meter.written_off, meter.episode) == (0, 2, None)
    assert funders(bench) == {"funded": 1}


@pytest.mark.parametrize("moved", [-HOUR, 0, 400 * DAY])
def test_a_deadline_moves_only_to_a_later_instant_within_a_year(bench: Bench, moved: int) -> None:
    """STATE-6: extended, neither shortened nor lifted."""
    before = bench.reading().meter.episode
    assert before is not None

    refused = bench.do(
        lambda work: correction.extend(work, bench.account, until=before.deadline + moved, by=BY)
    )

    assert isinstance(refused, Rejected)
    assert refused.rule == "STATE-6"
    assert bench.reading().meter.episode == before


def test_an_extended_deadline_is_the_grace(bench: Bench) -> None:
    """STATE-6: ARREARS up to the new deadline, SUSPENDED from it on; the start stays."""
    before = bench.reading().meter.episode
    assert before is not None
    until = before.deadline + HOUR

    bench.do(lambda work: correction.extend(work, bench.account, until=until, by=BY))

    assert bench.reading().meter.episode == replace(before, deadline=until)
    bench.now = until - 1
    assert bench.reading().status is Status.ARREARS
    bench.now = until
    assert bench.reading().status is Status.SUSPENDED


@pytest.mark.parametrize("cap, status", [(3, Status.ARREARS), (2, Status.SUSPENDED)])
def test_a_cap_on_arrears_stops_where_it_is_reached(bench: Bench, cap: int, status: Status) -> None:
    """STATE-6: ARREARS becomes SUSPENDED when what is owed reaches it."""
    bench.account = _accepted(
        bench.do(lambda work: correction.cap_arrears(work, bench.account, cap=cap, by=BY))
    )

    assert bench.reading().status is status


def test_every_correction_is_journaled_with_who_and_why(bench: Bench) -> None:
    """STATE-6: in the transaction that does it."""
    bench.do(lambda work: correction.write_off(work, bench.account, units=1, by=BY))
    reverse(bench, "funded")
    reverse(bench, "owed-2", never_stored=True)
    bench.do(lambda work: correction.cap_arrears(work, bench.account, cap=None, by=BY))
    bench.do(lambda work: correction.void_order(work, "SO-1", by=BY))
    bench.do(lambda work: correction.close_account(work, bench.account, by=BY))

    with bench.ledger.read() as view:
        acts = view.actions()
    assert [act.action for act in acts] == [
        *("write_off", "reverse", "never_stored", "arrears_cap", "order_void", "account_close")
    ]
    assert {(act.actor, act.reason) for act in acts} == {("wang", "asked by letter")}


def test_a_voided_order_takes_back_what_is_left_of_it() -> None:
    """§3, void: PACKAGE −r, VOIDED +r; what was used stays used, and nothing is owed for it."""
    bench = Bench()
    bench.buy(5)
    bench.admit("exam")

    bench.do(lambda work: correction.void_order(work, "SO-1", by=BY))

    meter = bench.reading(EXAM).meter
    assert (meter.voided, meter.available, meter.used, meter.owed) == (4, 0, 1, 0)
    assert isinstance(bench.do(lambda work: service.admit(work, bench.account, "next")), Admitted)


def _accepted(outcome: Account | Rejected) -> Account:
    assert not isinstance(outcome, Rejected)
    return outcome
