"""Months of an account's calendar, and what entries of the journal add up to (§11)."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota.ledger import Entry, LedgerAccount, Posting, PostingKind
from quota.statement import (
    Balances,
    Finality,
    MeterStatement,
    Month,
    Moves,
    finality,
    sums_of,
)
from quota.time import isoformat
from tests.quota.makers import DAY, HOUR, NOON
from tests.quota.test_time import utc

ZONES = [
    "Asia/Shanghai",
    "America/Havana",
    "America/Asuncion",
    "America/Nuuk",
    "Pacific/Apia",
    "Pacific/Pago_Pago",
    "Europe/Berlin",
    "America/Sao_Paulo",
    "UTC",
]


@pytest.mark.parametrize("text", ["2026-1", "2026-13", "2026-00", "26-11", "1969-12", "9999-01"])
def test_what_is_no_month_is_told_apart(text: str) -> None:
    """Four digits, two digits, within the years that instants and calendars both have."""
    assert Month.parse(text) is None


@pytest.mark.parametrize("text", ["2026-11-01", " 2026-11", "2026-11\n", "٢٠٢٦-11", "now", ""])
def test_no_month_is_guessed(text: str) -> None:
    """Nothing before, nothing after, no digits but ours."""
    assert Month.parse(text) is None


def test_a_month_is_written_as_it_is_read() -> None:
    """And December is followed by January."""
    month = Month.parse("2026-12")
    assert month == Month(year=2026, month=12)
    assert (str(month), str(month.next())) == ("2026-12", "2027-01")
    assert month < month.next()


@pytest.mark.parametrize(
    ("zone", "month", "start", "end"),
    [
        ("Asia/Shanghai", "2026-11", "2026-10-31T16:00:00", "2026-11-30T16:00:00"),
        # Summer time begins and ends: 743 and 721 hours.
        ("Europe/Berlin", "2026-03", "2026-02-28T23:00:00", "2026-03-31T22:00:00"),
        # Midnight of the 1st comes twice: the earlier one begins the month.
        ("America/Havana", "2026-11", "2026-11-01T04:00:00", "2026-12-01T05:00:00"),
        # Midnight of the 1st is missing: the month begins at 01:00.
        ("America/Asuncion", "2023-10", "2023-10-01T04:00:00", "2023-11-01T03:00:00"),
        # A day is missing: 30 December 2011 never was.
        ("Pacific/Apia", "2011-12", "2011-12-01T10:00:00", "2011-12-31T10:00:00"),
    ],
)
def test_a_month_is_the_zones_own(zone: str, month: str, start: str, end: str) -> None:
    """From its first instant to that of the next, gaps and folds at midnight included."""
    parsed = Month.parse(month)
    assert parsed is not None
    first, following = parsed.span(ZoneInfo(zone))
    assert (isoformat(first), isoformat(following)) == (f"{start}.000000Z", f"{end}.000000Z")


@given(instant=st.integers(0, utc("2100-01-01")), zone=st.sampled_from(ZONES))
def test_every_instant_is_in_one_month(instant: int, zone: str) -> None:
    """start <= T < end for the month that T is in, and months meet without a gap."""
    month = Month.of(instant, ZoneInfo(zone))
    start, end = month.span(ZoneInfo(zone))
    assert start <= instant < end
    assert month.next().span(ZoneInfo(zone))[0] == end
    assert Month.of(end - 1, ZoneInfo(zone)) == month
    assert Month.of(end, ZoneInfo(zone)) == month.next()


def test_a_month_is_final_once_nothing_can_be_booked_into_it() -> None:
    """TIME-1: the next T is the last one and a microsecond, or more; the clock alone won't do."""
    end = NOON
    assert finality(end, last_at=end - 1, at=end) is Finality.FINAL
    assert finality(end, last_at=end - 2, at=end) is Finality.PROVISIONAL
    assert finality(end, last_at=end - 2, at=end + DAY) is Finality.PROVISIONAL
    assert finality(end, last_at=end - HOUR, at=end - 1) is Finality.OPEN


