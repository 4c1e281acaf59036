"""What a snapshot says beyond the way of an examination: holds, debts, ends, whole orders."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Row, select

from quota.action import Action
from quota.facts import Charged
from quota.hold import Hold, HoldState, Share
from quota.notice import Notice
from quota.package import Package
from quota.time import Instant
from storage import tables as t
from storage.rows import notice_of, package_of
from storage.view_bought import BoughtView


class FurtherView(BoughtView):
    """Half of `SqlView`: reads on its connection."""

    connection: Connection

    def oldest_owed(self, meter_id: int) -> Charged | None:
        """The charge that has been owed for longest."""
        statement = (
            select(t.charges)
            .where(t.charges.c.meter_id == meter_id, t.charges.c.state == "owed")
            .order_by(t.charges.c.id)
            .limit(1)
        )
        row = self.connection.execute(statement).one_or_none()
        if row is None:
            return None
        return Charged(
            examination_id=row.examination_id, charged_at=row.charged_at, package_id=None
        )

    def packages_ending(self, meter_id: int, after: Instant, until: Instant) -> Sequence[Package]:
        """Packages not ended whose expiry lies in after < expires_at <= until."""
        statement = (
            select(t.packages)
            .where(
                t.packages.c.meter_id == meter_id,
                t.packages.c.ended_at.is_(None),
                t.packages.c.expires_at > after,
                t.packages.c.expires_at <= until,
            )
            .order_by(t.packages.c.expires_at, t.packages.c.id)
        )
        return [package_of(row) for row in self.connection.execute(statement)]

    def packages_of_order(self, number: str, meter_id: int) -> Sequence[Package]:
        """What an order became on one meter, in burn order."""
        statement = (
            select(t.packages)
            .join(t.order_lines, t.order_lines.c.id == t.packages.c.order_line_id)
            .join(t.orders, t.orders.c.id == t.order_lines.c.order_id)
            .where(t.orders.c.number == number, t.packages.c.meter_id == meter_id)
        )
        packages = [package_of(row) for row in self.connection.execute(statement)]
        return sorted(packages, key=lambda package: package.burn_key)

    def unlimited_package(self, meter_id: int, at: Instant) -> Package | None:
        """The first unlimited package that is active at `at`."""
        statement = (
            select(t.packages)
            .where(
                t.packages.c.meter_id == meter_id,
                t.packages.c.unlimited,
                t.packages.c.ended_at.is_(None),
                t.packages.c.effective_at <= at,
                (t.packages.c.expires_at > at) | t.packages.c.expires_at.is_(None),
            )
            .order_by(t.packages.c.id)
            .limit(1)
        )
        row = self.connection.execute(statement).one_or_none()
        return None if row is None else package_of(row)

    def notices(self) -> Sequence[Notice]:
        """What was to be told, the oldest first."""
        rows = self.connection.execute(select(t.notices).order_by(t.notices.c.id))
        return [notice_of(row) for row in rows]

    def actions(self) -> Sequence[Action]:
        """What operators did, the oldest first."""
        return [
            Action(
                acted_at=row.acted_at,
                actor=row.actor,
                action=row.action,
                subject=row.subject,
                reason=row.reason,
            )
            for row in self.connection.execute(
                select(t.operator_actions).order_by(t.operator_actions.c.id)
            )
        ]

    def hold(self, meter_id: int, key: str) -> Hold | None:
        """The hold of that client's key."""
        statement = select(t.holds).where(t.holds.c.meter_id == meter_id, t.holds.c.key == key)
        row = self.connection.execute(statement).one_or_none()
        return None if row is None else self._hold_of(row)

    def due_holds(self, meter_id: int, at: Instant) -> Sequence[Hold]:
        """Pending holds whose time is over."""
        statement = (
            select(t.holds)
            .where(
                t.holds.c.meter_id == meter_id,
                t.holds.c.state == "pending",
                t.holds.c.expires_at <= at,
            )
            .order_by(t.holds.c.expires_at, t.holds.c.key)
        )
        return [self._hold_of(row) for row in self.connection.execute(statement).all()]

    def _hold_of(self, row: Row[tuple[object, ...]]) -> Hold:
        statement = (
            select(t.packages, t.hold_shares.c.units)
            .join(t.hold_shares, t.hold_shares.c.package_id == t.packages.c.id)
            .where(t.hold_shares.c.hold_id == row.id)
        )
        shares = [
            Share(package=package_of(share), units=share.units)
            for share in self.connection.execute(statement)
        ]
        return Hold(
            key=row.key,
            meter_id=row.meter_id,
            units=row.units,
            held_at=row.held_at,
            expires_at=row.expires_at,
            shares=tuple(sorted(shares, key=lambda share: share.package.burn_key)),
            state=HoldState(row.state),
            posted=row.posted,
            settled_at=row.settled_at,
        )
