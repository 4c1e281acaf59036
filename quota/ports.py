"""What quota needs from the outside. A store implements these; `storage` ships two of them.

`View` is one consistent snapshot. `Work` is one state-changing transaction: it rolls back unless
`commit()` was called, and it may be run again after a COMMIT of unknown outcome, since every
operation finds its first attempt by its key (§9).
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from quota.account import Account, Plan
from quota.action import Action
from quota.facts import Charged, Fact
from quota.hold import Hold
from quota.ledger import Meter
from quota.licence import Licence, Scope
from quota.notice import Notice
from quota.order import Order, OrderLine, OrderRequest, Validity
from quota.package import Package
from quota.service_term import BoughtService
from quota.time import Instant


@dataclass(frozen=True, kw_only=True, slots=True)
class Funding:
    """What bears on one examination's admission at an instant, on its meter."""

    due: Sequence[Package]
    """As `View.due_packages` says."""
    head: Package | None
    """The first package in burn order that is unexpired with units left."""
    charge: Charged | None
    """The standing charge that the examination has already."""
    payer: Package | None
    """The package that funds `charge`; None where it is owed."""


class View(Protocol):
    """Reads in one snapshot."""

    def clock(self) -> Instant:
        """The ledger's clock."""
        ...

    def account(self, account_id: int) -> Account:
        """The account; raises UnknownAccount."""
        ...

    def accounts(self) -> Sequence[Account]:
        """Every account, by name."""
        ...

    def meter(self, account_id: int, name: str) -> Meter | None:
        """The meter as last booked, or None where nothing was ever booked."""
        ...

    def due_packages(self, meter_id: int, at: Instant) -> Sequence[Package]:
        """Packages not ended of which the beginning or the end has passed and is not booked."""
        ...

    def package(self, package_id: int) -> Package | None:
        """One package."""
        ...

    def packages(self, account_id: int) -> Sequence[Package]:
        """Every package of the account in the order of crediting."""
        ...

    def charge(self, examination_id: str) -> Charged | None:
        """The standing (funded or owed) charge of an examination."""
        ...

    def oldest_owed(self, meter_id: int) -> Charged | None:
        """The charge that has been owed for longest."""
        ...

    def packages_ending(self, meter_id: int, after: Instant, until: Instant) -> Sequence[Package]:
        """Packages not ended whose expiry lies in after < expires_at <= until."""
        ...

    def packages_of_order(self, number: str, meter_id: int) -> Sequence[Package]:
        """What an order became on one meter, in burn order."""
        ...

    def unlimited_package(self, meter_id: int, at: Instant) -> Package | None:
        """The first unlimited package that is active at `at`."""
        ...

    def hold(self, meter_id: int, key: str) -> Hold | None:
        """The hold of that client's key."""
        ...

    def due_holds(self, meter_id: int, at: Instant) -> Sequence[Hold]:
        """Pending holds whose time is over."""
        ...

    def notices(self) -> Sequence[Notice]:
        """What was to be told, the oldest first."""
        ...

    def actions(self) -> Sequence[Action]:
        """What operators did, the oldest first."""
        ...

    def order(self, number: str) -> Order | None:
        """The order with its lines."""
        ...

    def orders(self, account_id: int | None = None) -> Sequence[Order]:
        """Orders of one account or of all, in the order of placing."""
        ...

    def orders_to_credit(self) -> Sequence[str]:
        """Numbers of the orders that are paid and not credited, oldest payment first."""
        ...

    def payer_of(self, institution_id: int) -> int | None:
        """The account that pays for an institution; None for an unknown one."""
        ...

    def consortia_of(self, institution_id: int) -> Sequence[int]:
        """The consortia of which an institution is a member."""
        ...

    def payers_of(self, consortium_id: int) -> Set[int]:
        """The accounts of a consortium: its own, and those that pay for its members."""
        ...

    def licences(
        self, *, scope: Scope | None = None, order_number: str | None = None
    ) -> Sequence[Licence]:
        """Licences of one scope, of one order, or all, in the order of their beginning."""
        ...

    def services(
        self, *, account_id: int | None = None, order_number: str | None = None
    ) -> Sequence[BoughtService]:
        """Services of one account, of one order, or all, as credited."""
        ...


