"""The contract of reversals, the same on every store: where a unit goes, and the grace (§3)."""

from __future__ import annotations

from quota import correction
from quota.account import Account
from quota.facts import Charged
from quota.ledger import Episode
from quota.order import Rejected
from quota.ports import Ledger
from quota.standing import Status
from tests.quota.makers import DAY, HOUR
from tests.storage.kit import (
    HandClock,
    admit,
    funder,
    in_arrears,
    reading,
    top_up,
)
from tests.storage.operator import ME, act, figures, reverse


def test_a_funded_charge_goes_back_to_its_package(ledger: Ledger, account: Account) -> None:
    """§3: CONSUMED −1, PACKAGE +1; the examination has no standing charge any more."""
    top_up(ledger, account, "SO-1", 5)
    admit(ledger, account, "exam-1")

    taken_back = reverse(ledger, account, "exam-1")

    assert isinstance(taken_back, Charged)
    assert figures(ledger, account) == (5, 0, 0, 0)
    with ledger.read() as view:
        assert view.charge("exam-1") is None


def test_a_reversal_happens_once(ledger: Ledger, account: Account) -> None:
    """§3: reverse *one* charge; the second finds none standing."""
    top_up(ledger, account, "SO-1", 5)
    admit(ledger, account, "exam-1")
    reverse(ledger, account, "exam-1")

    assert isinstance(reverse(ledger, account, "exam-1"), Rejected)
    assert isinstance(reverse(ledger, account, "nobody"), Rejected)
    assert figures(ledger, account) == (5, 0, 0, 0)


def test_a_reversed_examination_is_charged_when_it_comes_again(
    ledger: Ledger, account: Account
) -> None:
    """ADM-5: after a reversal it is new."""
    top_up(ledger, account, "SO-1", 5)
    admit(ledger, account, "exam-1")
    reverse(ledger, account, "exam-1")

    again = admit(ledger, account, "exam-1")

    assert funder(again) is not None
    assert figures(ledger, account) == (4, 1, 0, 0)


def test_a_unit_of_a_package_that_has_expired_lapses(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """§3: EXPIRED +1 instead of PACKAGE +1."""
    top_up(ledger, account, "SO-1", 5)
    admit(ledger, account, "exam-1")
    with ledger.read() as view:
        (package,) = view.packages(account.id)
    assert package.expires_at is not None
    clock.at = package.expires_at

    reverse(ledger, account, "exam-1")

    assert figures(ledger, account) == (0, 0, 0, 5)


def test_an_owed_charge_is_owed_no_more(ledger: Ledger, account: Account, clock: HandClock) -> None:
    """§3: CONSUMED −1, ARREARS +1; STATE-3: the last one closes the episode."""
    in_arrears(ledger, account, clock)

    reverse(ledger, account, "exam-1")

    found = reading(ledger, account)
    assert (found.status, found.meter.episode) == (Status.EMPTY, None)
    assert figures(ledger, account) == (0, 1, 0, 0)


def test_a_unit_that_comes_back_pays_the_oldest_debt(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """§3: then offset; never available and owed together."""
    in_arrears(ledger, account, clock)

    reverse(ledger, account, "exam-0")

    assert figures(ledger, account) == (0, 1, 0, 0)
    assert reading(ledger, account).meter.episode is None
    with ledger.read() as view:
        paid = view.charge("exam-1")
    assert paid is not None
    assert paid.package_id is not None


def test_an_operators_reversal_leaves_the_clock_alone(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """STATE-1: a partial change of what is owed changes nothing."""
    episode = in_arrears(ledger, account, clock)
    clock.at += HOUR
    admit(ledger, account, "exam-2")

    reverse(ledger, account, "exam-1")

    assert reading(ledger, account).meter.episode == episode


def test_what_was_never_stored_does_not_count_against_the_grace(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """STATE-1, the exception: the start moves to the oldest charge that is still owed."""
    in_arrears(ledger, account, clock)
    clock.at += 5 * HOUR
    admit(ledger, account, "exam-2")
    started = clock.at
    clock.at += HOUR

    reverse(ledger, account, "exam-1", never_stored=True)

    expected = Episode(started_at=started, deadline=started + DAY)
    assert reading(ledger, account).meter.episode == expected


def test_the_grace_is_not_shortened_by_what_was_never_stored(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """STATE-1, STATE-6: an extension that somebody agreed to stands."""
    episode = in_arrears(ledger, account, clock)
    until = episode.deadline + 9 * DAY
    act(ledger, lambda work: correction.extend(work, account, until=until, by=ME))
    clock.at += HOUR
    admit(ledger, account, "exam-2")
    started = clock.at

    reverse(ledger, account, "exam-1", never_stored=True)

    assert reading(ledger, account).meter.episode == Episode(started_at=started, deadline=until)
