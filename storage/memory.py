"""The in-memory side of `quota.ports`: the contract in plain Python, for trials and for tests.

A transaction works on a copy of the ledger and a commit swaps it in, under one lock. Nothing
survives the process.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from quota.account import Account, Plan
from quota.action import Action
from quota.facts import (
    Charged,
    ChargeReversed,
    EpisodeClosed,
    EpisodeMoved,
    EpisodeOpened,
    Fact,
    HoldPlaced,
    HoldSettled,
    LevelMoved,
    NoticeRaised,
    OwedSettled,
    OwedWrittenOff,
    PackageActivated,
    PackageEnded,
    Posted,
)
from quota.hold import HoldState
from quota.ledger import LedgerAccount, Meter, Posting
from quota.order import Order, OrderLine, OrderRequest, Validity
from quota.package import Package
from quota.ports import Funding
from quota.time import Clock, Instant
from storage.memory_bought import MemoryBoughtWork
from storage.memory_view import MemoryState, MemoryView


class MemoryLedger:
    """`quota.ports.Ledger` in memory. `clock` is the ledger's clock, read after the lock."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._writers = threading.Lock()
        self._state = MemoryState()

    @contextmanager
    def read(self) -> Iterator[MemoryView]:
        """Open a snapshot."""
        yield MemoryView(self._state, self.clock)

    @contextmanager
    def begin(self) -> Iterator[MemoryWork]:
        """Begin a transaction; it rolls back unless committed."""
        with self._writers:
            yield MemoryWork(self)


class MemoryWork(MemoryBoughtWork, MemoryView):
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

    def lock_meter(self, account_id: int, name: str) -> tuple[Meter, Instant]:
        """Lock the meter, created if need be; the clock as read once it was locked (TIME-1)."""
        # One lock for the whole ledger is held already.
        new_id = len(self._state.meters) + 1
        new = Meter(id=new_id, account_id=account_id, name=name, last_at=0)
        return self._state.meters.setdefault((account_id, name), new), self.clock()

    def funding(self, meter_id: int, examination_id: str, at: Instant) -> Funding:
        """All that an admission asks of packages and charges."""
        charge = self.charge(examination_id)
        paid_by = None if charge is None else charge.package_id
        return Funding(
            due=self.due_packages(meter_id, at),
            head=next(iter(self.burn_head(meter_id, at, limit=1)), None),
            charge=charge,
            payer=None if paid_by is None else self.package(paid_by),
        )

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
        line: OrderLine,
        purchased_at: Instant,
        credited_at: Instant,
        validity: Validity,
    ) -> Package:
        """Insert a package with nothing remaining; the credit's posting fills it."""
        assert all(known.order_line_id != line.id for known in self._state.packages)
        package = Package(
            id=len(self._state.packages) + 1,
            meter_id=meter.id,
            order_line_id=line.id,
            quantity=line.quantity,
            remaining=0,
            purchased_at=purchased_at,
            effective_at=validity.effective_at,
            activated_at=None,
            expires_at=validity.expires_at,
            credited_at=credited_at,
            storage_years=line.storage_years,
            voided_at=None,
            ended_at=None,
            unlimited=line.quantity == 0,
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
                case PackageActivated(package_id=package_id, activated_at=activated_at):
                    package = self._state.packages[package_id - 1]
                    changed = replace(package, activated_at=activated_at)
                    self._state.packages[package_id - 1] = changed
                case PackageEnded(package_id=package_id, ended_at=ended_at, voided=voided):
                    package = self._state.packages[package_id - 1]
                    gone_at = ended_at if voided else package.voided_at
                    self._state.packages[package_id - 1] = replace(
                        package, ended_at=ended_at, voided_at=gone_at
                    )
                case EpisodeOpened() | EpisodeClosed() | EpisodeMoved() | LevelMoved():
                    pass  # the meter, saved below, carries its open episode and its level
                case _:
                    self._record_rare(meter, fact)
        self._state.meters[(meter.account_id, meter.name)] = meter

    def _record_rare(self, meter: Meter, fact: Fact) -> None:
        match fact:
            case NoticeRaised(notice=notice):
                self._state.notices.setdefault(notice.key, notice)
            case HoldPlaced(hold=hold):
                assert (meter.id, hold.key) not in self._state.holds
                self._state.holds[(meter.id, hold.key)] = hold
            case HoldSettled(hold_key=key, state=state, posted=posted, settled_at=settled_at):
                hold = self._state.holds[(meter.id, key)]
                assert hold.state is HoldState.PENDING, "a hold ends once"
                self._state.holds[(meter.id, key)] = replace(
                    hold, state=state, posted=posted, settled_at=settled_at
                )
            case ChargeReversed(examination_id=examination_id):
                charged = self._state.charges.pop(examination_id)
                if charged.package_id is None:
                    self._state.owed[meter.id].remove(examination_id)
            case OwedWrittenOff(count=count):
                owed = self._state.owed[meter.id]
                assert len(owed) >= count, "owed charges and ARREARS differ"
                for examination_id in owed[:count]:
                    del self._state.charges[examination_id]
                del owed[:count]
            case _:
                raise AssertionError(f"nobody keeps {type(fact).__name__}")

    def _add_posting(self, meter: Meter, posting: Posting) -> None:
        self._state.journal.append((meter.id, posting))
        for entry in posting.entries:
            if entry.account is LedgerAccount.PACKAGE and entry.package_id is not None:
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
                    years=line.years,
                    renews_package_id=line.renews_package_id,
                    months=line.months,
                    consortium_id=line.consortium_id,
                    renews_licence_id=line.renews_licence_id,
                )
                for line_id, line in enumerate(request.lines, start=first_id)
            ),
            institution_id=request.institution_id,
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

    def mark_voided(self, number: str, *, voided_at: Instant) -> None:
        """Note that the order was taken back."""
        self._state.orders[number] = replace(self._state.orders[number], voided_at=voided_at)

    def close_account(self, account_id: int, *, closed_at: Instant) -> None:
        """Note that the account is closed."""
        account = self.account(account_id)
        self._state.accounts[account_id - 1] = replace(account, closed_at=closed_at)

    def set_arrears_cap(self, account_id: int, cap: int | None) -> None:
        """Set or lift the account's cap on arrears."""
        account = self.account(account_id)
        self._state.accounts[account_id - 1] = replace(account, arrears_cap=cap)

    def note_action(self, *, actor: str, action: str, subject: str, reason: str) -> None:
        """Journal what an operator did, with who and why (STATE-6)."""
        act = Action(
            acted_at=self.clock(), actor=actor, action=action, subject=subject, reason=reason
        )
        self._state.actions.append(act)