A = LedgerAccount
K = PostingKind
EVENTS: list[tuple[K, dict[A, int]]] = [
    (K.CREDIT, {A.ISSUED: -1, A.PACKAGE: 1}),
    (K.CHARGE, {A.PACKAGE: -1, A.CONSUMED: 1}),
    (K.CHARGE, {A.ARREARS: -1, A.CONSUMED: 1}),
    (K.OFFSET, {A.PACKAGE: -1, A.ARREARS: 1}),
    (K.EXPIRY, {A.PACKAGE: -1, A.EXPIRED: 1}),
    (K.VOID, {A.PACKAGE: -1, A.VOIDED: 1}),
    (K.REVERSAL, {A.CONSUMED: -1, A.ARREARS: 1}),
    (K.REVERSAL, {A.CONSUMED: -1, A.PACKAGE: 1}),
    (K.REVERSAL, {A.CONSUMED: -1, A.EXPIRED: 1}),
    (K.REVERSAL, {A.CONSUMED: -1, A.VOIDED: 1}),
    (K.WRITE_OFF, {A.ARREARS: 1, A.WRITTEN_OFF: -1}),
    (K.HOLD, {A.PACKAGE: -1, A.HELD: 1}),
    (K.POST, {A.HELD: -1, A.CONSUMED: 1}),
    (K.RELEASE, {A.HELD: -1, A.PACKAGE: 1}),
    (K.RELEASE, {A.HELD: -1, A.EXPIRED: 1}),
    (K.RELEASE, {A.HELD: -1, A.VOIDED: 1}),
]
"""Every row of §3."""


def posting(event: int, units: int) -> Posting:
    """One event of §3 over some units."""
    kind, legs = EVENTS[event]
    named = {A.PACKAGE, A.HELD}
    return Posting(
        kind=kind,
        effective_at=NOON,
        recorded_at=NOON,
        entries=tuple(
            Entry(account=account, amount=sign * units, package_id=1 if account in named else None)
            for account, sign in legs.items()
        ),
    )


@given(
    st.lists(
        st.builds(posting, event=st.integers(0, len(EVENTS) - 1), units=st.integers(1, 10**15))
    ),
    st.integers(0, 40),
)
def test_opening_and_moves_are_the_closing_whatever_happened(
    postings: list[Posting], cut: int
) -> None:
    """By account and by event the same figures come out, wherever the month begins."""
    opening = Balances.of(sums_of(postings[:cut]))
    moves = Moves.of(sums_of(postings[cut:]))
    assert opening.after(moves) == Balances.of(sums_of(postings))


@given(st.lists(st.builds(posting, event=st.integers(0, len(EVENTS) - 1), units=st.just(1))))
def test_lines_add_up_to_the_month(postings: list[Posting]) -> None:
    """A posting's own moves are its line; the sum of the lines is the statement."""
    balances = Balances()
    for one in postings:
        balances = balances.after(Moves.of(sums_of([one])))
    assert balances == Balances.of(sums_of(postings))


def test_a_move_is_counted_under_its_own_name() -> None:
    """One event of each kind, over units that tell it apart."""
    moved = Moves.of(sums_of([posting(event, 2**event) for event in range(len(EVENTS))]))
    assert moved == Moves(
        purchased=1,
        used=2 + 2**12,
        owed=4,
        offset=8,
        reversed=2**7 + 2**8 + 2**9,
        reversed_owed=2**6,
        written_off=2**10,
        held=2**11 - 2**12 - 2**13 - 2**14 - 2**15,
        expired=2**4 + 2**8 + 2**14,
        voided=2**5 + 2**9 + 2**15,
    )


def test_a_statement_that_does_not_add_up_is_not_given() -> None:
    """A unit that no column counts: no statement is better than a wrong one."""
    with pytest.raises(AssertionError, match="opening"):
        MeterStatement(
            meter="exam",
            finality=Finality.FINAL,
            opening=Balances(),
            moves=Moves(purchased=1_000),
            closing=Balances(purchased=1_000, available=999, used=1),
            pending=0,
            level=None,
        )
