"""What quota.md says, in plain lists: a model that shares no code with the engine it judges.

It never books an expiry, keeps no balance and no status: every answer is counted out of the lists
at the instant of asking. Only hospitals at a fixed distance from UTC live here; what clocks do at
midnight elsewhere is `tests/quota/test_time.py`'s affair.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

# tidy: long because a model in two files would have to be believed twice
DAY = 86_400_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Order:
    """One order line sold, and how far it has come."""

    account: int
    units: int
    paid: int | None = None
    credited: int | None = None
    voided: bool = False


@dataclass
class Package:
    """What an order became. `spent` counts units used by examinations, paid off or charged."""

    order: str
    units: int
    expires: int
    credited: int
    spent: int = 0
    seen_to_end: bool = False
    voided: int | None = None

    def left(self) -> int:
        """What was never used, or came back; expired or not."""
        return self.units - self.spent

    def ended(self, at: int) -> bool:
        """Whether it is of no use any more."""
        return self.voided is not None or at >= self.expires


@dataclass
class Charge:
    """One charge; `package` is the index of what paid for it."""

    exam: str
    account: int
    at: int
    package: int | None
    state: str


@dataclass
class Answer:
    """What is to be read off an account."""

    status: str
    available: int
    used: int
    owed: int
    purchased: int
    expired: int
    voided: int
    written_off: int
    since: int | None
    deadline: int | None


@dataclass
class Hospital:
    """One account: hours east of UTC, its packages, its last instant, since when it owes."""

    hours: int
    packages: list[Package] = field(default_factory=list)
    last: int = 0
    since: int | None = None
    deadline: int | None = None
    cap: int | None = None
    closed: bool = False

    def instant(self, now: int) -> int:
        """TIME-1."""
        return now if now > self.last else self.last + 1


@dataclass
class Reference:
    """The whole world."""

    hospitals: dict[int, Hospital] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    charges: list[Charge] = field(default_factory=list)
    """In the order of charging; an examination may be charged again after a reversal."""

    # -- orders ------------------------------------------------------------------------------------

    def place(self, number: str, account: int, units: int) -> bool:
        """Place an order; whether it stands: known with the same content, or sellable and new."""
        known = self.orders.get(number)
        if known is not None:
            return (known.account, known.units) == (account, units)
        if units < 1_000 or units % 1_000 != 0 or self.hospitals[account].closed:
            return False
        self.orders[number] = Order(account=account, units=units)
        return True

    def pay(self, number: str, now: int) -> None:
        """The first payment counts; what was voided is not paid for."""
        order = self.orders[number]
        if order.paid is None and not order.voided:
            order.paid = now

    def credit(self, number: str, now: int) -> None:
        """A paid order becomes a package, once, and the oldest debts are paid from it."""
        order = self.orders[number]
        if order.paid is None or order.credited is not None or order.voided:
            return
        hospital = self.hospitals[order.account]
        at = self._open(hospital, now)
        expires = self._end_of_anniversary(order.paid, hospital.hours)
        package = Package(order=number, units=order.units, expires=expires, credited=at)
        hospital.packages.append(package)
        order.credited = at
        if at >= expires:
            package.seen_to_end = True
        else:
            self._pay_debts(order.account, len(hospital.packages) - 1, package.units)
        self._stop_clock(order.account)

    def void(self, number: str, now: int) -> None:
        """What is left of an order is gone; one not credited yet never will be."""
        order = self.orders[number]
        if order.voided:
            return
        hospital = self.hospitals[order.account]
        at = self._open(hospital, now)
        order.voided = True
        for package in hospital.packages:
            if package.order == number and not package.ended(at):
                package.voided = at

    def waiting(self) -> list[str]:
        """Orders paid and not credited, by payment; equal ones as placed."""
        found = [
            (order.paid, index, number)
            for index, (number, order) in enumerate(self.orders.items())
            if order.paid is not None and order.credited is None and not order.voided
        ]
        return [number for _, _, number in sorted(found)]

    # -- examinations ------------------------------------------------------------------------------

    def standing(self, name: str) -> Charge | None:
        """The funded or owed charge of an examination."""
        for charge in self.charges:
            if charge.exam == name and charge.state in {"funded", "owed"}:
                return charge
        return None

    def admit(self, name: str, account: int, now: int) -> str:
        """Known, refused, or admitted as funded or owed."""
        if self.standing(name) is not None:
            return "known"
        return self.admit_each([name], account, now)[0]

    def admit_each(self, names: list[str], account: int, now: int) -> list[str]:
        """New ones in one transaction, which has one instant: each refused, funded or owed."""
        at = self.hospitals[account].instant(now)
        return [self._admit_at(at, name, account) for name in names]

    def _admit_at(self, at: int, name: str, account: int) -> str:
        hospital = self.hospitals[account]
        if self._status(account, at) in {"closed", "unprovisioned", "suspended"}:
            return "refused"
        if hospital.last < at:
            self._open(hospital, at)
        funder = self._first_to_expire(hospital, at)
        state = "owed" if funder is None else "funded"
        self.charges.append(Charge(exam=name, account=account, at=at, package=funder, state=state))
        if funder is not None:
            hospital.packages[funder].spent += 1
        elif hospital.since is None:
            hospital.since, hospital.deadline = at, at + DAY
        return state

    def reverse(self, name: str, account: int, now: int, *, never_stored: bool) -> bool:
        """Take the standing charge back, if there is one; its unit goes where its package is."""
        charge = self.standing(name)
        if charge is None:
            return False
        hospital = self.hospitals[account]
        at = self._open(hospital, now)
        charge.state = "reversed"
        if charge.package is not None:
            package = hospital.packages[charge.package]
            package.spent -= 1
            if not package.ended(at):
                self._pay_debts(account, charge.package, 1)
        self._stop_clock(account)
        if never_stored and hospital.since is not None and hospital.deadline is not None:
            hospital.since = max(hospital.since, self._owed(account)[0].at)
            hospital.deadline = max(hospital.deadline, hospital.since + DAY)
        return True

    # -- an operator -------------------------------------------------------------------------------

    def write_off(self, account: int, units: int, now: int) -> bool:
        """The oldest debts are forgiven, if there are that many."""
        owed = self._owed(account)
        if not 1 <= units <= len(owed):
            return False
        self._open(self.hospitals[account], now)
        for charge in owed[:units]:
            charge.state = "written_off"
        self._stop_clock(account)
        return True

    def extend(self, account: int, until: int, now: int) -> bool:
        """A later deadline, a year at most."""
        hospital = self.hospitals[account]
        at = hospital.instant(now)
        if hospital.deadline is None or not hospital.deadline < until <= at + 366 * DAY:
            return False
        self._open(hospital, now)
        hospital.deadline = until
        return True

    def close(self, account: int, now: int) -> None:
        """No further examinations."""
        hospital = self.hospitals[account]
        if not hospital.closed:
            self._open(hospital, now)
            hospital.closed = True

    def sweep(self, account: int, now: int) -> bool:
        """Book what has passed; whether there was anything. It changes the last instant only."""
        hospital = self.hospitals[account]
        at = hospital.instant(now)
        due = [p for p in hospital.packages if p.voided is None and at >= p.expires]
        if all(package.seen_to_end for package in due):
            return False
        self._open(hospital, now)
        return True

    # -- what is read ------------------------------------------------------------------------------

    def read(self, account: int, now: int) -> Answer:
        """Everything, counted at this instant."""
        hospital = self.hospitals[account]
        at = hospital.instant(now)
        gone = [p for p in hospital.packages if p.voided is None and at >= p.expires]
        voided = [p for p in hospital.packages if p.voided is not None]
        here = [p for p in hospital.packages if not p.ended(at)]
        return Answer(
            status=self._status(account, at),
            available=sum(package.left() for package in here),
            used=len(self._charges(account, "funded")),
            owed=len(self._owed(account)),
            purchased=sum(package.units for package in hospital.packages),
            expired=sum(package.left() for package in gone),
            voided=sum(package.left() for package in voided),
            written_off=len(self._charges(account, "written_off")),
            since=hospital.since,
            deadline=hospital.deadline,
        )

    def _status(self, account: int, at: int) -> str:
        hospital = self.hospitals[account]
        if hospital.closed:
            return "closed"
        if not hospital.packages:
            return "unprovisioned"
        if hospital.deadline is not None:
            capped = hospital.cap is not None and len(self._owed(account)) >= hospital.cap
            return "arrears" if at < hospital.deadline and not capped else "suspended"
        here = [package for package in hospital.packages if not package.ended(at)]
        left = sum(package.left() for package in here)
        if left == 0:
            return "empty"
        return "low" if left * 10 <= sum(package.units for package in here) else "ok"

    def _charges(self, account: int, state: str) -> list[Charge]:
        return [c for c in self.charges if c.account == account and c.state == state]

    def _owed(self, account: int) -> list[Charge]:
        return self._charges(account, "owed")

    def _pay_debts(self, account: int, package: int, units: int) -> None:
        for charge in self._owed(account)[:units]:
            charge.state, charge.package = "funded", package
            self.hospitals[account].packages[package].spent += 1

    def _stop_clock(self, account: int) -> None:
        if not self._owed(account):
            self.hospitals[account].since = self.hospitals[account].deadline = None

    @staticmethod
    def _open(hospital: Hospital, now: int) -> int:
        """A transaction at its instant, with everything before it seen to."""
        at = hospital.last = hospital.instant(now)
        for package in hospital.packages:
            package.seen_to_end = package.seen_to_end or package.ended(at)
        return at

    @staticmethod
    def _first_to_expire(hospital: Hospital, at: int) -> int | None:
        best: int | None = None
        for index, package in enumerate(hospital.packages):
            if package.left() == 0 or package.ended(at):
                continue
            if best is None or package.expires < hospital.packages[best].expires:
                best = index
        return best

    @staticmethod
    def _end_of_anniversary(paid: int, hours: int) -> int:
        there = EPOCH + timedelta(microseconds=paid, hours=hours)
        leap = (there.month, there.day) == (2, 29)
        last_day = datetime(there.year + 1, there.month, 28 if leap else there.day, tzinfo=UTC)
        end = last_day + timedelta(days=1) - timedelta(hours=hours)
        return (end - EPOCH) // timedelta(microseconds=1)
