"""The contract of licences, the same on every store (§8, ORD-3, ORD-4, invariant 20)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from quota import granting
from quota.account import Account
from quota.licence import Licence, LicenceState, Scope
from quota.order import LineRequest, Order, OrderState, Rejected
from quota.ports import Ledger
from quota.time import Instant, to_instant
from storage.ledger import SqlLedger
from tests.quota.makers import DAY, HOUR
from tests.storage.kit import HandClock, add_account, credit, in_arrears, pay
from tests.storage.operator import ME, act, void_order
from tests.storage.shop import a_licence, buy, enrol, licences, order

YEAR_ON = to_instant(datetime(2026, 3, 10, 16, tzinfo=UTC))
"""The end of 10 March 2026 in Shanghai: bought at noon UTC on 10 March 2025."""


def opened(ledger: Ledger, institution_id: int, feature: str, at: Instant) -> Licence | None:
    """What opens a feature to an institution."""
    with ledger.read() as view:
        return granting.licence_for(view, institution_id, feature, at=at)


def test_a_licence_opens_from_its_credit_to_the_local_day(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """ORD-3, TIME-5: to the microsecond, for that feature and that institution alone."""
    enrol(ledger, account, 1)
    enrol(ledger, account, 2)
    order(ledger, account, "L-1", a_licence())
    pay(ledger, "L-1")
    clock.at += HOUR
    credited = credit(ledger, "L-1")

    (mine,) = licences(ledger)
    assert credited.credited_at == mine.starts_at == mine.credited_at == clock.at
    assert mine.purchased_at == clock.at - HOUR
    assert mine.ends_at == YEAR_ON
    assert opened(ledger, 1, "mobile", clock.at) == mine
    assert opened(ledger, 1, "mobile", clock.at - 1) is None
    assert opened(ledger, 1, "mobile", YEAR_ON - 1) == mine
    assert opened(ledger, 1, "mobile", YEAR_ON) is None
    assert opened(ledger, 1, "basic", clock.at) is None
    assert opened(ledger, 2, "mobile", clock.at) is None


def test_a_consortiums_licence_opens_for_every_member(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """§8: effective = own OR the consortium's, whoever of them has bought it."""
    other = add_account(ledger, "South")
    enrol(ledger, account, 1, consortium_id=1)
    enrol(ledger, other, 2, consortium_id=1)
    enrol(ledger, other, 3)
    buy(ledger, account, "L-1", a_licence(consortium_id=1), institution_id=None)

    (shared,) = licences(ledger, Scope(consortium_id=1))
    assert opened(ledger, 1, "mobile", clock.at) == shared
    assert opened(ledger, 2, "mobile", clock.at) == shared
    assert opened(ledger, 3, "mobile", clock.at) is None


def test_a_second_delivery_of_an_order_opens_nothing_more(ledger: Ledger, account: Account) -> None:
    """ORD-2: exactly once per line, however often the keeper comes."""
    enrol(ledger, account, 1)
    first = buy(ledger, account, "L-1", a_licence(), a_licence("basic", years=2))

    assert credit(ledger, "L-1") == first
    assert sorted(one.feature for one in licences(ledger)) == ["basic", "mobile"]
    with ledger.read() as view:
        told = [one.key for one in view.notices() if one.kind == "credited"]
    assert told == ["credited:licence:1", "credited:licence:2"]


