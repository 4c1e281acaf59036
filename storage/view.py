"""The SQL side of `quota.ports.View`: one snapshot, read as quota's own values."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Select, bindparam, select

from quota.account import Account
from quota.errors import UnknownAccount
from quota.facts import Charged
from quota.ledger import Meter
from quota.order import Order, OrderLine
from quota.package import Package
from quota.time import Clock, Instant
from storage import tables as t
from storage.funding import DUE
from storage.rows import account_of, meter_of, order_line_of, package_of
from storage.view_more import FurtherView

_OPEN_EPISODE = (t.episodes.c.meter_id == t.meters.c.id) & t.episodes.c.closed_at.is_(None)
METER = (
    select(t.meters, t.episodes.c.started_at, t.episodes.c.deadline)
    .select_from(t.meters.outerjoin(t.episodes, _OPEN_EPISODE))
    .where(t.meters.c.account_id == bindparam("account_id"), t.meters.c.name == bindparam("name"))
)
_ACCOUNT = select(t.accounts).where(t.accounts.c.id == bindparam("account_id"))
_CHARGE = select(t.charges).where(
    t.charges.c.examination_id == bindparam("examination_id"),
    t.charges.c.state.in_(("funded", "owed")),
)


class SqlView(FurtherView):
    """One snapshot of the ledger; `connection` serves storage's other readers as well."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self.connection = connection
        self._clock = clock

    def clock(self) -> Instant:
        """The ledger's clock."""
        return self._clock()

    def account(self, account_id: int) -> Account:
        """The account; raises UnknownAccount."""
        row = self.connection.execute(_ACCOUNT, {"account_id": account_id}).one_or_none()
        if row is None:
            raise UnknownAccount(account_id=account_id)
        return account_of(row)

    def accounts(self) -> Sequence[Account]:
        """Every account, by name."""
        rows = self.connection.execute(select(t.accounts).order_by(t.accounts.c.name))
        return [account_of(row) for row in rows]

    def meter(self, account_id: int, name: str) -> Meter | None:
        """The meter as last booked, or None where nothing was ever booked."""
        parameters = {"account_id": account_id, "name": name}
        row = self.connection.execute(METER, parameters).one_or_none()
        return None if row is None else meter_of(row)

    def due_packages(self, meter_id: int, at: Instant) -> Sequence[Package]:
        """Packages not ended of which the beginning or the end has passed and is not booked."""
        rows = self.connection.execute(DUE, {"meter_id": meter_id, "at": at})
        return sorted((package_of(row) for row in rows), key=lambda package: package.burn_key)

    def package(self, package_id: int) -> Package | None:
        """One package."""
        statement = select(t.packages).where(t.packages.c.id == package_id)
        row = self.connection.execute(statement).one_or_none()
        return None if row is None else package_of(row)

    def packages(self, account_id: int) -> Sequence[Package]:
        """Every package of the account in the order of crediting."""
        statement = (
            select(t.packages)
            .join(t.meters)
            .where(t.meters.c.account_id == account_id)
            .order_by(t.packages.c.id)
        )
        return [package_of(row) for row in self.connection.execute(statement)]

    def charge(self, examination_id: str) -> Charged | None:
        """The standing (funded or owed) charge of an examination."""
        parameters = {"examination_id": examination_id}
        row = self.connection.execute(_CHARGE, parameters).one_or_none()
        if row is None:
            return None
        return Charged(
            examination_id=row.examination_id,
            charged_at=row.charged_at,
            package_id=row.package_id,
        )

    def order(self, number: str) -> Order | None:
        """The order with its lines."""
        orders = self._orders(select(t.orders).where(t.orders.c.number == number))
        return orders[0] if orders else None

    def orders(self, account_id: int | None = None) -> Sequence[Order]:
        """Orders of one account or of all, in the order of placing."""
        statement = select(t.orders).order_by(t.orders.c.id)
        if account_id is not None:
            statement = statement.where(t.orders.c.account_id == account_id)
        return self._orders(statement)

    def orders_to_credit(self) -> Sequence[str]:
        """Numbers of the orders that are paid and not credited, oldest payment first."""
        statement = (
            select(t.orders.c.number)
            .where(
                t.orders.c.credited_at.is_(None),
                t.orders.c.paid_at.is_not(None),
                t.orders.c.voided_at.is_(None),
            )
            .order_by(t.orders.c.paid_at, t.orders.c.id)
        )
        return self.connection.execute(statement).scalars().all()

    def _orders(self, statement: Select[tuple[object, ...]]) -> list[Order]:
        rows = self.connection.execute(statement).all()
        lines: dict[int, list[OrderLine]] = {row.id: [] for row in rows}
        wanted = select(t.order_lines).order_by(t.order_lines.c.order_id, t.order_lines.c.line_no)
        if len(rows) == 1:
            wanted = wanted.where(t.order_lines.c.order_id == rows[0].id)
        for line in self.connection.execute(wanted):
            if line.order_id in lines:
                lines[line.order_id].append(order_line_of(line))
        return [
            Order(
                number=row.number,
                account_id=row.account_id,
                fingerprint=row.fingerprint,
                placed_at=row.placed_at,
                paid_at=row.paid_at,
                credited_at=row.credited_at,
                lines=tuple(lines[row.id]),
                voided_at=row.voided_at,
                institution_id=row.institution_id,
            )
            for row in rows
        ]
