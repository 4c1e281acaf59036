"""AI calls: set aside, then used or given back. A hard stop, no arrears (§8, AI)."""

from __future__ import annotations

from typing import TypeAlias

from quota import service
from quota.account import AI_PREFIX, Account
from quota.book import Book, entry
from quota.facts import HoldPlaced
from quota.hold import Hold, HoldState, NotHeld, Share, ends_at, fault_in
from quota.ledger import LedgerAccount, PostingKind
from quota.order import Rejected
from quota.package import take
from quota.ports import Work

Holding: TypeAlias = Hold | NotHeld | Rejected


def hold(
    work: Work, account: Account, product: str, *, key: str, units: int, ttl_s: int
) -> Holding:
    """Set `units` calls of an AI product aside for `ttl_s` seconds, once per key (§9).

    From the packages that expire first; from an active unlimited one nothing is taken. After
    `NotHeld` and `Rejected` the caller must not commit.
    """
    if (fault := fault_in(key=key, units=units, ttl_s=ttl_s)) is not None:
        return Rejected(rule="AI", message=fault)
    book = service.open_book(work, account, AI_PREFIX + product)
    if (known := work.hold(book.meter.id, key)) is not None:
        return _same_or_conflict(known, units=units, ttl_s=ttl_s)
    if account.closed_at is not None:
        return Rejected(rule="AI", message="the account is closed")
    # What ended a moment ago may have returned units: the burn order has to see them.
    service.record(work, book)
    unlimited = work.unlimited_package(book.meter.id, book.at)
    if unlimited is not None:
        shares: tuple[Share, ...] = (Share(package=unlimited, units=0),)
    elif book.meter.available < units:
        return NotHeld(asked=units, available=book.meter.available)
    else:
        head = list(work.burn_head(book.meter.id, book.at, limit=units))
        shares = tuple(Share(package=package, units=n) for package, n in take(head, units))
    placed = Hold(
        key=key,
        meter_id=book.meter.id,
        units=units,
        held_at=book.at,
        expires_at=ends_at(book.at, ttl_s=ttl_s),
        shares=shares,
    )
    _set_aside(book, placed)
    service.record(work, book)
    return placed


def _same_or_conflict(known: Hold, *, units: int, ttl_s: int) -> Hold | Rejected:
    if (known.units, known.expires_at) == (units, ends_at(known.held_at, ttl_s=ttl_s)):
        return known
    return Rejected(rule="AI", message="the key is taken by a hold of another content")


def _set_aside(book: Book, placed: Hold) -> None:
    legs = [
        leg
        for share in placed.shares
        if share.units
        for leg in (
            entry(LedgerAccount.PACKAGE, -share.units, share.package.id),
            entry(LedgerAccount.HELD, share.units, share.package.id),
        )
    ]
    before = book.meter
    if legs:
        book.post(PostingKind.HOLD, *legs, hold_key=placed.key)
    book.facts.append(HoldPlaced(hold=placed))
    book.tell_level(before)


def post(work: Work, account: Account, product: str, *, key: str, units: int) -> Hold | Rejected:
    """Use up to what was set aside, once; what is not used returns to its packages (§8).

    The same again returns the first result; after `Rejected` the caller must not commit.
    """
    book = service.open_book(work, account, AI_PREFIX + product)
    known = _find(work, book, key)
    if isinstance(known, Rejected):
        return known
    if known.state is HoldState.POSTED and known.posted == units:
        return known
    if known.state is not HoldState.PENDING:
        return Rejected(rule="AI", message=f"the hold is {known.state}; it can't be posted")
    if not 1 <= units <= known.units:
        return Rejected(rule="AI", message=f"1 to {known.units:,} calls can be posted")
    return _settle(work, book, known, HoldState.POSTED, posted=units)


def void(work: Work, account: Account, product: str, *, key: str) -> Hold | Rejected:
    """Give everything back that was set aside, once (§8).

    The same again returns the first result; after `Rejected` the caller must not commit.
    """
    book = service.open_book(work, account, AI_PREFIX + product)
    known = _find(work, book, key)
    if isinstance(known, Rejected) or known.state is HoldState.VOIDED:
        return known
    if known.state is not HoldState.PENDING:
        return Rejected(rule="AI", message=f"the hold is {known.state}; it can't be voided")
    return _settle(work, book, known, HoldState.VOIDED, posted=0)


def _find(work: Work, book: Book, key: str) -> Hold | Rejected:
    known = work.hold(book.meter.id, key)
    if known is not None and known.state is HoldState.PENDING:
        # Its time may be over: that is booked first. A settled one is answered, nothing written.
        service.record(work, book)
        known = work.hold(book.meter.id, key)
    return known or Rejected(rule="AI", message="there is no such hold")


def _settle(work: Work, book: Book, known: Hold, state: HoldState, *, posted: int) -> Hold:
    book.settle(known, state, posted=posted, at=book.at)
    service.record(work, book)
    settled = work.hold(known.meter_id, known.key)
    assert settled is not None
    return settled