class Work(View, Protocol):
    """One state-changing transaction."""

    def add_account(
        self, *, name: str, plan: Plan, agreement_no: str, timezone: str
    ) -> Account | None:
        """Insert an account; None where the name is taken."""
        ...

    def lock_meter(self, account_id: int, name: str) -> tuple[Meter, Instant]:
        """Lock the meter, created if need be; the clock as read once it was locked (TIME-1)."""
        ...

    def funding(self, meter_id: int, examination_id: str, at: Instant) -> Funding:
        """All that an admission asks of packages and charges, in one question.

        Everybody on the account waits while its meter is locked: one round trip, not three.
        """
        ...

    def burn_head(self, meter_id: int, at: Instant, limit: int) -> Sequence[Package]:
        """The first `limit` packages in burn order that are unexpired with units left.

        n units never need more than n packages, so a charge of n asks for n.
        """
        ...

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
        ...

    def record(self, meter: Meter, facts: Sequence[Fact]) -> None:
        """Persist what a book decided: the journal, and the meter as it now stands."""
        ...

    def add_order(self, request: OrderRequest, *, placed_at: Instant) -> Order | None:
        """Insert an order and its lines; None where the number has been taken meanwhile."""
        ...

    def mark_paid(self, number: str, *, paid_at: Instant) -> None:
        """Note the payment, unless one is noted."""
        ...

    def mark_credited(self, number: str, *, credited_at: Instant) -> None:
        """Note that every line became a package."""
        ...

    def mark_voided(self, number: str, *, voided_at: Instant) -> None:
        """Note that the order was taken back."""
        ...

    def close_account(self, account_id: int, *, closed_at: Instant) -> None:
        """Note that the account is closed."""
        ...

    def set_arrears_cap(self, account_id: int, cap: int | None) -> None:
        """Set or lift the account's cap on arrears."""
        ...

    def note_action(self, *, actor: str, action: str, subject: str, reason: str) -> None:
        """Journal what an operator did, with who and why (STATE-6)."""
        ...

    def lock_order(self, number: str) -> None:
        """Lock an order, before all else: two deliveries of it come one after the other."""
        ...

    def lock_scope(self, scope: Scope) -> None:
        """Lock whose licences are to change, before any meter, in the order of `lock_key`."""
        ...

    def add_licence(
        self, *, order: Order, line: OrderLine, scope: Scope, credited_at: Instant, term: Validity
    ) -> Licence:
        """Insert a licence; refuses one that overlaps another of its scope and feature."""
        ...

    def revoke_licence(self, licence_id: int, *, revoked_at: Instant) -> None:
        """Note the revocation."""
        ...

    def add_service(
        self, *, order: Order, line: OrderLine, credited_at: Instant, ends_at: Instant
    ) -> BoughtService:
        """Insert a service, of the institution that the order names."""
        ...

    def end_service(
        self,
        service_id: int,
        *,
        accepted_at: Instant | None = None,
        cancelled_at: Instant | None = None,
    ) -> None:
        """Note that the customer accepted it, or that it was cancelled."""
        ...

    def tell(self, notice: Notice) -> None:
        """Put a notice that is no meter's into the outbox, once per key (§10)."""
        ...

    def commit(self) -> None:
        """Make it durable. Without this call the transaction rolls back."""
        ...


class Ledger(Protocol):
    """Where views and works come from."""

    def read(self) -> AbstractContextManager[View]:
        """Open a snapshot."""
        ...

    def begin(self) -> AbstractContextManager[Work]:
        """Begin a transaction."""
        ...
