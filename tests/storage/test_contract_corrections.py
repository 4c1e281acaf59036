"""The contract of an operator's corrections, the same on every store (§3, STATE-1, STATE-6)."""

from __future__ import annotations

import pytest

from quota import correction
from quota.account import Account, Plan
from quota.admission import RefusalReason, Refused
from quota.errors import UnknownOrder
from quota.ledger import Episode
from quota.order import Order, OrderState, Rejected
from quota.ports import Ledger
from quota.service import Admitted
from quota.standing import Status
from tests.quota.makers import DAY, HOUR
from tests.storage.kit import (
    HandClock,
    add_account,
    admit,
    credit,
    in_arrears,
    pay,
    place_small,
    reading,
    top_up,
)
from tests.storage.operator import ME, act, figures, reverse, void_order

# -- extending a deadline --------------------------------------------------------------------------


def test_an_extended_deadline_lets_examinations_in(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """STATE-6: admitted up to the new deadline, to the microsecond, and not beyond."""
    episode = in_arrears(ledger, account, clock)
    until = episode.deadline + 3 * HOUR
    clock.at = episode.deadline
    assert isinstance(admit(ledger, account, "late"), Refused)

    extended = act(ledger, lambda work: correction.extend(work, account, until=until, by=ME))

    assert extended == Episode(started_at=episode.started_at, deadline=until)
    clock.at = until - 1
    assert isinstance(admit(ledger, account, "late"), Admitted)
    clock.at = until
    assert isinstance(admit(ledger, account, "too-late"), Refused)


@pytest.mark.parametrize("further", [0, -1, 400 * DAY])
def test_a_deadline_moves_forward_by_a_year_at_most(
    ledger: Ledger, account: Account, clock: HandClock, further: int
) -> None:
    """A deadline is never shortened, nor abolished by a slip of the hand."""
    episode = in_arrears(ledger, account, clock)
    until = episode.deadline + further

    refused = act(ledger, lambda work: correction.extend(work, account, until=until, by=ME))

    assert isinstance(refused, Rejected)
    assert reading(ledger, account).meter.episode == episode


def test_without_arrears_there_is_nothing_to_extend(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """STATE-6: extend the deadline of the *open* episode."""
    refused = act(
        ledger, lambda work: correction.extend(work, account, until=clock.at + DAY, by=ME)
    )

    assert isinstance(refused, Rejected)
    assert refused.rule == "STATE-6"


def test_an_extension_ends_with_its_episode(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """TIME-6: the next episode has its 24 hours, no more."""
    episode = in_arrears(ledger, account, clock)
    act(
        ledger,
        lambda work: correction.extend(work, account, until=episode.deadline + DAY, by=ME),
    )
    top_up(ledger, account, "SO-9", 2)
    admit(ledger, account, "exam-2")
    clock.at += HOUR
    admit(ledger, account, "exam-3")

    again = reading(ledger, account).meter.episode
    assert again == Episode(started_at=clock.at, deadline=clock.at + DAY)


# -- writing off -----------------------------------------------------------------------------------


def test_what_is_written_off_is_owed_no_more(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """§3: ARREARS +k, WRITTEN_OFF −k, the oldest first; STATE-3 closes the episode at zero."""
    episode = in_arrears(ledger, account, clock)
    admit(ledger, account, "exam-2")

    left = act(ledger, lambda work: correction.write_off(work, account, units=1, by=ME))
    assert left == 1
    assert reading(ledger, account).meter.episode == episode
    with ledger.read() as view:
        assert view.charge("exam-1") is None
        assert view.charge("exam-2") is not None

    left = act(ledger, lambda work: correction.write_off(work, account, units=1, by=ME))
    assert left == 0
    assert reading(ledger, account).status is Status.EMPTY
    assert figures(ledger, account) == (0, 1, 0, 0)


@pytest.mark.parametrize("units", [0, -1, 2])
def test_only_what_is_owed_is_written_off(
    ledger: Ledger, account: Account, clock: HandClock, units: int
) -> None:
    """Refused by name, nothing written."""
    in_arrears(ledger, account, clock)

    refused = act(ledger, lambda work: correction.write_off(work, account, units=units, by=ME))

    assert isinstance(refused, Rejected)
    assert refused.rule == "STATE-6"
    assert figures(ledger, account) == (0, 1, 1, 0)


def test_bytes_over_the_limit_are_not_written_off(ledger: Ledger) -> None:
    """Bytes that stay stored would be owed again at once."""
    account = add_account(ledger, "Bytes", plan=Plan.PER_CAPACITY)

    refused = act(ledger, lambda work: correction.write_off(work, account, units=1, by=ME))

    assert isinstance(refused, Rejected)


# -- voiding an order ------------------------------------------------------------------------------


def test_what_is_left_of_a_voided_order_is_gone(ledger: Ledger, account: Account) -> None:
    """§3: PACKAGE −r, VOIDED +r; what was used stays used; twice changes nothing."""
    top_up(ledger, account, "SO-1", 5)
    top_up(ledger, account, "SO-2", 7)
    admit(ledger, account, "exam-1")

    voided = void_order(ledger, "SO-1")

    assert isinstance(voided, Order)
    assert voided.state is OrderState.VOIDED
    assert figures(ledger, account) == (7, 1, 0, 4)
    assert void_order(ledger, "SO-1") == voided
    assert figures(ledger, account) == (7, 1, 0, 4)


def test_a_charge_of_a_voided_package_goes_nowhere_else(ledger: Ledger, account: Account) -> None:
    """§3: reversed later, its unit is VOIDED, not available again."""
    top_up(ledger, account, "SO-1", 5)
    admit(ledger, account, "exam-1")
    void_order(ledger, "SO-1")

    reverse(ledger, account, "exam-1")

    assert figures(ledger, account) == (0, 0, 0, 5)


def test_an_order_voided_before_its_credit_is_never_credited(
    ledger: Ledger, account: Account
) -> None:
    """ORD-2: neither placed nor paid orders become packages after they were taken back."""
    place_small(ledger, account, "SO-1", 5)
    place_small(ledger, account, "SO-2", 5)
    pay(ledger, "SO-2")
    void_order(ledger, "SO-1")
    void_order(ledger, "SO-2")

    with ledger.read() as view:
        assert view.orders_to_credit() == []
    assert pay(ledger, "SO-1").paid_at is None
    assert credit(ledger, "SO-2").credited_at is None
    assert figures(ledger, account) == (0, 0, 0, 0)
    with pytest.raises(UnknownOrder):
        void_order(ledger, "SO-9")


# -- the account -----------------------------------------------------------------------------------


def test_a_closed_account_refuses_and_stays_readable(ledger: Ledger, account: Account) -> None:
    """§6 CLOSED: new examinations are refused; known ones pass, figures stay."""
    top_up(ledger, account, "SO-1", 5)
    admit(ledger, account, "exam-1")

    closed = act(ledger, lambda work: correction.close_account(work, account, by=ME))

    assert isinstance(closed, Account)
    refused = admit(ledger, closed, "exam-2")
    assert isinstance(refused, Refused)
    assert refused.reason is RefusalReason.ACCOUNT_CLOSED
    assert isinstance(admit(ledger, closed, "exam-1"), Admitted)
    assert figures(ledger, closed) == (4, 1, 0, 0)
    assert act(ledger, lambda work: correction.close_account(work, closed, by=ME)) == closed


def test_arrears_up_to_the_cap_are_admitted(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """STATE-6: ARREARS becomes SUSPENDED when owed reaches the cap; lifted, it is as before."""
    in_arrears(ledger, account, clock)
    capped = act(ledger, lambda work: correction.cap_arrears(work, account, cap=2, by=ME))
    assert isinstance(capped, Account)

    assert reading(ledger, capped).status is Status.ARREARS
    assert isinstance(admit(ledger, capped, "exam-2"), Admitted)
    assert reading(ledger, capped).status is Status.SUSPENDED
    assert isinstance(admit(ledger, capped, "exam-3"), Refused)

    lifted = act(ledger, lambda work: correction.cap_arrears(work, capped, cap=None, by=ME))
    assert isinstance(lifted, Account)
    assert isinstance(admit(ledger, lifted, "exam-3"), Admitted)
    refused = act(ledger, lambda work: correction.cap_arrears(work, lifted, cap=0, by=ME))
    assert isinstance(refused, Rejected)


def test_every_act_is_journaled_with_who_and_why(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """STATE-6: all journaled, in the transaction that does it; a refused act leaves nothing."""
    episode = in_arrears(ledger, account, clock)
    act(
        ledger,
        lambda work: correction.extend(work, account, until=episode.deadline + 1, by=ME),
    )
    act(ledger, lambda work: correction.write_off(work, account, units=9, by=ME))
    reverse(ledger, account, "exam-1")
    void_order(ledger, "SO-0")

    with ledger.read() as view:
        acts = view.actions()
    assert [(one.action, one.actor, one.reason) for one in acts] == [
        (name, "anna", "agreed by telephone") for name in ("extend", "reverse", "order_void")
    ]
