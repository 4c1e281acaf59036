"""Licences and services in memory: both halves of the contract, and the state behind them."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from quota.catalogue import LICENCE_PREFIX, SERVICE_PREFIX
from quota.licence import Licence, Scope, overlapping
from quota.notice import Notice
from quota.order import Order, OrderLine, Validity
from quota.service_term import BoughtService, ServiceKind
from quota.time import Instant

if TYPE_CHECKING:
    from storage.memory_view import MemoryState


@dataclass(kw_only=True, slots=True)
class Bought:
    """Ids are positions counted from 1."""

    payers: dict[int, int] = field(default_factory=dict)
    """By institution: the account that pays for it."""
    consortia: dict[int, set[int]] = field(default_factory=dict)
    """By consortium: the institutions that are members."""
    licences: list[Licence] = field(default_factory=list)
    services: list[BoughtService] = field(default_factory=list)

    def copy(self) -> Bought:
        """A state that can be changed without touching this one."""
        return Bought(
            payers=dict(self.payers),
            consortia={one: set(members) for one, members in self.consortia.items()},
            licences=list(self.licences),
            services=list(self.services),
        )


class MemoryBoughtView:
    """A part of `MemoryView`."""

    _state: MemoryState

    def payer_of(self, institution_id: int) -> int | None:
        """The account that pays for an institution; None for an unknown one."""
        return self._state.bought.payers.get(institution_id)

    def consortia_of(self, institution_id: int) -> Sequence[int]:
        """The consortia of which an institution is a member."""
        consortia = self._state.bought.consortia.items()
        return sorted(one for one, members in consortia if institution_id in members)

    def payers_of(self, consortium_id: int) -> Set[int]:
        """The accounts of a consortium: those that pay for its members."""
        members = self._state.bought.consortia.get(consortium_id, set())
        return {self._state.bought.payers[member] for member in members}

    def licences(
        self, *, scope: Scope | None = None, order_number: str | None = None
    ) -> Sequence[Licence]:
        """Licences of one scope, of one order, or all, in the order of their beginning."""
        lines = self._lines_of(order_number)
        found = (
            one
            for one in self._state.bought.licences
            if scope in {None, one.scope} and (lines is None or one.order_line_id in lines)
        )
        return sorted(found, key=lambda one: (one.starts_at, one.id))

    def services(
        self, *, account_id: int | None = None, order_number: str | None = None
    ) -> Sequence[BoughtService]:
        """Services of one account, of one order, or all, as credited."""
        lines = self._lines_of(order_number)
        return [
            one
            for one in self._state.bought.services
            if account_id in {None, one.account_id}
            and (lines is None or one.order_line_id in lines)
        ]

    def _lines_of(self, order_number: str | None) -> Set[int] | None:
        if order_number is None:
            return None
        return {line.id for line in self._state.orders[order_number].lines}


class MemoryBoughtWork(MemoryBoughtView):
    """A part of `MemoryWork`, which holds the one lock already."""

    def enrol(self, institution_id: int, *, account_id: int, consortium_id: int | None) -> None:
        """Note who pays for an institution, and of which consortium it is a member, if any.

        Beyond the contract: on SQL these are the registers.
        """
        self._state.bought.payers[institution_id] = account_id
        if consortium_id is not None:
            self._state.bought.consortia.setdefault(consortium_id, set()).add(institution_id)

    def lock_order(self, number: str) -> None:
        """Lock an order, before all else: two deliveries of it come one after the other."""
        assert number in self._state.orders

    def lock_scope(self, scope: Scope) -> None:
        """Lock whose licences are to change, before any meter, in the order of `lock_key`."""
        known = self._state.bought
        assert scope.institution_id in known.payers or scope.consortium_id in known.consortia

    def add_licence(
        self, *, order: Order, line: OrderLine, scope: Scope, credited_at: Instant, term: Validity
    ) -> Licence:
        """Insert a licence; refuses one that overlaps another of its scope and feature."""
        licences = self._state.bought.licences
        assert order.paid_at is not None
        assert all(one.order_line_id != line.id for one in licences), "one licence per line"
        added = Licence(
            id=len(licences) + 1,
            order_line_id=line.id,
            account_id=order.account_id,
            scope=scope,
            feature=line.meter.removeprefix(LICENCE_PREFIX),
            purchased_at=order.paid_at,
            credited_at=credited_at,
            starts_at=term.effective_at,
            ends_at=term.expires_at,
        )
        assert not any(overlapping(one, added) for one in licences), "terms overlap"
        licences.append(added)
        return added

    def revoke_licence(self, licence_id: int, *, revoked_at: Instant) -> None:
        """Note the revocation."""
        licences = self._state.bought.licences
        assert licences[licence_id - 1].revoked_at is None, "a licence is revoked once"
        licences[licence_id - 1] = replace(licences[licence_id - 1], revoked_at=revoked_at)

    def add_service(
        self, *, order: Order, line: OrderLine, credited_at: Instant, ends_at: Instant
    ) -> BoughtService:
        """Insert a service, of the institution that the order names."""
        services = self._state.bought.services
        assert order.paid_at is not None and order.institution_id is not None
        assert all(one.order_line_id != line.id for one in services), "one service per line"
        added = BoughtService(
            id=len(services) + 1,
            order_line_id=line.id,
            account_id=order.account_id,
            institution_id=order.institution_id,
            kind=ServiceKind(line.meter.removeprefix(SERVICE_PREFIX)),
            purchased_at=order.paid_at,
            credited_at=credited_at,
            ends_at=ends_at,
        )
        services.append(added)
        return added

    def end_service(
        self,
        service_id: int,
        *,
        accepted_at: Instant | None = None,
        cancelled_at: Instant | None = None,
    ) -> None:
        """Note that the customer accepted it, or that it was cancelled."""
        services = self._state.bought.services
        known = services[service_id - 1]
        services[service_id - 1] = replace(
            known,
            accepted_at=accepted_at or known.accepted_at,
            cancelled_at=cancelled_at or known.cancelled_at,
        )

    def tell(self, notice: Notice) -> None:
        """Put a notice that is no meter's into the outbox, once per key (§10)."""
        self._state.notices.setdefault(notice.key, notice)
