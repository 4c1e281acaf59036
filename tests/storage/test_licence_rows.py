"""What the databases themselves refuse: licences that overlap or change (§12, invariant 20)."""

from __future__ import annotations

import pytest
from sqlalchemy import insert, text, update
from sqlalchemy.exc import DBAPIError

from quota.licence import Licence
from storage import tables as t
from storage.ledger import SqlLedger
from storage.work import SqlWork
from tests.storage.kit import HandClock, add_account
from tests.storage.shop import a_licence, buy, enrol, licences


@pytest.fixture(params=["sound_sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> SqlLedger:
    """An empty ledger on each database."""
    ledger: SqlLedger = request.getfixturevalue(request.param)
    return ledger


def forged(work: SqlWork, known: Licence, *, starts_at: int, ends_at: int | None) -> None:
    """A licence beside a known one, put in behind the ledger's back."""
    row = work.connection.execute(
        text(
            "INSERT INTO order_lines (order_id, line_no, meter, quantity, storage_years) "
            "SELECT order_id, 9, meter, quantity, storage_years FROM order_lines RETURNING id"
        )
    ).scalar_one()
    work.connection.execute(
        insert(t.licences).values(
            order_line_id=row,
            account_id=known.account_id,
            institution_id=known.scope.institution_id,
            feature=known.feature,
            purchased_at=1,
            credited_at=1,
            starts_at=starts_at,
            ends_at=ends_at,
        )
    )


@pytest.mark.parametrize("starts, ends", [(-1, 1), (-1, None), (0, 1), (5, 6), (5, None)])
def test_the_database_itself_refuses_terms_that_overlap(
    database: SqlLedger, clock: HandClock, starts: int, ends: int | None
) -> None:
    """Invariant 20, whoever writes; side by side is allowed, and so is an empty term."""
    account = add_account(database)
    enrol(database, account, 1)
    buy(database, account, "L-1", a_licence())
    (known,) = licences(database)
    assert known.ends_at is not None
    begin = known.starts_at
    with database.begin() as work, pytest.raises(DBAPIError):
        forged(
            work, known, starts_at=begin + starts, ends_at=None if ends is None else begin + ends
        )
    for lawful in ((begin - 5, begin), (known.ends_at, None), (begin + 5, begin + 5)):
        with database.begin() as work:
            forged(work, known, starts_at=lawful[0], ends_at=lawful[1])


@pytest.mark.parametrize(
    "change", [{"ends_at": None}, {"feature": "basic"}, {"starts_at": 1}, {"institution_id": 2}]
)
def test_the_database_itself_refuses_to_change_a_licence(
    database: SqlLedger, change: dict[str, object]
) -> None:
    """A row is revoked once, never edited, never deleted."""
    account = add_account(database)
    enrol(database, account, 1)
    enrol(database, account, 2)
    buy(database, account, "L-1", a_licence())

    with database.begin() as work, pytest.raises(DBAPIError):
        work.connection.execute(update(t.licences).values(**change))
    with database.begin() as work, pytest.raises(DBAPIError):
        work.connection.execute(text("DELETE FROM licences"))
    with database.begin() as work:
        work.revoke_licence(1, revoked_at=5)
        with pytest.raises(DBAPIError):
            work.revoke_licence(1, revoked_at=6)
