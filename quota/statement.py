"""Statements: what happened on an account's meters in one month of its own calendar (§11).

A statement is sums over the journal and nothing else. The time that decides the month is the one a
posting is booked at, not the one it was recorded at: a package that lapsed on the 31st belongs to
that month even if the sweeper came on the 2nd (TIME-3, TIME-4).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import date
from enum import StrEnum
from typing import TypeAlias
from zoneinfo import ZoneInfo

from quota.account import Account
from quota.ledger import LedgerAccount, Posting, PostingKind
from quota.time import Instant, first_instant_of, to_datetime

Sums: TypeAlias = Mapping[tuple[PostingKind, LedgerAccount], int]
"""Amounts of the journal's entries, added up by the kind of their posting and by account."""

_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])", re.ASCII)
_YEARS = range(1970, 9_999)


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Month:
    """A month of the calendar, to be read in an account's zone."""

    year: int
    month: int

    @classmethod
    def parse(cls, text: str) -> Month | None:
        """The month that `text` names as 2026-11, or None."""
        found = _MONTH.fullmatch(text)
        if found is None or int(found[1]) not in _YEARS:
            return None
        return cls(year=int(found[1]), month=int(found[2]))

    @classmethod
    def of(cls, instant: Instant, zone: ZoneInfo) -> Month:
        """The month that the wall clock of `zone` shows at `instant`."""
        local = to_datetime(instant).astimezone(zone)
        found = cls(year=local.year, month=local.month)
        # Where the clock goes back over midnight the last day comes twice; the months meet once.
        return found if instant < found.span(zone)[1] else found.next()

    def span(self, zone: ZoneInfo) -> tuple[Instant, Instant]:
        """start <= T < end: from the first instant of the month to that of the next (TIME-2)."""
        following = self.next()
        return (
            first_instant_of(date(self.year, self.month, 1), zone),
            first_instant_of(date(following.year, following.month, 1), zone),
        )

    def next(self) -> Month:
        """The month after this one."""
        years, month = divmod(self.month, 12)
        return Month(year=self.year + years, month=month + 1)

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}"


class Finality(StrEnum):
    """Whether a month's figures can still change."""

    OPEN = "open"
    """The month has not ended."""
    PROVISIONAL = "provisional"
    """It has ended, and every boundary in it counts; but nothing was booked after its end, so a
    clock that is set back could still book into it."""
    FINAL = "final"
    """The meter's T has passed its end: nothing can be booked before it any more (TIME-1)."""


def finality(end: Instant, *, last_at: Instant, at: Instant) -> Finality:
    """Of a month that ends at `end`, on a meter booked through `last_at` and read at `at`."""
    if last_at + 1 >= end:
        return Finality.FINAL
    return Finality.PROVISIONAL if at >= end else Finality.OPEN


