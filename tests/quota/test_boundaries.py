"""Boundaries that fall together, and those of a level of bytes (TIME-3, ORD-4, STATE-4)."""

from __future__ import annotations

from dataclasses import replace

from quota.account import AI_PREFIX, CAPACITY
from quota.book import Book
from quota.facts import (
    EpisodeOpened,
    HoldSettled,
    NoticeRaised,
    PackageActivated,
    PackageEnded,
    Posted,
)
from quota.hold import Hold, Share
from quota.ledger import Episode, PostingKind
from quota.order import TERABYTE
from tests.quota.makers import DAY, HOUR, NOON, a_meter, a_package

END = NOON + DAY


def told(book: Book) -> list[str]:
    """The kinds of notices that the book has raised."""
    return [fact.notice.kind for fact in book.facts if isinstance(fact, NoticeRaised)]


def test_a_package_begins_before_another_ends_at_one_instant() -> None:
    """TIME-3, ORD-4: a renewal leaves no gap, so nobody is told that a full account is empty."""
    meter = replace(
        a_meter(purchased=2 * TERABYTE, active_quantity=TERABYTE, available=2 * TERABYTE),
        name=CAPACITY,
    )
    old = a_package(1, quantity=TERABYTE, expires_at=END)
    renewal = replace(
        a_package(2, quantity=TERABYTE, expires_at=END + DAY), effective_at=END, activated_at=None
    )
    book = Book(meter, clock_reading=END)

    book.materialise([old, renewal])

    assert [type(fact) for fact in book.facts] == [PackageActivated, Posted, PackageEnded]
    assert told(book) == []
    assert book.meter.limit == TERABYTE


def test_a_hold_ends_before_a_package_does_at_one_instant() -> None:
    """TIME-3: what a hold gives back is there when the package ends, so nothing looks empty."""
    ending = a_package(1, quantity=5, expires_at=END)
    lasting = a_package(2, quantity=5, remaining=0, expires_at=END + DAY)
    hold = Hold(
        key="call",
        meter_id=1,
        units=5,
        held_at=NOON,
        expires_at=END,
        shares=(Share(package=lasting, units=5),),
    )
    meter = replace(
        a_meter(purchased=10, available=5, held=5, active_quantity=10),
        name=f"{AI_PREFIX}glaucoma",
    )
    book = Book(meter, clock_reading=END)

    book.materialise([ending], [hold])

    assert [type(fact) for fact in book.facts] == [Posted, HoldSettled, Posted, PackageEnded]
    assert told(book) == []
    assert (book.meter.available, book.meter.held, book.meter.expired) == (5, 0, 5)


def test_what_a_hold_gives_back_to_a_package_that_ended_with_it_lapses() -> None:
    """§3, release: to PACKAGE where that is still valid, else to EXPIRED, at the hold's own end."""
    ended = replace(a_package(1, quantity=5, remaining=0, expires_at=END), ended_at=END)
    hold = Hold(
        key="call",
        meter_id=1,
        units=5,
        held_at=NOON,
        expires_at=END + HOUR,
        shares=(Share(package=ended, units=5),),
    )
    book = Book(a_meter(purchased=5, held=5), clock_reading=END + DAY)

    book.materialise([], [hold])

    release = next(fact.posting for fact in book.facts if isinstance(fact, Posted))
    assert (release.kind, release.effective_at) == (PostingKind.RELEASE, END + HOUR)
    assert (book.meter.available, book.meter.held, book.meter.expired) == (0, 0, 5)


def test_the_grace_of_bytes_runs_from_the_end_of_their_package() -> None:
    """STATE-4: from its expiry instant, not from the time somebody noticed."""
    meter = replace(
        a_meter(purchased=TERABYTE, available=TERABYTE, active_quantity=TERABYTE),
        name=CAPACITY,
        stored=7,
    )
    book = Book(meter, clock_reading=END + 20 * HOUR)

    book.materialise([a_package(1, quantity=TERABYTE, expires_at=END)])

    opened = Episode(started_at=END, deadline=END + DAY)
    assert book.meter.episode == opened
    assert EpisodeOpened(episode=opened) in book.facts


def test_what_is_deleted_is_no_longer_owed() -> None:
    """CAP-2, STATE-3: a deletion frees bytes; the episode closes with the last one too many."""
    meter = replace(
        a_meter(purchased=TERABYTE, active_quantity=TERABYTE), name=CAPACITY, stored=TERABYTE
    )
    book = Book(meter, clock_reading=NOON)

    book.move_level(2)
    assert (book.meter.owing, book.meter.episode) == (2, Episode.starting(NOON))
    book.move_level(-1)
    assert (book.meter.owing, book.meter.episode) == (1, Episode.starting(NOON))
    book.move_level(-1)
    assert (book.meter.owing, book.meter.episode) == (0, None)
