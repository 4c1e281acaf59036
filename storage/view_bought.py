"""What a snapshot says of licences, services, and whose they are."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from quota.licence import Licence, Scope
from quota.service_term import BoughtService, ServiceKind
from storage import tables as t


class BoughtView:
    """A part of `SqlView`: reads on its connection."""

    connection: Connection

    def payer_of(self, institution_id: int) -> int | None:
        """The account that pays for an institution; None for an unknown one."""
        statement = select(t.institutions.c.account_id).where(t.institutions.c.id == institution_id)
        return self.connection.execute(statement).scalar_one_or_none()

    def consortia_of(self, institution_id: int) -> Sequence[int]:
        """The consortia of which an institution is a member."""
        statement = (
            select(t.consortium_members.c.consortium_id)
            .where(
                t.consortium_members.c.institution_id == institution_id,
                t.consortium_members.c.removed_at.is_(None),
            )
            .order_by(t.consortium_members.c.consortium_id)
        )
        return self.connection.execute(statement).scalars().all()

    def payers_of(self, consortium_id: int) -> Set[int]:
        """The accounts of a consortium: its own, and those that pay for its members."""
        own = select(t.consortia.c.account_id).where(
            t.consortia.c.id == consortium_id, t.consortia.c.account_id.is_not(None)
        )
        members = (
            select(t.institutions.c.account_id)
            .join(
                t.consortium_members,
                t.consortium_members.c.institution_id == t.institutions.c.id,
            )
            .where(
                t.consortium_members.c.consortium_id == consortium_id,
                t.consortium_members.c.removed_at.is_(None),
            )
        )
        return set(self.connection.execute(own.union(members)).scalars())

    def licences(
        self, *, scope: Scope | None = None, order_number: str | None = None
    ) -> Sequence[Licence]:
        """Licences of one scope, of one order, or all, in the order of their beginning."""
        statement = select(t.licences).order_by(t.licences.c.starts_at, t.licences.c.id)
        if scope is not None and scope.institution_id is not None:
            statement = statement.where(t.licences.c.institution_id == scope.institution_id)
        elif scope is not None:
            statement = statement.where(t.licences.c.consortium_id == scope.consortium_id)
        if order_number is not None:
            statement = statement.where(t.licences.c.order_line_id.in_(_lines_of(order_number)))
        return [licence_of(row) for row in self.connection.execute(statement)]

    def services(
        self, *, account_id: int | None = None, order_number: str | None = None
    ) -> Sequence[BoughtService]:
        """Services of one account, of one order, or all, as credited."""
        statement = select(t.services).order_by(t.services.c.id)
        if account_id is not None:
            statement = statement.where(t.services.c.account_id == account_id)
        if order_number is not None:
            statement = statement.where(t.services.c.order_line_id.in_(_lines_of(order_number)))
        return [service_of(row) for row in self.connection.execute(statement)]


def _lines_of(order_number: str) -> Select[tuple[int]]:
    of_order = t.orders.c.id == t.order_lines.c.order_id
    return (
        select(t.order_lines.c.id).join(t.orders, of_order).where(t.orders.c.number == order_number)
    )


def licence_of(row: Row[Any]) -> Licence:
    """A licence from its row."""
    return Licence(
        id=row.id,
        order_line_id=row.order_line_id,
        account_id=row.account_id,
        scope=Scope(institution_id=row.institution_id, consortium_id=row.consortium_id),
        feature=row.feature,
        purchased_at=row.purchased_at,
        credited_at=row.credited_at,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        revoked_at=row.revoked_at,
    )


def service_of(row: Row[Any]) -> BoughtService:
    """A service from its row."""
    return BoughtService(
        id=row.id,
        order_line_id=row.order_line_id,
        account_id=row.account_id,
        institution_id=row.institution_id,
        kind=ServiceKind(row.kind),
        purchased_at=row.purchased_at,
        credited_at=row.credited_at,
        ends_at=row.ends_at,
        accepted_at=row.accepted_at,
        cancelled_at=row.cancelled_at,
    )
