"""What an operator may correct, each act journaled with who and why (STATE-6, §3).

After `Rejected` the caller must not commit: nothing was to be written.
"""

from __future__ import annotations

from dataclasses import replace

from quota import granting, service
from quota.account import EXAM, Account
from quota.action import By
from quota.book import Book, entry, returned
from quota.facts import Charged, ChargeReversed, EpisodeMoved, OwedWrittenOff
from quota.ledger import GRACE, Episode, LedgerAccount, PostingKind
from quota.order import Order, OrderState, Rejected
from quota.ordering import open_books
from quota.ports import Work
from quota.time import Instant

DEADLINE_EXTENDED_MAX = 366 * GRACE
"""A deadline is moved by a year at most: a typing error is no amnesty."""

ARREARS_CAP_MAX = 2**63 - 1
"""The largest signed 64-bit integer (UNIT-1)."""


def _note(work: Work, by: By, action: str, subject: object) -> None:
    """Journal the act in the transaction that does it."""
    work.note_action(actor=by.actor, action=action, subject=str(subject), reason=by.reason)


def extend(work: Work, account: Account, *, until: Instant, by: By) -> Episode | Rejected:
    """Move the deadline of the open episode on the enforced meter to the later `until`."""
    book = service.open_book(work, account, account.plan.enforced_meter)
    episode = book.meter.episode
    if episode is None:
        return _state_6("nothing is owed: there is no deadline to extend")
    if not episode.deadline < until <= book.at + DEADLINE_EXTENDED_MAX:
        return _state_6("a deadline is extended to a later instant, at most a year from now")
    extended = replace(episode, deadline=until)
    _move_episode(book, extended)
    service.record(work, book)
    _note(work, by, "extend", account.id)
    return extended


def write_off(work: Work, account: Account, *, units: int, by: By) -> int | Rejected:
    """Write off the `units` oldest owed charges; returns what is still owed (§3)."""
    if account.plan.enforced_meter != EXAM:
        return _state_6(
            "bytes over the limit can't be written off while they are stored; "
            "delete examinations, sell capacity, or extend the deadline"
        )
    book = service.open_book(work, account, EXAM)
    if not 1 <= units <= book.meter.owed:
        return _state_6(f"{book.meter.owed:,} owed: 1 up to that many can be written off")
    book.post(
        PostingKind.WRITE_OFF,
        entry(LedgerAccount.ARREARS, units),
        entry(LedgerAccount.WRITTEN_OFF, -units),
    )
    book.facts.append(OwedWrittenOff(count=units, written_off_at=book.at))
    book.turn_clock()
    service.record(work, book)
    _note(work, by, "write_off", f"{account.id}: {units}")
    return book.meter.owed


def reverse(
    work: Work, account: Account, examination_id: str, *, by: By, never_stored: bool = False
) -> Charged | Rejected:
    """Take back the standing charge of an examination; returns the charge that stood (§3).

    A unit that was paid for goes back to its package, or lapses as the package did, and pays the
    oldest debt. `never_stored` says that no instance of it ever came: then the grace of what is
    still owed counts from the oldest of that (STATE-1).
    """
    book = service.open_book(work, account, EXAM)
    charge = work.charge(examination_id)
    if charge is None:
        return _state_6("the examination has no standing charge to reverse")
    service.record(work, book)
    package = None if charge.package_id is None else work.package(charge.package_id)
    back = entry(LedgerAccount.ARREARS, 1) if package is None else returned(package, 1, at=book.at)
    book.post(
        PostingKind.REVERSAL,
        entry(LedgerAccount.CONSUMED, -1),
        back,
        examination_id=examination_id,
    )
    book.facts.append(ChargeReversed(examination_id=examination_id, reversed_at=book.at))
    if package is not None and back.account is LedgerAccount.PACKAGE:
        book.offset(package)
    book.turn_clock()
    service.record(work, book)
    if never_stored:
        _restart_grace(work, book)
    _note(work, by, "never_stored" if never_stored else "reverse", examination_id)
    return charge


def _restart_grace(work: Work, book: Book) -> None:
    """STATE-1, its one exception: the start moves to the oldest charge that is still owed."""
    episode, oldest = book.meter.episode, work.oldest_owed(book.meter.id)
    if episode is None or oldest is None or oldest.charged_at <= episode.started_at:
        return
    start = oldest.charged_at
    moved = Episode(started_at=start, deadline=max(episode.deadline, start + GRACE))
    _move_episode(book, moved)
    service.record(work, book)


def _move_episode(book: Book, episode: Episode) -> None:
    before = book.meter.episode
    assert before is not None
    book.meter = replace(book.meter, episode=episode)
    book.facts.append(EpisodeMoved(before=before, after=episode, moved_at=book.at))


def void_order(work: Work, number: str, *, by: By) -> Order | Rejected:
    """Take an order back: what is left of its packages lapses; what was used stays used (ORD-2).

    Its licences are revoked, its services cancelled unless accepted or over. One that is not
    credited yet never will be. Voiding twice changes nothing. Raises UnknownOrder.
    """
    service.known_order(work, number)
    work.lock_order(number)
    known = service.known_order(work, number)
    if known.state is OrderState.VOIDED:
        return known
    granting.lock_scopes(work, known)
    books = open_books(work, work.account(known.account_id), known)
    at = max((book.at for book in books.values()), default=0)
    for book in books.values():
        service.record(work, book)
        for package in work.packages_of_order(number, book.meter.id):
            if package.ended_at is None:
                book.end(package, at=book.at, voided=True)
        book.turn_clock()
        service.record(work, book)
    at = max(at, granting.take_back(work, known, not_before=at))
    work.mark_voided(number, voided_at=at)
    _note(work, by, "order_void", number)
    return service.known_order(work, number)


def close_account(work: Work, account: Account, *, by: By) -> Account | Rejected:
    """Close an account for good: it refuses new examinations and orders; all else stays (§6)."""
    if account.closed_at is not None:
        return account
    # Whoever admits at this moment holds the meter: after it, the closing is seen.
    book = service.open_book(work, account, account.plan.enforced_meter)
    service.record(work, book)
    work.close_account(account.id, closed_at=book.at)
    _note(work, by, "account_close", account.id)
    return work.account(account.id)


def cap_arrears(work: Work, account: Account, *, cap: int | None, by: By) -> Account | Rejected:
    """Set or lift the cap from which on ARREARS counts as SUSPENDED (STATE-6)."""
    if cap is not None and not 1 <= cap <= ARREARS_CAP_MAX:
        return _state_6(f"a cap is 1 to {ARREARS_CAP_MAX:,}; lift it to have none")
    work.set_arrears_cap(account.id, cap)
    _note(work, by, "arrears_cap", f"{account.id}: {cap}")
    return work.account(account.id)


def _state_6(message: str) -> Rejected:
    return Rejected(rule="STATE-6", message=message)
