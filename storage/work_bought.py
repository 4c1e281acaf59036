"""What a transaction does with licences and services."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from quota.catalogue import LICENCE_PREFIX, SERVICE_PREFIX
from quota.licence import Licence, Scope
from quota.notice import Notice
from quota.order import Order, OrderLine, Validity
from quota.service_term import BoughtService
from quota.time import Instant
from storage import tables as t
from storage.recording_rare import add_notice
from storage.view_bought import licence_of, service_of


class BoughtWork:
    """A part of `SqlWork`: writes on its connection."""

    connection: Connection

    def lock_order(self, number: str) -> None:
        """Lock an order, before all else: two deliveries of it come one after the other."""
        statement = select(t.orders.c.id).where(t.orders.c.number == number).with_for_update()
        self.connection.execute(statement).one()

    def lock_scope(self, scope: Scope) -> None:
        """Lock whose licences are to change, before any meter, in the order of `lock_key`."""
        table, row_id = t.institutions, scope.institution_id
        if row_id is None:
            table, row_id = t.consortia, scope.consortium_id
        # FOR NO KEY UPDATE: rows that refer to it are inserted meanwhile, examinations above all.
        statement = select(table.c.id).where(table.c.id == row_id).with_for_update(key_share=True)
        self.connection.execute(statement).one()

    def add_licence(
        self, *, order: Order, line: OrderLine, scope: Scope, credited_at: Instant, term: Validity
    ) -> Licence:
        """Insert a licence; the database refuses one that overlaps (invariant 20)."""
        values = {
            "order_line_id": line.id,
            "account_id": order.account_id,
            "institution_id": scope.institution_id,
            "consortium_id": scope.consortium_id,
            "feature": line.meter.removeprefix(LICENCE_PREFIX),
            "purchased_at": order.paid_at,
            "credited_at": credited_at,
            "starts_at": term.effective_at,
            "ends_at": term.expires_at,
        }
        statement = insert(t.licences).values(values).returning(t.licences)
        return licence_of(self.connection.execute(statement).one())

    def revoke_licence(self, licence_id: int, *, revoked_at: Instant) -> None:
        """Note the revocation."""
        statement = update(t.licences).where(t.licences.c.id == licence_id)
        self.connection.execute(statement.values(revoked_at=revoked_at))

    def add_service(
        self, *, order: Order, line: OrderLine, credited_at: Instant, ends_at: Instant
    ) -> BoughtService:
        """Insert a service, of the institution that the order names."""
        values = {
            "order_line_id": line.id,
            "account_id": order.account_id,
            "institution_id": order.institution_id,
            "kind": line.meter.removeprefix(SERVICE_PREFIX),
            "purchased_at": order.paid_at,
            "credited_at": credited_at,
            "ends_at": ends_at,
        }
        statement = insert(t.services).values(values).returning(t.services)
        return service_of(self.connection.execute(statement).one())

    def end_service(
        self,
        service_id: int,
        *,
        accepted_at: Instant | None = None,
        cancelled_at: Instant | None = None,
    ) -> None:
        """Note that the customer accepted it, or that it was cancelled."""
        ends = {"accepted_at": accepted_at, "cancelled_at": cancelled_at}
        values = {name: at for name, at in ends.items() if at is not None}
        statement = update(t.services).where(t.services.c.id == service_id)
        self.connection.execute(statement.values(values))

    def tell(self, notice: Notice) -> None:
        """Put a notice that is no meter's into the outbox, once per key (§10)."""
        add_notice(self.connection, notice)
