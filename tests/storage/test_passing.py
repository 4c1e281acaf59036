"""Long tables in the driver's own tuples, and what is judged by them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

from quota.retention import retained_until
from quota.time import to_instant
from storage import passing
from storage import tables as t
from storage.ledger import SqlLedger
from storage.replay import term_from
from tests.storage.kit import add_account, admit, top_up

DAY = 86_400_000_000
LEAP_DAY = to_instant(datetime(2028, 2, 29, tzinfo=UTC))


@pytest.fixture(params=["sound_sqlite", "postgresql"])
def sql(request: pytest.FixtureRequest) -> SqlLedger:
    """An empty ledger on each database."""
    ledger: SqlLedger = request.getfixturevalue(request.param)
    return ledger


def test_parts_are_what_reading_by_rows_gives(
    sql: SqlLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values, types and order alike, spelled the same: recorded digests are made of it."""
    account = add_account(sql)
    top_up(sql, account, "SO-1", 2)
    for n in range(3):
        admit(sql, account, f"exam-{n}")
    monkeypatch.setattr(passing, "AT_ONCE", 3)
    for table in (t.postings, t.entries):
        statement = select(table).order_by(*table.primary_key.columns)
        with sql.read() as view:
            rows = [tuple(row) for row in view.connection.execute(statement)]
            listed = list(passing.parts(view.connection, statement))
        assert [len(part) for part in listed[:-1]] == [3] * (len(listed) - 1)
        assert repr([row for part in listed for row in part]) == repr(rows)


def test_what_the_driver_raises_looks_as_always(sql: SqlLedger) -> None:
    """Callers know SQLAlchemy's errors alone."""
    with sql.read() as view, pytest.raises(OperationalError):
        list(passing.passing(view.connection, select(text("nothing_there"))))


@given(
    st.integers(788_918_400_000_000, 3_471_292_800_000_000)
    | st.sampled_from([LEAP_DAY, LEAP_DAY + DAY - 1, LEAP_DAY + DAY]),
    st.integers(1, 15),
)
def test_a_term_is_the_same_all_day(at: int, years: int) -> None:
    """§8: the shortcut by day gives the instant that the rule gives, on 29 February as well."""
    assert at + term_from(at // DAY, years) == retained_until(at, storage_years=years)
