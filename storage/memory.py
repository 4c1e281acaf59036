"""The in-memory side of `quota.ports`: the contract in plain Python, for trials and for tests.

A transaction works on a copy of the ledger and a commit swaps it in, under one lock. Nothing
survives the process.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from quota.account import Account, Plan
from quota.book import (
    Charged,
    EpisodeClosed,
    EpisodeOpened,
    Fact,
    OwedSettled,
    PackageEnded,
    Posted,
)
from quota.errors import UnknownAccount
from quota.ledger import Meter, Posting
from quota.order import Order, OrderLine, OrderRequest, OrderState
from quota.package import Package
from quota.time import Clock, Instant


@dataclass(kw_only=True, slots=True)
class _State:
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

    def copy(self) -> _State:
        """A state that can be changed without touching this one."""
        return _State(
            accounts=list(self.accounts),
            orders=dict(self.orders),
            lines=self.lines,
            meters=dict(self.meters),
            packages=list(self.packages),
            charges=dict(self.charges),
            owed={meter_id: list(ids) for meter_id, ids in self.owed.items()},
            journal=list(self.journal),
        )


class MemoryLedger:
    """`quota.ports.Ledger` in memory. `clock` is the ledger's clock, read after the lock."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._writers = threading.Lock()
        self._state = _State()

    @contextmanager
    def read(self) -> Iterator[MemoryView]:
        """Open a snapshot."""
        yield MemoryView(self._state, self.clock)

    @contextmanager
    def begin(self) -> Iterator[MemoryWork]:
        """Begin a transaction; it rolls back unless committed."""
        with self._writers:
            yield MemoryWork(self)


class MemoryView:
    """One snapshot of the ledger."""

    def __init__(self, state: _State, clock: Clock) -> None:
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
        """Packages not ended with expires_at <= at, in burn order."""
        return sorted(
            (
                package
                for package in self._state.packages
                if package.meter_id == meter_id and package.ended_at is None and package.expired(at)
            ),
            key=lambda package: package.burn_key,
        )

    def packages(self, account_id: int) -> Sequence[Package]:
        """Every package of the account in the order of crediting."""
        meters = {
            meter.id for (owner, _), meter in self._state.meters.items() if owner == account_id
        }
        return [package for package in self._state.packages if package.meter_id in meters]

    def charge(self, examination_id: str) -> Charged | None:
        """The standing (funded or owed) charge of an examination."""
        return self._state.charges.get(examination_id)

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


