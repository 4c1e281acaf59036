"""Opens a book: locks a meter, reads the clock, books what is due (TIME-1, TIME-3)."""

from __future__ import annotations

from quota.account import AI_PREFIX, EXAM, Account
from quota.book import Book
from quota.errors import LedgerBroken
from quota.ports import View, Work


def lock_order(meter: str) -> tuple[bool, str]:
    """The one order in which meters of an account are locked: `exam` first, then by name (§13)."""
    return (meter != EXAM, meter)


def materialise(work: Work, account: Account, name: str) -> bool:
    """Book the boundaries that have passed on a meter (TIME-3); False where there are none."""
    book = open_book(work, account, name)
    if not book.facts:
        return False
    work.record(book.meter, book.facts)
    return True


def close_month(work: Work, account: Account, name: str) -> None:
    """Bring a meter on which nothing happens past the end of a month: the month is final (TIME-1).

    What is due is booked; where nothing is, T alone moves on, and no answer changes.
    """
    book = open_book(work, account, name)
    record(work, book)


def open_book(work: Work, account: Account, name: str) -> Book:
    """Lock a meter and bring it up to its instant T (TIME-1, TIME-3); nothing is recorded yet.

    Whoever opens several does it in `lock_order`. Raises LedgerBroken.
    """
    meter, clock_reading = work.lock_meter(account.id, name)
    book = Book(meter, clock_reading=clock_reading)
    materialised(work, book)
    check_sound(book)
    return book


def check_sound(book: Book) -> None:
    """A balance below zero is no ground to decide on. Raises LedgerBroken."""
    meter = book.meter
    if meter.available < 0 or meter.owed < 0:
        raise LedgerBroken(account_id=meter.account_id, meter=meter.name)


def materialised(view: View, book: Book) -> None:
    """Book what is due on the book's meter, in it alone (TIME-3, TIME-4)."""
    meter = book.meter
    holds = view.due_holds(meter.id, book.at) if meter.name.startswith(AI_PREFIX) else ()
    book.materialise(view.due_packages(meter.id, book.at), holds)


def record(work: Work, book: Book) -> None:
    """Persist what the book has decided so far, so that the store's answers count it in."""
    work.record(book.meter, book.facts)
    book.facts.clear()
