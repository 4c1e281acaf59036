"""The contract of the main job, the same on every store: prepaid, arrears, 24 hours, top-up."""

from __future__ import annotations

import pytest

from quota.account import EXAM, Account
from quota.admission import RefusalReason, Refused
from quota.ledger import Episode
from quota.order import Order, Rejected
from quota.ports import Ledger
from quota.service import Admitted, preview
from quota.standing import Status
from tests.quota.makers import DAY, HOUR, NOON
from tests.storage.kit import (
    HandClock,
    add_account,
    admit,
    credit,
    funder,
    in_arrears,
    pay,
    place,
    place_small,
    reading,
    top_up,
)


def test_a_thousand_examinations_are_bought_by_three_steps(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """ORD-2: placed, paid, credited; only then is anything available."""
    placed = place(ledger, account, "SO-1", 1_000)
    assert isinstance(placed, Order)
    assert reading(ledger, account).status is Status.UNPROVISIONED
    clock.at += HOUR
    paid = pay(ledger, "SO-1")
    assert reading(ledger, account).status is Status.UNPROVISIONED
    clock.at += HOUR
    credited = credit(ledger, "SO-1")

    assert (placed.placed_at, paid.paid_at) == (NOON, NOON + HOUR)
    assert credited.credited_at == NOON + 2 * HOUR
    found = reading(ledger, account)
    assert (found.status, found.meter.available) == (Status.OK, 1_000)


def test_an_order_is_known_by_its_number(ledger: Ledger, account: Account) -> None:
    """§9: the same again is the first; another content or account is a conflict."""
    other = add_account(ledger, "South")
    first = place(ledger, account, "SO-1", 1_000)

    assert place(ledger, account, "SO-1", 1_000) == first
    for conflict in (
        place(ledger, account, "SO-1", 2_000),
        place(ledger, account, "SO-1", 1_000, 1_000),
        place(ledger, other, "SO-1", 1_000),
    ):
        assert isinstance(conflict, Rejected)
        assert conflict.rule == "ORD-2"


def test_an_order_is_credited_once(ledger: Ledger, account: Account, clock: HandClock) -> None:
    """ORD-2, invariant 11: deliveries two and three change nothing."""
    first = top_up(ledger, account, "SO-1", 5, 7)
    with ledger.read() as view:
        before = (view.meter(account.id, EXAM), view.packages(account.id))

    clock.at += HOUR
    assert credit(ledger, "SO-1") == first
    assert credit(ledger, "SO-1") == first

    with ledger.read() as view:
        assert (view.meter(account.id, EXAM), view.packages(account.id)) == before
    assert len(before[1]) == 2
    assert reading(ledger, account).meter.available == 12


@pytest.mark.parametrize(
    "offset, admitted", [(-HOUR, True), (-1, True), (0, False), (1, False), (HOUR, False)]
)
def test_the_grace_ends_at_the_deadline(
    *, ledger: Ledger, account: Account, clock: HandClock, offset: int, admitted: bool
) -> None:
    """§6, ADM-4: admitted for T < deadline, refused from the deadline on, to the microsecond."""
    episode = in_arrears(ledger, account, clock)
    assert episode.deadline == NOON + HOUR + 86_400_000_000

    clock.at = episode.deadline + offset

    admission = admit(ledger, account, "new")
    assert isinstance(admission, Admitted) is admitted
    if not admitted:
        assert admission == Refused(reason=RefusalReason.GRACE_OVER, at=clock.at)


def test_a_refusal_writes_nothing(ledger: Ledger, account: Account, clock: HandClock) -> None:
    """ADM-2: not on any meter, not even the meter's last instant."""
    episode = in_arrears(ledger, account, clock)
    clock.at = episode.deadline
    with ledger.read() as view:
        before = view.meter(account.id, EXAM)

    for n in range(3):
        assert isinstance(admit(ledger, account, f"new-{n}"), Refused)

    with ledger.read() as view:
        assert view.meter(account.id, EXAM) == before
        assert view.charge("new-0") is None


def test_known_examinations_pass_after_the_deadline(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """ADM-1: the second half of a study is never cut off."""
    episode = in_arrears(ledger, account, clock)
    clock.at = episode.deadline + DAY

    for examination_id in ("exam-0", "exam-1"):
        assert isinstance(admit(ledger, account, examination_id), Admitted)
    assert reading(ledger, account).meter.consumed == 2


def test_a_top_up_pays_arrears_and_uploads_resume(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """STATE-3: arrears first, then the rest is available, at once and by itself."""
    episode = in_arrears(ledger, account, clock)
    clock.at = episode.deadline + DAY
    assert reading(ledger, account).status is Status.SUSPENDED

    top_up(ledger, account, "SO-1", 20)

    found = reading(ledger, account)
    assert (found.meter.available, found.meter.owed, found.meter.episode) == (19, 0, None)
    assert found.status is Status.OK
    with ledger.read() as view:
        assert preview(view, account) is None
    assert funder(admit(ledger, account, "new")) is not None


def test_a_top_up_that_does_not_suffice_changes_no_deadline(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """STATE-1: still suspended, still since the same instant."""
    episode = in_arrears(ledger, account, clock)
    admit(ledger, account, "exam-2")
    clock.at = episode.deadline - 1
    top_up(ledger, account, "SO-1", 1)

    assert reading(ledger, account).status is Status.SUSPENDED, "T is deadline after the credit"
    assert reading(ledger, account).meter.episode == episode
    assert isinstance(admit(ledger, account, "new"), Refused)


def test_arrears_again_are_a_new_episode(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """STATE-3: the next shortfall has the full 24 hours."""
    episode = in_arrears(ledger, account, clock)
    clock.at = episode.deadline + DAY
    top_up(ledger, account, "SO-1", 1)
    clock.at += HOUR

    admit(ledger, account, "new")

    assert reading(ledger, account).meter.episode == Episode.starting(clock.at)


def test_the_package_that_expires_first_is_debited_first(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """BURN: validity counts from payment, so the order of crediting does not decide."""
    place_small(ledger, account, "paid-first", 1)
    pay(ledger, "paid-first")
    clock.at += 5 * DAY
    top_up(ledger, account, "credited-first", 2)
    credit(ledger, "paid-first")
    with ledger.read() as view:
        credited_first, paid_first = (package.id for package in view.packages(account.id))

    assert [funder(admit(ledger, account, name)) for name in ("one", "two")] == [
        paid_first,
        credited_first,
    ]