class MemoryWork(MemoryView):
    """A transaction. It rolls back unless `commit()` was called."""

    def __init__(self, ledger: MemoryLedger) -> None:
        super().__init__(ledger._state.copy(), ledger.clock)  # noqa: SLF001  # its other half
        self._ledger = ledger

    def commit(self) -> None:
        """Make it the ledger's state; what is done after this is another transaction."""
        self._ledger._state = self._state  # noqa: SLF001  # its other half
        self._state = self._state.copy()

    def add_account(
        self, *, name: str, plan: Plan, agreement_no: str, timezone: str
    ) -> Account | None:
        """Insert an account; None where the name is taken."""
        if any(account.name == name for account in self._state.accounts):
            return None
        account = Account(
            id=len(self._state.accounts) + 1,
            name=name,
            plan=plan,
            agreement_no=agreement_no,
            timezone=timezone,
            created_at=self.clock(),
            closed_at=None,
        )
        self._state.accounts.append(account)
        return account

    def lock_meter(self, account_id: int, name: str) -> Meter:
        """Lock the meter, created if need be; T is to be taken after this (TIME-1)."""
        # One lock for the whole ledger is held already.
        new_id = len(self._state.meters) + 1
        new = Meter(id=new_id, account_id=account_id, name=name, last_at=0)
        return self._state.meters.setdefault((account_id, name), new)

    def burn_head(self, meter_id: int, at: Instant, limit: int) -> Sequence[Package]:
        """The first `limit` packages in burn order that are unexpired with units left."""
        usable = (
            package
            for package in self._state.packages
            if package.meter_id == meter_id
            and package.remaining > 0
            and package.effective_at <= at
            and not package.expired(at)
        )
        return sorted(usable, key=lambda package: package.burn_key)[:limit]

    def add_package(
        self,
        *,
        meter: Meter,
        order_line_id: int,
        quantity: int,
        purchased_at: Instant,
        credited_at: Instant,
        expires_at: Instant | None,
        storage_years: int,
    ) -> Package:
        """Insert a package with nothing remaining; the credit's posting fills it."""
        assert all(known.order_line_id != order_line_id for known in self._state.packages)
        package = Package(
            id=len(self._state.packages) + 1,
            meter_id=meter.id,
            order_line_id=order_line_id,
            quantity=quantity,
            remaining=0,
            purchased_at=purchased_at,
            effective_at=credited_at,
            expires_at=expires_at,
            credited_at=credited_at,
            storage_years=storage_years,
            voided_at=None,
            ended_at=None,
        )
        self._state.packages.append(package)
        return package

    def record(self, meter: Meter, facts: Sequence[Fact]) -> None:
        """Persist what a book decided: the journal, and the meter as it now stands."""
        for fact in facts:
            match fact:
                case Posted(posting=posting):
                    self._add_posting(meter, posting)
                case Charged():
                    self._add_charge(meter, fact)
                case OwedSettled():
                    self._settle(meter, fact)
                case PackageEnded(package_id=package_id, ended_at=ended_at):
                    package = self._state.packages[package_id - 1]
                    self._state.packages[package_id - 1] = replace(package, ended_at=ended_at)
                case EpisodeOpened() | EpisodeClosed():
                    pass  # the meter, saved below, carries its open episode
        self._state.meters[(meter.account_id, meter.name)] = meter

    def _add_posting(self, meter: Meter, posting: Posting) -> None:
        self._state.journal.append((meter.id, posting))
        for entry in posting.entries:
            if entry.package_id is not None:
                package = self._state.packages[entry.package_id - 1]
                self._state.packages[entry.package_id - 1] = replace(
                    package, remaining=package.remaining + entry.amount
                )

    def _add_charge(self, meter: Meter, charged: Charged) -> None:
        assert charged.examination_id not in self._state.charges, "one standing charge"
        self._state.charges[charged.examination_id] = charged
        if charged.package_id is None:
            self._state.owed.setdefault(meter.id, []).append(charged.examination_id)

    def _settle(self, meter: Meter, settled: OwedSettled) -> None:
        owed = self._state.owed.get(meter.id, [])
        assert len(owed) >= settled.count, "owed charges and ARREARS differ"
        for examination_id in owed[: settled.count]:
            charged = self._state.charges[examination_id]
            self._state.charges[examination_id] = replace(charged, package_id=settled.package_id)
        del owed[: settled.count]

    def add_order(self, request: OrderRequest, *, placed_at: Instant) -> Order | None:
        """Insert an order and its lines; None where the number has been taken meanwhile."""
        if request.number in self._state.orders:
            return None
        first_id = self._state.lines + 1
        self._state.lines += len(request.lines)
        order = Order(
            number=request.number,
            account_id=request.account_id,
            fingerprint=request.fingerprint,
            placed_at=placed_at,
            paid_at=None,
            credited_at=None,
            lines=tuple(
                OrderLine(
                    id=line_id,
                    meter=line.meter,
                    quantity=line.quantity,
                    storage_years=line.storage_years,
                )
                for line_id, line in enumerate(request.lines, start=first_id)
            ),
        )
        self._state.orders[request.number] = order
        return order

    def mark_paid(self, number: str, *, paid_at: Instant) -> None:
        """Note the payment, unless one is noted."""
        order = self._state.orders[number]
        if order.paid_at is None:
            self._state.orders[number] = replace(order, paid_at=paid_at)

    def mark_credited(self, number: str, *, credited_at: Instant) -> None:
        """Note that every line became a package."""
        self._state.orders[number] = replace(self._state.orders[number], credited_at=credited_at)
