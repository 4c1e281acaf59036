"""The contract of notices, the same on every store: once, in the causing transaction (§10)."""

from __future__ import annotations

import pytest

from quota import reminder, service
from quota.account import EXAM, Account
from quota.notice import Notice
from quota.ports import Ledger
from tests.quota.makers import DAY, HOUR
from tests.storage.kit import HandClock, admit, in_arrears, reading, top_up
from tests.storage.operator import void_order
from tests.storage.shop import a_licence, buy, enrol, licences


def told(ledger: Ledger, *kinds: str) -> list[Notice]:
    """The notices of these kinds, or all, the oldest first."""
    with ledger.read() as view:
        return [one for one in view.notices() if not kinds or one.kind in kinds]


def remind(ledger: Ledger, account: Account) -> None:
    """The keeper comes round."""
    with ledger.begin() as work:
        reminder.remind(work, account, EXAM)
        work.commit()


def test_a_credit_is_told(ledger: Ledger, account: Account, clock: HandClock) -> None:
    """CREDITED, with what came and until when."""
    top_up(ledger, account, "SO-1", 5)

    (notice,) = told(ledger)
    assert (notice.kind, notice.account_id, notice.meter) == ("credited", account.id, EXAM)
    assert notice.raised_at == clock.at
    assert (notice.details["quantity"], notice.details["expired"]) == (5, 0)


def test_low_is_told_once_per_refill(ledger: Ledger, account: Account) -> None:
    """LOW when what is left falls to a tenth, again only after the next purchase."""
    top_up(ledger, account, "SO-1", 20)
    for n in range(19):
        admit(ledger, account, f"exam-{n}")
    (notice,) = told(ledger, "low")
    assert (notice.details["available"], notice.details["threshold"]) == (2, 2)

    top_up(ledger, account, "SO-2", 20)
    for n in range(19, 39):
        admit(ledger, account, f"exam-{n}")

    assert len(told(ledger, "low")) == 2


def test_empty_is_told_once(ledger: Ledger, account: Account) -> None:
    """STATE-2: one notice, no clock."""
    top_up(ledger, account, "SO-1", 1)
    admit(ledger, account, "exam-1")

    (notice,) = told(ledger, "empty")
    assert notice.details["available"] == 0
    assert told(ledger, "arrears_started") == []


def test_an_expiry_that_leaves_nothing_is_told(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """EMPTY: nobody charged anything, but there is nothing left all the same."""
    top_up(ledger, account, "SO-1", 5)
    clock.at += 400 * DAY
    with ledger.begin() as work:
        assert service.materialise(work, account, EXAM)
        work.commit()

    assert len(told(ledger, "empty")) == 1


def test_arrears_and_their_end_are_told(ledger: Ledger, account: Account, clock: HandClock) -> None:
    """ARREARS_STARTED with the deadline, once per episode; RESUMED when nothing is owed."""
    episode = in_arrears(ledger, account, clock)
    admit(ledger, account, "exam-2")

    (started,) = told(ledger, "arrears_started")
    assert started.details["deadline"] == episode.deadline
    top_up(ledger, account, "SO-9", 5)
    assert len(told(ledger, "resumed")) == 1


@pytest.mark.parametrize(
    "before, kinds",
    [
        (4 * HOUR + 9, []),
        (4 * HOUR, ["suspension_near"]),
        (9, ["suspension_near"]),
        (0, ["suspended"]),
        (-DAY, ["suspended"]),
    ],
)
def test_the_end_of_the_grace_is_told_by_the_clock(
    *, ledger: Ledger, account: Account, clock: HandClock, before: int, kinds: list[str]
) -> None:
    """SUSPENSION_NEAR from 4 h before the deadline, SUSPENDED from it on; each once."""
    episode = in_arrears(ledger, account, clock)
    clock.at = episode.deadline - before

    remind(ledger, account)
    remind(ledger, account)

    assert [one.kind for one in told(ledger, "suspension_near", "suspended")] == kinds


def test_an_expiry_ahead_is_told_thrice(ledger: Ledger, account: Account, clock: HandClock) -> None:
    """EXPIRING 30, 7 and 1 days before, with what is left; never for what is used up."""
    top_up(ledger, account, "SO-1", 5)
    with ledger.read() as view:
        (package,) = view.packages(account.id)
    assert package.expires_at is not None
    for days in (31, 30, 29, 8, 7, 2, 1, 0):
        clock.at = package.expires_at - days * DAY
        remind(ledger, account)

    assert [one.details["days"] for one in told(ledger, "expiring")] == [30, 7, 1]


def test_a_refusal_raises_nothing(ledger: Ledger, account: Account, clock: HandClock) -> None:
    """ADM-2: nothing is written; what is told of a refusal is the register's affair."""
    episode = in_arrears(ledger, account, clock)
    before = told(ledger)
    clock.at = episode.deadline

    admit(ledger, account, "late")

    assert told(ledger) == before
    assert reading(ledger, account).meter.episode == episode


def ending_in(ledger: Ledger, clock: HandClock, *days: int) -> list[object]:
    """The days of EXPIRING that are told while the keeper comes so long before licence 1 ends."""
    known = next(one for one in licences(ledger) if one.id == 1)
    assert known.ends_at is not None
    for left in days:
        clock.at = known.ends_at - left * DAY
        with ledger.begin() as work:
            reminder.remind_licence(work, known)
            work.commit()
    return [one.details["days"] for one in told(ledger, "expiring")]


def test_a_licence_that_ends_is_told_thrice(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """EXPIRING 30, 7 and 1 days before, with which licence it is; not after its end."""
    enrol(ledger, account, 1)
    buy(ledger, account, "L-1", a_licence())

    assert ending_in(ledger, clock, 31, 30, 29, 8, 7, 2, 1, 0) == [30, 7, 1]

    notice = told(ledger, "expiring")[0]
    assert (notice.account_id, notice.meter) == (account.id, "licence:mobile")
    assert notice.details["licence"] == 1


def test_a_licence_that_was_renewed_is_not_told(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """It stays open; once the renewal is taken back it does not."""
    enrol(ledger, account, 1)
    buy(ledger, account, "L-1", a_licence())
    buy(ledger, account, "L-2", a_licence("basic", years=2))
    buy(ledger, account, "L-3", a_licence(renews=1))

    assert ending_in(ledger, clock, 30, 20) == []
    void_order(ledger, "L-3")
    assert ending_in(ledger, clock, 19, 5) == [30, 7]
