"""One snapshot of the ledger in memory, and the state behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from quota.account import Account
from quota.action import Action
from quota.errors import UnknownAccount
from quota.facts import (
    Charged,
)
from quota.hold import Hold, HoldState
from quota.ledger import Meter, Posting
from quota.notice import Notice
from quota.order import Order, OrderState
from quota.package import Package
from quota.time import Clock, Instant
from storage.memory_bought import Bought, MemoryBoughtView


@dataclass(kw_only=True, slots=True)
class MemoryState:
    """The whole ledger. Ids are positions counted from 1; all values are immutable."""

    accounts: list[Account] = field(default_factory=list)
    orders: dict[str, Order] = field(default_factory=dict)
    lines: int = 0
    meters: dict[tuple[int, str], Meter] = field(default_factory=dict)
    packages: list[Package] = field(default_factory=list)
    charges: dict[str, Charged] = field(default_factory=dict)
    owed: dict[int, list[str]] = field(default_factory=dict)
    """By meter: the examinations that are owed, the oldest first."""
    journal: list[tuple[int, Posting]] = field(default_factory=list)
    holds: dict[tuple[int, str], Hold] = field(default_factory=dict)
    """By meter and key."""
    notices: dict[str, Notice] = field(default_factory=dict)
    actions: list[Action] = field(default_factory=list)
    bought: Bought = field(default_factory=Bought)

    def copy(self) -> MemoryState:
        """A state that can be changed without touching this one."""
        return MemoryState(
            accounts=list(self.accounts),
            orders=dict(self.orders),
            lines=self.lines,
            meters=dict(self.meters),
            packages=list(self.packages),
            charges=dict(self.charges),
            owed={meter_id: list(ids) for meter_id, ids in self.owed.items()},
            journal=list(self.journal),
            holds=dict(self.holds),
            notices=dict(self.notices),
            actions=list(self.actions),
            bought=self.bought.copy(),
        )


class MemoryView(MemoryBoughtView):
    """One snapshot of the ledger."""

    def __init__(self, state: MemoryState, clock: Clock) -> None:
        self._state = state
        self._clock = clock

    def clock(self) -> Instant:
        """The ledger's clock."""
        return self._clock()

    def account(self, account_id: int) -> Account:
        """The account; raises UnknownAccount."""
        if not 0 < account_id <= len(self._state.accounts):
            raise UnknownAccount(account_id=account_id)
        return self._state.accounts[account_id - 1]

    def accounts(self) -> Sequence[Account]:
        """Every account, by name."""
        return sorted(self._state.accounts, key=lambda account: account.name)

    def meter(self, account_id: int, name: str) -> Meter | None:
        """The meter as last booked, or None where nothing was ever booked."""
        return self._state.meters.get((account_id, name))

    def due_packages(self, meter_id: int, at: Instant) -> Sequence[Package]:
        """Packages not ended of which the beginning or the end has passed and is not booked."""
        due = (
            package
            for package in self._state.packages
            if package.meter_id == meter_id
            and package.ended_at is None
            and (
                package.expired(at) or (package.activated_at is None and package.effective_at <= at)
            )
        )
        return sorted(due, key=lambda package: package.burn_key)

    def package(self, package_id: int) -> Package | None:
        """One package."""
        known = self._state.packages
        return known[package_id - 1] if 0 < package_id <= len(known) else None

    def packages(self, account_id: int) -> Sequence[Package]:
        """Every package of the account in the order of crediting."""
        meters = {
            meter.id for (owner, _), meter in self._state.meters.items() if owner == account_id
        }
        return [package for package in self._state.packages if package.meter_id in meters]

    def charge(self, examination_id: str) -> Charged | None:
        """The standing (funded or owed) charge of an examination."""
        return self._state.charges.get(examination_id)

    def oldest_owed(self, meter_id: int) -> Charged | None:
        """The charge that has been owed for longest."""
        owed = self._state.owed.get(meter_id)
        return self._state.charges[owed[0]] if owed else None

    def packages_ending(self, meter_id: int, after: Instant, until: Instant) -> Sequence[Package]:
        """Packages not ended whose expiry lies in after < expires_at <= until."""
        ending = (
            package
            for package in self._state.packages
            if package.meter_id == meter_id
            and package.ended_at is None
            and package.expires_at is not None
            and after < package.expires_at <= until
        )
        return sorted(ending, key=lambda package: package.burn_key)

    def packages_of_order(self, number: str, meter_id: int) -> Sequence[Package]:
        """What an order became on one meter, in burn order."""
        lines = {line.id for line in self._state.orders[number].lines}
        found = (
            package
            for package in self._state.packages
            if package.meter_id == meter_id and package.order_line_id in lines
        )
        return sorted(found, key=lambda package: package.burn_key)

    def unlimited_package(self, meter_id: int, at: Instant) -> Package | None:
        """The first unlimited package that is active at `at`."""
        active = (
            package
            for package in self._state.packages
            if package.meter_id == meter_id
            and package.unlimited
            and package.ended_at is None
            and package.effective_at <= at
            and not package.expired(at)
        )
        return next(active, None)

    def notices(self) -> Sequence[Notice]:
        """What was to be told, the oldest first."""
        return list(self._state.notices.values())

    def actions(self) -> Sequence[Action]:
        """What operators did, the oldest first."""
        return list(self._state.actions)

    def hold(self, meter_id: int, key: str) -> Hold | None:
        """The hold of that client's key."""
        known = self._state.holds.get((meter_id, key))
        return None if known is None else self._with_packages(known)

    def due_holds(self, meter_id: int, at: Instant) -> Sequence[Hold]:
        """Pending holds whose time is over."""
        due = (
            self._with_packages(hold)
            for (owner, _), hold in self._state.holds.items()
            if owner == meter_id and hold.state is HoldState.PENDING and hold.expired(at)
        )
        return sorted(due, key=lambda hold: (hold.expires_at, hold.key))

    def _with_packages(self, hold: Hold) -> Hold:
        """Its packages as they are now, not as they were when it was placed."""
        shares = tuple(
            replace(share, package=self._state.packages[share.package.id - 1])
            for share in hold.shares
        )
        return replace(hold, shares=shares)

    def order(self, number: str) -> Order | None:
        """The order with its lines."""
        return self._state.orders.get(number)

    def orders(self, account_id: int | None = None) -> Sequence[Order]:
        """Orders of one account or of all, in the order of placing."""
        return [
            order
            for order in self._state.orders.values()
            if account_id is None or order.account_id == account_id
        ]

    def orders_to_credit(self) -> Sequence[str]:
        """Numbers of the orders that are paid and not credited, oldest payment first."""
        waiting = [order for order in self._state.orders.values() if order.state == OrderState.PAID]
        # Sorting is stable: equal payments stay in the order of placing.
        return [order.number for order in sorted(waiting, key=lambda order: order.paid_at or 0)]

    def postings(self, account_id: int, name: str) -> Sequence[Posting]:
        """The journal of one meter, the oldest first. Beyond the contract, for inspection."""
        meter = self.meter(account_id, name)
        return [posting for owner, posting in self._state.journal if meter and owner == meter.id]
