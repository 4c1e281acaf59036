"""Numbers, text and tables as they are shown: rounded down, aligned, harmless."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from gateway.cli import output, picture, units
from gateway.cli.output import Column
from quota.account import Account, Plan
from quota.book import Book
from quota.ledger import Meter
from quota.service import MeterReading
from quota.standing import Status
from quota.time import MICROSECONDS_PER_SECOND, to_instant

SECOND = MICROSECONDS_PER_SECOND


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (1_999_999, "1.9 MB"),
        (10**12 - 1, "999.9 GB"),
        (10**12, "1.0 TB"),
        (3 * 10**21, "3,000.0 EB"),
    ],
)
def test_a_size_is_decimal_and_rounded_down(size_bytes: int, shown: str) -> None:
    """UNIT-1: 1 TB = 10^12 bytes; never more than there is."""
    assert units.size(size_bytes) == shown


@given(st.integers(min_value=0, max_value=2**63 - 1))
def test_a_size_never_shows_more_than_there_is(size_bytes: int) -> None:
    """Reading back what is shown gives at most the size, and at least 99 % of a large one."""
    number, unit = units.size(size_bytes).replace(",", "").split()
    factor = 1000 ** ("B", "kB", "MB", "GB", "TB", "PB", "EB").index(unit)
    whole, _, tenth = number.partition(".")
    shown = (int(whole) * 10 + int(tenth or 0)) * factor // 10
    assert shown <= size_bytes < shown + max(1, factor // 10)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (59, "less than 1 min"),
        (60, "1 min"),
        (3_600, "1 h 0 min"),
        (11_579, "3 h 12 min"),
        (86_400, "24 h 0 min"),
    ],
)
def test_time_left_is_rounded_down(seconds: int, shown: str) -> None:
    """Nobody is promised a minute that he does not have."""
    assert units.duration(seconds * SECOND) == shown
    assert units.duration(seconds * SECOND + SECOND - 1) == shown


def test_an_instant_is_shown_on_the_local_clock_with_its_offset() -> None:
    """Whole minutes, rounded down, so that a deadline is never shown late."""
    account = Account(
        id=1,
        name="x",
        plan=Plan.PER_EXAM,
        agreement_no="7",
        timezone="Asia/Shanghai",
        created_at=0,
        closed_at=None,
    )
    instant = to_instant(datetime(2026, 11, 23, 1, 0, 59, 999_999, tzinfo=UTC))
    assert units.local(instant, account.zone) == "2026-11-23 09:00 +08:00"
    assert units.local(None, account.zone) == ""


def test_json_is_harmless_on_a_terminal_and_stays_the_same_value() -> None:
    """Escapes, overrides and separators are written as JSON escapes; Chinese stays readable."""
    value = {"name": "张^三", "bad": "\x1b[31m\x9b\u202e\u2028\U000e0041"}
    text = output.json_text(value, indent=2)
    assert json.loads(text) == value
    assert "张^三" in text
    assert all(character.isprintable() or character == "\n" for character in text)


@given(st.text())
def test_cleaned_text_moves_no_cursor(text: str) -> None:
    """Whatever a device sent: no control, format or separator character is left."""
    cleaned = output.clean(text)
    assert output.clean(cleaned) == cleaned
    assert not set(cleaned) & set(map(chr, [*range(32), *range(127, 160), 0x202E, 0x2028]))


def test_plain_tables_are_aligned_by_width_and_not_by_character(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A Chinese name is two cells wide per character; numbers stand to the right."""
    columns = [Column(title="name"), Column(title="left", right=True), Column(title="end")]
    output.table(columns, [["湖滨", "7", "x"], ["East", "1,000", "y"]], empty="")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "NAME   LEFT  END"
    assert {cell_len(line) for line in lines[1:]} == {14}


def _meter(
    *, consumed: int = 0, available: int = 0, owed: int = 0, expired: int = 0
) -> MeterReading:
    meter = Meter(
        id=1,
        account_id=1,
        name="exam",
        last_at=0,
        consumed=consumed,
        available=available,
        owed=owed,
        expired=expired,
    )
    standing = Book(meter, clock_reading=1).standing(closed=False)
    return MeterReading(meter=meter, standing=standing, status=Status.OK, at=1)


def test_the_bar_shows_the_least_part_and_never_too_much() -> None:
    """One examination owed among a million is to be seen; `available` is rounded down."""
    bar = picture.bar(_meter(consumed=1_000_001, owed=1), 40).plain
    assert bar == "█" * 39 + "╳"
    bar = picture.bar(_meter(consumed=1, available=999_999), 40).plain
    assert bar == "█" + "░" * 39
    assert picture.bar(_meter(), 10).plain == "·" * 10


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9), st.integers(30, 60))
def test_the_bar_keeps_its_length(used: int, available: int, expired: int, cells: int) -> None:
    """Whatever the amounts, the bar is as long as it should be, give or take the least parts."""
    meter = _meter(consumed=used, available=available, expired=expired)
    bar = picture.bar(meter, cells).plain
    assert abs(len(bar) - cells) <= 3
    assert bar.count("░") <= max(1, available * cells // max(1, used + available + expired))
