"""The contract of services, the same on every store (§8): accepted, lapsed, or a term that ends."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from quota import granting
from quota.account import Account
from quota.order import LineRequest, Rejected
from quota.ports import Ledger
from quota.service_term import BoughtService, ServiceKind, ServiceState
from quota.time import to_instant
from tests.quota.makers import DAY
from tests.storage.kit import HandClock, credit, pay
from tests.storage.operator import ME, act, void_order
from tests.storage.shop import buy, enrol, order, services

YEAR_ON = to_instant(datetime(2026, 3, 10, 16, tzinfo=UTC))
"""The end of 10 March 2026 in Shanghai: bought at noon UTC on 10 March 2025."""
DELIVERY = LineRequest(meter="service:delivery", quantity=1)
SIX_MONTHS = LineRequest(meter="service:maintenance", quantity=1, years=0, months=6)
TWO_YEARS = LineRequest(meter="service:maintenance", quantity=1, years=2)


@pytest.fixture(autouse=True)
def _institution(ledger: Ledger, account: Account) -> None:
    enrol(ledger, account, 1)


def accept(ledger: Ledger, known: BoughtService, number: str) -> BoughtService | Rejected:
    """The customer accepts."""
    return act(ledger, lambda work: granting.accept(work, known, number=number, by=ME))


def test_a_delivery_waits_to_be_accepted_and_is_so_once(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """Journaled with who and why; the instant of the first acceptance stays."""
    buy(ledger, account, "S-1", DELIVERY)
    (known,) = services(ledger)
    assert (known.kind, known.ends_at) == (ServiceKind.DELIVERY, YEAR_ON)
    assert known.state(clock.at) is ServiceState.PLACED
    clock.at += DAY

    accepted = accept(ledger, known, "S-1")
    clock.at += DAY

    assert isinstance(accepted, BoughtService)
    assert accepted.accepted_at == clock.at - DAY
    assert accept(ledger, known, "S-1") == accepted
    assert services(ledger, account.id) == [accepted]
    assert accepted.state(YEAR_ON) is ServiceState.ACCEPTED
    with ledger.read() as view:
        assert [(one.actor, one.action) for one in view.actions()] == [("anna", "service_accept")]


def test_what_is_not_accepted_lapses_one_year_after_purchase(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """At the first instant of the local day after it, and is not accepted any more."""
    buy(ledger, account, "S-1", DELIVERY)
    (known,) = services(ledger)
    assert known.state(YEAR_ON - 1) is ServiceState.PLACED
    assert known.state(YEAR_ON) is ServiceState.LAPSED
    clock.at = YEAR_ON

    refused = accept(ledger, known, "S-1")

    assert isinstance(refused, Rejected)
    assert (refused.rule, services(ledger)) == ("SERVICE", [known])


@pytest.mark.parametrize(
    "line, ends",
    [
        (SIX_MONTHS, datetime(2025, 9, 10, 16, tzinfo=UTC)),
        (TWO_YEARS, datetime(2027, 3, 10, 16, tzinfo=UTC)),
    ],
)
def test_maintenance_runs_for_its_term_and_ends_by_itself(
    ledger: Ledger, account: Account, clock: HandClock, line: LineRequest, ends: datetime
) -> None:
    """By the month or by the year, by the account's calendar; nobody accepts it."""
    buy(ledger, account, "S-1", line)
    (known,) = services(ledger)

    assert known.ends_at == to_instant(ends)
    assert known.state(known.ends_at - 1) is ServiceState.RUNNING
    assert known.state(known.ends_at) is ServiceState.ENDED
    assert isinstance(accept(ledger, known, "S-1"), Rejected)


def test_a_service_is_credited_once(ledger: Ledger, account: Account) -> None:
    """ORD-2: a second delivery of the order changes nothing."""
    first = buy(ledger, account, "S-1", DELIVERY, SIX_MONTHS)

    assert credit(ledger, "S-1") == first
    assert len(services(ledger)) == 2


def test_a_voided_order_cancels_what_nobody_accepted(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """What was rendered and accepted stays so; what runs or waits is cancelled."""
    buy(ledger, account, "S-1", DELIVERY, DELIVERY, SIX_MONTHS)
    accept(ledger, services(ledger)[0], "S-1")
    clock.at += DAY

    void_order(ledger, "S-1")

    states = [one.state(clock.at) for one in services(ledger)]
    assert states == [ServiceState.ACCEPTED, ServiceState.CANCELLED, ServiceState.CANCELLED]
    assert isinstance(accept(ledger, services(ledger)[1], "S-1"), Rejected)


def test_a_service_credited_after_its_time_is_over_at_once(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """ORD-3, as for packages: on record, of no use, and the operator is told."""
    order(ledger, account, "S-1", SIX_MONTHS)
    pay(ledger, "S-1")
    clock.at = YEAR_ON
    credit(ledger, "S-1")

    assert [one.state(clock.at) for one in services(ledger)] == [ServiceState.ENDED]
    with ledger.read() as view:
        assert [one.details["expired"] for one in view.notices()] == [1]


def test_a_service_for_no_institution_is_refused(ledger: Ledger, account: Account) -> None:
    """ORD-1: it is for one institution."""
    refused = order(ledger, account, "S-1", DELIVERY, institution_id=None)

    assert isinstance(refused, Rejected)
    assert refused.rule == "ORD-1"
    assert services(ledger) == []


def test_an_order_may_mix_what_it_buys(ledger: Ledger, account: Account) -> None:
    """Units, a licence and a service: one order, one credit, each once."""
    mixed = (
        LineRequest(meter="exam", quantity=1_000),
        LineRequest(meter="licence:mobile", quantity=1),
        DELIVERY,
    )
    buy(ledger, account, "S-1", *mixed)

    with ledger.read() as view:
        bought = (len(view.packages(account.id)), len(view.licences()), len(view.services()))
        found = view.order("S-1")
    assert bought == (1, 1, 1)
    assert found is not None
    assert found.institution_id == 1
