"""The SQL side of `quota.ports.Work`: one state-changing transaction."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, insert, select, update

from quota.account import Account, Plan
from quota.facts import Fact
from quota.ledger import Meter
from quota.order import Order, OrderLine, OrderRequest, Validity
from quota.package import Package
from quota.ports import Funding
from quota.time import Clock, Instant
from storage import tables as t
from storage.dialect import insert_missing, locks_rows
from storage.funding import BURNABLE, funding
from storage.recording import record
from storage.rows import meter_of, package_of
from storage.view import METER, SqlView
from storage.work_bought import BoughtWork

_LOCK_METER = (
    select(t.meters.c.id)
    .where(t.meters.c.account_id == bindparam("account_id"), t.meters.c.name == bindparam("name"))
    .with_for_update()
)
_BURN_HEAD = BURNABLE.limit(bindparam("limit"))


class SqlWork(BoughtWork, SqlView):
    """A transaction. It rolls back unless `commit()` was called.

    `clock_column` reads the database's clock along with a row, where asking for it alone would be
    a round trip more; None where `clock` is at hand.
    """

    def __init__(
        self,
        connection: Connection,
        clock: Clock,
        clock_column: ColumnElement[Instant] | None = None,
    ) -> None:
        super().__init__(connection, clock)
        self._clock_column = clock_column

    @property
    def alone(self) -> bool:
        """Whether nobody else writes until this ends: nothing is to be locked or read again (§13).

        SQLite's writers are, one at a time from their BEGIN IMMEDIATE on.
        """
        return not locks_rows(self.connection)

    def commit(self) -> None:
        """Make it durable."""
        self.connection.commit()

    def add_account(
        self, *, name: str, plan: Plan, agreement_no: str, timezone: str
    ) -> Account | None:
        """Insert an account; None where the name is taken."""
        values = {
            "name": name,
            "plan": plan,
            "agreement_no": agreement_no,
            "timezone": timezone,
            "created_at": self.clock(),
        }
        account_id = self.insert_new(t.accounts, values)
        return None if account_id is None else self.account(account_id)

    def insert_new(self, table: t.Table, values: dict[str, object]) -> int | None:
        """INSERT … ON CONFLICT DO NOTHING; the new row's id, or None where a key is taken."""
        added = insert_missing(self.connection, table, values)
        return None if added is None else added.id

    def insert_missing(self, table: t.Table, values: dict[str, object]) -> bool:
        """INSERT … ON CONFLICT DO NOTHING; whether a row was added."""
        return insert_missing(self.connection, table, values) is not None

    def lock_meter(self, account_id: int, name: str) -> tuple[Meter, Instant]:
        """Lock the meter, created if need be; the clock as read once it was locked (TIME-1)."""
        key: dict[str, object] = {"account_id": account_id, "name": name}
        if (locked := self._locked_meter(key)) is None:
            # A missing row can't be locked: whoever comes second finds the first one's (§13).
            self.insert_new(t.meters, key)
            locked = self._locked_meter(key)
        assert locked is not None, "whoever adds a meter keeps it"
        return locked

    def _locked_meter(self, key: dict[str, object]) -> tuple[Meter, Instant] | None:
        if not self.alone and self.connection.execute(_LOCK_METER, key).one_or_none() is None:
            return None
        # A statement of its own: it sees what whoever held the lock has committed, the episode
        # too, and reads the clock after the lock has come.
        statement = METER if self._clock_column is None else _meter_with(self._clock_column)
        row = self.connection.execute(statement, key).one_or_none()
        if row is None:
            return None
        return meter_of(row), self.clock() if self._clock_column is None else row.clock_reading

    def funding(self, meter_id: int, examination_id: str, at: Instant) -> Funding:
        """All that an admission asks of packages and charges, in one statement."""
        return funding(self.connection, meter_id=meter_id, examination_id=examination_id, at=at)

    def burn_head(self, meter_id: int, at: Instant, limit: int) -> Sequence[Package]:
        """The first `limit` packages in burn order that are unexpired with units left."""
        parameters = {"meter_id": meter_id, "at": at, "limit": limit}
        return [package_of(row) for row in self.connection.execute(_BURN_HEAD, parameters)]

    def add_package(
        self,
        *,
        meter: Meter,
        line: OrderLine,
        purchased_at: Instant,
        credited_at: Instant,
        validity: Validity,
    ) -> Package:
        """Insert a package with nothing remaining; the credit's posting fills it."""
        values = {
            "meter_id": meter.id,
            "order_line_id": line.id,
            "quantity": line.quantity,
            "remaining": 0,
            "purchased_at": purchased_at,
            "effective_at": validity.effective_at,
            "expires_at": validity.expires_at,
            "credited_at": credited_at,
            "storage_years": line.storage_years,
            "unlimited": line.quantity == 0,
        }
        statement = insert(t.packages).values(values).returning(t.packages)
        return package_of(self.connection.execute(statement).one())

    def record(self, meter: Meter, facts: Sequence[Fact]) -> None:
        """Persist what a book decided: the journal, and the meter as it now stands."""
        record(self.connection, meter, facts)

    def add_order(self, request: OrderRequest, *, placed_at: Instant) -> Order | None:
        """Insert an order and its lines; None where the number has been taken meanwhile."""
        values: dict[str, object] = {
            "number": request.number,
            "account_id": request.account_id,
            "fingerprint": request.fingerprint,
            "placed_at": placed_at,
            "institution_id": request.institution_id,
        }
        order_id = self.insert_new(t.orders, values)
        if order_id is None:
            return None
        for line_no, line in enumerate(request.lines):
            self.connection.execute(
                insert(t.order_lines).values(
                    order_id=order_id,
                    line_no=line_no,
                    meter=line.meter,
                    quantity=line.quantity,
                    storage_years=line.storage_years,
                    years=line.years,
                    renews_package_id=line.renews_package_id,
                    months=line.months,
                    consortium_id=line.consortium_id,
                    renews_licence_id=line.renews_licence_id,
                )
            )
        return self.order(request.number)

    def mark_paid(self, number: str, *, paid_at: Instant) -> None:
        """Note the payment, unless one is noted."""
        self.connection.execute(
            update(t.orders)
            .where(t.orders.c.number == number, t.orders.c.paid_at.is_(None))
            .values(paid_at=paid_at)
        )

    def mark_credited(self, number: str, *, credited_at: Instant) -> None:
        """Note that every line became a package."""
        self.connection.execute(
            update(t.orders).where(t.orders.c.number == number).values(credited_at=credited_at)
        )

    def mark_voided(self, number: str, *, voided_at: Instant) -> None:
        """Note that the order was taken back."""
        self.connection.execute(
            update(t.orders).where(t.orders.c.number == number).values(voided_at=voided_at)
        )

    def close_account(self, account_id: int, *, closed_at: Instant) -> None:
        """Note that the account is closed."""
        self.connection.execute(
            update(t.accounts).where(t.accounts.c.id == account_id).values(closed_at=closed_at)
        )

    def set_arrears_cap(self, account_id: int, cap: int | None) -> None:
        """Set or lift the account's cap on arrears."""
        self.connection.execute(
            update(t.accounts).where(t.accounts.c.id == account_id).values(arrears_cap=cap)
        )

    def note_action(self, *, actor: str, action: str, subject: str, reason: str) -> None:
        """Journal what an operator did, with who and why (STATE-6)."""
        values = {"actor": actor, "action": action, "subject": subject, "reason": reason}
        self.connection.execute(insert(t.operator_actions), {**values, "acted_at": self.clock()})


@cache
def _meter_with(clock: ColumnElement[Instant]) -> Select[Any]:
    return METER.add_columns(clock.label("clock_reading"))