@dataclass(frozen=True, kw_only=True, slots=True)
class Moves:
    """What happened to units in a span of time; each >= 0 but `held`, a change.

    Exactly what changes the balances: each entry of the journal is counted in one of them.
    """

    purchased: int = 0
    used: int = 0
    """Charged or posted, and paid for at once."""
    owed: int = 0
    """Charged with nothing to pay for it: new arrears."""
    offset: int = 0
    """Arrears paid off by a package."""
    reversed: int = 0
    """Charges taken back that a package had paid for."""
    reversed_owed: int = 0
    """Charges taken back that were owed."""
    written_off: int = 0
    held: int = 0
    """Set aside for AI calls, less what was used or given back."""
    expired: int = 0
    voided: int = 0

    @classmethod
    def of(cls, sums: Sums) -> Moves:
        """The moves that entries add up to."""

        def total(account: LedgerAccount, *kinds: PostingKind) -> int:
            wanted = kinds or tuple(PostingKind)
            return sum(sums.get((kind, account), 0) for kind in wanted)

        reversed_owed = total(LedgerAccount.ARREARS, PostingKind.REVERSAL)
        owed = -total(LedgerAccount.ARREARS, PostingKind.CHARGE)
        consumed = total(LedgerAccount.CONSUMED, PostingKind.CHARGE, PostingKind.POST)
        return cls(
            purchased=-total(LedgerAccount.ISSUED),
            used=consumed - owed,
            owed=owed,
            offset=total(LedgerAccount.ARREARS, PostingKind.OFFSET),
            reversed=-total(LedgerAccount.CONSUMED, PostingKind.REVERSAL) - reversed_owed,
            reversed_owed=reversed_owed,
            written_off=-total(LedgerAccount.WRITTEN_OFF),
            held=total(LedgerAccount.HELD),
            expired=total(LedgerAccount.EXPIRED),
            voided=total(LedgerAccount.VOIDED),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Balances:
    """A meter at an instant: what is there, and what has ever become of what was purchased.

    purchased = used + held + expired + voided + available (§11).
    """

    available: int = 0
    held: int = 0
    owed: int = 0
    purchased: int = 0
    used: int = 0
    """Used and paid for, at once or later."""
    expired: int = 0
    voided: int = 0
    written_off: int = 0

    @classmethod
    def of(cls, sums: Sums) -> Balances:
        """The balances that all entries up to an instant add up to, account by account."""
        totals = dict.fromkeys(LedgerAccount, 0)
        for (_, account), amount in sums.items():
            totals[account] += amount
        return cls(
            available=totals[LedgerAccount.PACKAGE],
            held=totals[LedgerAccount.HELD],
            owed=-totals[LedgerAccount.ARREARS],
            purchased=-totals[LedgerAccount.ISSUED],
            used=sum(
                totals[account]
                for account in (
                    LedgerAccount.CONSUMED,
                    LedgerAccount.ARREARS,
                    LedgerAccount.WRITTEN_OFF,
                )
            ),
            expired=totals[LedgerAccount.EXPIRED],
            voided=totals[LedgerAccount.VOIDED],
            written_off=-totals[LedgerAccount.WRITTEN_OFF],
        )

    def after(self, moves: Moves) -> Balances:
        """The balances once `moves` have happened."""
        paid = moves.used + moves.offset - moves.reversed
        gone = paid + moves.held + moves.expired + moves.voided
        return Balances(
            available=self.available + moves.purchased - gone,
            held=self.held + moves.held,
            owed=self.owed + moves.owed - (moves.offset + moves.reversed_owed + moves.written_off),
            purchased=self.purchased + moves.purchased,
            used=self.used + paid,
            expired=self.expired + moves.expired,
            voided=self.voided + moves.voided,
            written_off=self.written_off + moves.written_off,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """Bytes stored in a month, and the limit of the packages active when it ended (CAP-1 to 3)."""

    opening: int
    added: int
    freed: int
    limit: int | None
    """None where no capacity was ever purchased: then bytes are counted and nothing is owed."""

    @property
    def closing(self) -> int:
        """Bytes stored at the end."""
        return self.opening + self.added - self.freed

    @property
    def over_limit(self) -> int:
        """Bytes in arrears at the end."""
        return 0 if self.limit is None else max(0, self.closing - self.limit)


@dataclass(frozen=True, kw_only=True, slots=True)
class MeterStatement:
    """One meter in one month: opening + moves = closing, on every ledger account."""

    meter: str
    finality: Finality
    opening: Balances
    moves: Moves
    closing: Balances
    pending: int
    """Postings counted in that are due and not recorded yet (TIME-4)."""
    level: Level | None
    """On the `capacity` meter only."""

    def __post_init__(self) -> None:
        # Two ways to the same figures: by account, and by what happened. A posting of a kind that
        # no column counts is a broken promise, and no statement is better than a wrong one.
        assert self.opening.after(self.moves) == self.closing, "opening + moves = closing"
        for balances in (self.opening, self.closing):
            gone = balances.used + balances.held + balances.expired + balances.voided
            assert balances.purchased == gone + balances.available, "conservation (§11)"


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """An account in a month of its own calendar: start <= booked < end, read at `at`."""

    account: Account
    month: Month
    start: Instant
    end: Instant
    at: Instant
    meters: tuple[MeterStatement, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One event of a month, as it stands in the journal; the lines of a month add up to it.

    `source` and `id` name the record: a posting, or a move of the level of stored bytes; a posting
    that is due and not recorded yet has no id (TIME-4). No patient is named.
    """

    meter: str
    source: str
    id: int | None
    kind: str
    booked_at: Instant
    recorded_at: Instant | None
    examination_id: str | None = None
    order_no: str | None = None
    packages: tuple[int, ...] = ()
    moves: Moves = Moves()
    added: int = 0
    freed: int = 0


def sums_of(postings: Iterable[Posting]) -> dict[tuple[PostingKind, LedgerAccount], int]:
    """The entries of postings, added up."""
    sums: dict[tuple[PostingKind, LedgerAccount], int] = {}
    for posting in postings:
        for entry in posting.entries:
            key = (posting.kind, entry.account)
            sums[key] = sums.get(key, 0) + entry.amount
    return sums


def added(*several: Sums) -> dict[tuple[PostingKind, LedgerAccount], int]:
    """Sums of several spans as one."""
    whole: dict[tuple[PostingKind, LedgerAccount], int] = {}
    for sums in several:
        for key, amount in sums.items():
            whole[key] = whole.get(key, 0) + amount
    return whole


MOVE_NAMES = tuple(field.name for field in fields(Moves))
BALANCE_NAMES = tuple(field.name for field in fields(Balances))
