"""Notices: when each is raised, and that it is raised once (§10)."""

from __future__ import annotations

import pytest

from quota.book import Book
from quota.facts import EpisodeOpened, NoticeRaised
from quota.ledger import Episode
from quota.notice import Notice, NoticeKind, due
from tests.quota.makers import DAY, HOUR, NOON, a_meter, a_package

DEADLINE = NOON + DAY


def raised(book: Book) -> list[Notice]:
    """The notices that the book has raised."""
    return [fact.notice for fact in book.facts if isinstance(fact, NoticeRaised)]


def test_low_and_empty_are_told_once_on_the_way_down() -> None:
    """§10, STATE-2: LOW where the threshold is passed, not at each charge below it; then EMPTY."""
    package = a_package(1, quantity=30, remaining=5)
    book = Book(a_meter(purchased=30, available=5, active_quantity=30), clock_reading=NOON)

    levels = {}
    for n in range(5):
        before = len(raised(book))
        book.charge(f"exam-{n}", [package])
        for notice in raised(book)[before:]:
            levels[book.meter.available] = notice.kind

    assert levels == {3: NoticeKind.LOW, 0: NoticeKind.EMPTY}


def test_arrears_are_told_where_they_start_and_where_they_end() -> None:
    """§10, invariant 18: each episode has its ARREARS_STARTED, each end its RESUMED, with them."""
    book = Book(a_meter(purchased=1, consumed=1), clock_reading=NOON)

    book.charge("one", [])
    book.charge("two", [])

    assert any(isinstance(fact, EpisodeOpened) for fact in book.facts)
    assert [notice.kind for notice in raised(book)] == [NoticeKind.ARREARS_STARTED]
    assert raised(book)[0].details == {"owed": 1, "deadline": DEADLINE}


@pytest.mark.parametrize(
    "at, kinds",
    [
        (DEADLINE - 4 * HOUR - 1, []),
        (DEADLINE - 4 * HOUR, [NoticeKind.SUSPENSION_NEAR]),
        (DEADLINE - 1, [NoticeKind.SUSPENSION_NEAR]),
        (DEADLINE, [NoticeKind.SUSPENDED]),
    ],
)
def test_the_end_of_the_grace_is_told_four_hours_before_and_when_it_comes(
    at: int, kinds: list[NoticeKind]
) -> None:
    """§10: SUSPENSION_NEAR and SUSPENDED, to the microsecond."""
    meter = a_meter(owed=1, consumed=1, episode=Episode.starting(NOON))

    assert [notice.kind for notice in due(meter, [], at=at)] == kinds


@pytest.mark.parametrize(
    "left, days",
    [(31 * DAY, None), (30 * DAY, 30), (8 * DAY, 30), (7 * DAY, 7), (DAY + 1, 7), (DAY, 1)],
)
def test_an_expiry_is_told_at_thirty_days_seven_and_one(left: int, days: int | None) -> None:
    """§10, EXPIRING: of thresholds that have passed only the nearest."""
    package = a_package(1, expires_at=NOON + left)

    found = [notice.details["days"] for notice in due(a_meter(), [package], at=NOON)]

    assert found == ([] if days is None else [days])
