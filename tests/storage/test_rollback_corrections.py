"""An operator's act, or a call's, that fails anywhere leaves the database as it was (§14)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from quota import ai, correction, reminder, service
from quota.account import EXAM
from quota.order import LineRequest, Order
from quota.ports import Work
from storage.anchors import anchor_journal
from storage.registry import institutions
from storage.work import SqlWork
from tests.quota.makers import DAY, HOUR
from tests.storage.calls import PRODUCT, buy_calls, hold
from tests.storage.hospital import Site
from tests.storage.kit import HandClock, admit, in_arrears, pay, reading, top_up
from tests.storage.operator import ME
from tests.storage.shop import a_licence, licences, order, services
from tests.storage.test_rollback import fail_everywhere

Act = Callable[[Work], object]


def everywhere(site: Site, act: Act) -> int:
    """Let the act fail at each of its statements, then succeed; how many there were."""

    def operation() -> None:
        with site.ledger.begin() as work:
            act(work)
            work.commit()

    return fail_everywhere(site.ledger, operation)


@pytest.fixture
def owing(site: Site, clock: HandClock) -> Site:
    """One examination funded, two owed, an hour apart."""
    in_arrears(site.ledger, site.account, clock)
    clock.at += HOUR
    admit(site.ledger, site.account, "exam-2")
    clock.at += HOUR
    return site


@pytest.mark.slow
@pytest.mark.parametrize("examination_id", ["exam-0", "exam-1"])
def test_a_reversal_happens_whole_or_not_at_all(owing: Site, examination_id: str) -> None:
    """Posting, charge, offset or the moved grace, the operator's name: one transaction."""
    statements = everywhere(
        owing,
        lambda work: correction.reverse(
            work, owing.account, examination_id, by=ME, never_stored=True
        ),
    )

    assert statements > 8


@pytest.mark.slow
def test_a_write_off_happens_whole_or_not_at_all(owing: Site) -> None:
    """Posting, charges, the closed episode, its notice."""
    assert (
        everywhere(owing, lambda work: correction.write_off(work, owing.account, units=2, by=ME))
        > 8
    )


@pytest.mark.slow
def test_a_void_happens_whole_or_not_at_all(owing: Site) -> None:
    """Packages, postings, the order's mark."""
    with owing.ledger.begin() as work:
        correction.write_off(work, owing.account, units=2, by=ME)
        work.commit()
    top_up(owing.ledger, owing.account, "SO-9", 3)

    assert everywhere(owing, lambda work: correction.void_order(work, "SO-9", by=ME)) > 5


@pytest.mark.slow
def test_an_extension_happens_whole_or_not_at_all(owing: Site) -> None:
    """The episode, the record of its move, the operator's name."""
    episode = reading(owing.ledger, owing.account).meter.episode
    assert episode is not None
    until = episode.deadline + DAY

    assert (
        everywhere(owing, lambda work: correction.extend(work, owing.account, until=until, by=ME))
        > 4
    )


@pytest.mark.slow
def test_a_call_happens_whole_or_not_at_all(site: Site, clock: HandClock) -> None:
    """A hold with a boundary due before it; then what is used of it and what returns."""
    buy_calls(site.ledger, site.account, "AI-1", 3)
    clock.at += DAY
    buy_calls(site.ledger, site.account, "AI-2", 5)
    hold(site.ledger, site.account, "call-0", 2, ttl_s=60)
    clock.at += HOUR

    assert (
        everywhere(
            site,
            lambda work: ai.hold(work, site.account, PRODUCT, key="call-1", units=6, ttl_s=60),
        )
        > 10
    )
    assert (
        everywhere(site, lambda work: ai.post(work, site.account, PRODUCT, key="call-1", units=4))
        > 6
    )


@pytest.mark.slow
def test_what_the_keeper_does_happens_whole_or_not_at_all(owing: Site, clock: HandClock) -> None:
    """Notices of the clock; an anchor of the journal."""
    clock.at += DAY

    assert everywhere(owing, lambda work: reminder.remind(work, owing.account, EXAM)) > 2

    def anchor(work: Work) -> None:
        assert isinstance(work, SqlWork)
        anchor_journal(work)

    assert everywhere(owing, anchor) > 3


@pytest.mark.slow
def test_an_order_of_licences_and_services_happens_whole_or_not_at_all(site: Site) -> None:
    """Credited, then taken back: licence, service, package, notices, the order's mark."""
    with site.ledger.begin() as work:
        (owner,) = [one.id for one in institutions(work)]
        work.commit()
    lines = (
        LineRequest(meter=EXAM, quantity=1000),
        a_licence("mobile", years=2),
        a_licence("basic"),
        LineRequest(meter="service:delivery", quantity=1),
    )
    placed = order(site.ledger, site.account, "L-1", *lines, institution_id=owner)
    assert isinstance(placed, Order), placed
    pay(site.ledger, "L-1")

    assert everywhere(site, lambda work: service.credit(work, "L-1")) > 15
    assert (len(licences(site.ledger)), len(services(site.ledger))) == (2, 1)
    assert everywhere(site, lambda work: correction.void_order(work, "L-1", by=ME)) > 10
    assert all(one.revoked_at is not None for one in licences(site.ledger))
    assert all(one.cancelled_at is not None for one in services(site.ledger))