def test_a_renewal_begins_where_the_old_one_ends(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """ORD-4: no gap and no overlap, named or not; the day of the year stays."""
    enrol(ledger, account, 1)
    buy(ledger, account, "L-1", a_licence())
    clock.at += 30 * DAY
    buy(ledger, account, "L-2", a_licence(renews=1))
    buy(ledger, account, "L-3", a_licence(), a_licence())

    first, second, third, fourth = licences(ledger)
    assert first.ends_at == second.starts_at == YEAR_ON
    assert second.ends_at == third.starts_at
    assert third.ends_at == fourth.starts_at
    assert second.ends_at == to_instant(datetime(2027, 3, 10, 16, tzinfo=UTC))
    assert second.state(clock.at) is LicenceState.AHEAD


def test_what_is_bought_after_the_end_begins_anew(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """A term that is over is not renewed backwards."""
    enrol(ledger, account, 1)
    buy(ledger, account, "L-1", a_licence())
    clock.at = YEAR_ON
    buy(ledger, account, "L-2", a_licence())

    assert licences(ledger)[1].starts_at == YEAR_ON


def test_a_licence_credited_after_its_term_was_never_open(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """ORD-3: issued and over at once, and the operator is told."""
    enrol(ledger, account, 1)
    order(ledger, account, "L-1", a_licence())
    pay(ledger, "L-1")
    clock.at = YEAR_ON + DAY
    credit(ledger, "L-1")

    (late,) = licences(ledger)
    assert late.starts_at == late.ends_at == YEAR_ON
    assert late.state(clock.at) is LicenceState.ENDED
    with ledger.read() as view:
        assert [one.details["expired"] for one in view.notices()] == [1]


@pytest.mark.parametrize("lines_of", ["licences", "nothing"])
def test_arrears_do_not_touch_a_licence(
    ledger: Ledger, account: Account, clock: HandClock, lines_of: str
) -> None:
    """§8: suspended or not, what is licensed is open; nothing licensed opens nothing."""
    in_arrears(ledger, account, clock)
    if isinstance(ledger, SqlLedger):
        institution = 1  # the examinations' own
    else:
        institution = 1
        enrol(ledger, account, 1)
    if lines_of == "licences":
        buy(ledger, account, "L-1", a_licence(), institution_id=institution)
    clock.at += 3 * DAY

    assert (opened(ledger, institution, "mobile", clock.at) is not None) == (lines_of == "licences")


def test_a_revoked_licence_closes_at_once_and_once(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """Journaled with who and why; a new one may be bought at once and does not wait."""
    enrol(ledger, account, 1)
    buy(ledger, account, "L-1", a_licence())
    (known,) = licences(ledger)
    clock.at += DAY

    revoked = act(ledger, lambda work: granting.revoke(work, known, by=ME))
    clock.at += 1
    again = act(ledger, lambda work: granting.revoke(work, known, by=ME))

    assert isinstance(revoked, Licence)
    assert revoked == again
    assert revoked.revoked_at == clock.at - 1
    assert opened(ledger, 1, "mobile", clock.at) is None
    with ledger.read() as view:
        acts = [(one.actor, one.action, one.subject) for one in view.actions()]
    assert acts == [("anna", "licence_revoke", "1")]
    buy(ledger, account, "L-2", a_licence())
    assert opened(ledger, 1, "mobile", clock.at) is not None


def test_what_has_ended_is_not_revoked(ledger: Ledger, account: Account, clock: HandClock) -> None:
    """Nothing is left to revoke, and nothing is written."""
    enrol(ledger, account, 1)
    buy(ledger, account, "L-1", a_licence())
    (known,) = licences(ledger)
    clock.at = YEAR_ON

    refused = act(ledger, lambda work: granting.revoke(work, known, by=ME))

    assert isinstance(refused, Rejected)
    assert refused.rule == "LICENCE"
    assert licences(ledger) == [known]


def test_a_voided_order_takes_its_licences_back(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """ORD-2: those that are open or ahead are revoked; other orders' stay."""
    enrol(ledger, account, 1)
    buy(ledger, account, "L-1", a_licence(), a_licence())
    buy(ledger, account, "L-2", a_licence("basic"))
    clock.at += DAY

    voided = void_order(ledger, "L-1")

    assert isinstance(voided, Order)
    assert voided.state is OrderState.VOIDED
    states = {(one.feature, one.state(clock.at)) for one in licences(ledger)}
    assert states == {("mobile", LicenceState.REVOKED), ("basic", LicenceState.ACTIVE)}
    assert void_order(ledger, "L-1") == voided


def test_an_order_voided_before_its_credit_opens_nothing(ledger: Ledger, account: Account) -> None:
    """It never will be credited."""
    enrol(ledger, account, 1)
    order(ledger, account, "L-1", a_licence())
    pay(ledger, "L-1")
    void_order(ledger, "L-1")

    assert credit(ledger, "L-1").state is OrderState.VOIDED
    assert licences(ledger) == []


@pytest.mark.parametrize(
    "line, institution_id, rule",
    [
        (a_licence(), None, "ORD-1"),
        (a_licence(), 3, "ORD-1"),
        (a_licence(), 99, "ORD-1"),
        (a_licence(consortium_id=2), None, "ORD-1"),
        (a_licence(consortium_id=99), None, "ORD-1"),
        (a_licence(renews=99), 1, "ORD-4"),
        (a_licence("basic", renews=1), 1, "ORD-4"),
        (a_licence("telepathy"), 1, "ORD-1"),
    ],
)
def test_a_licence_for_nobody_or_for_others_is_refused(
    ledger: Ledger, account: Account, line: LineRequest, institution_id: int | None, rule: str
) -> None:
    """By the rule's name: an unknown or another account's institution, a foreign consortium."""
    other = add_account(ledger, "South")
    enrol(ledger, account, 1, consortium_id=1)
    enrol(ledger, other, 2, consortium_id=2)
    enrol(ledger, other, 3)
    buy(ledger, account, "L-1", a_licence())

    refused = order(ledger, account, "L-2", line, institution_id=institution_id)

    assert isinstance(refused, Rejected)
    assert refused.rule == rule
    with ledger.read() as view:
        assert view.order("L-2") is None
