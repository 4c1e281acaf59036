"""What quota.md says, in plain lists: a model that shares no code with the engine it judges.

It never books an expiry, keeps no balance and no status: every answer is counted out of the lists
at the instant of asking. Only hospitals at a fixed distance from UTC live here; what clocks do at
midnight elsewhere is `tests/quota/test_time.py`'s affair.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

DAY = 86_400_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Order:
    """One order line sold, and how far it has come."""

    account: int
    units: int
    paid: int | None = None
    credited: int | None = None


@dataclass
class Package:
    """What an order became. `spent` counts units used by examinations, paid off or charged."""

    units: int
    expires: int
    credited: int
    spent: int = 0
    seen_to_end: bool = False

    def left(self) -> int:
        """What was never used, expired or not."""
        return self.units - self.spent


@dataclass
class Exam:
    """One admitted examination; `package` is the index of what paid for it."""

    account: int
    at: int
    package: int | None


@dataclass
class Answer:
    """What is to be read off an account."""

    status: str
    available: int
    used: int
    owed: int
    purchased: int
    expired: int
    since: int | None
    deadline: int | None


@dataclass
class Hospital:
    """One account: hours east of UTC, its packages, its last instant, since when it owes."""

    hours: int
    packages: list[Package] = field(default_factory=list)
    last: int = 0
    since: int | None = None

    def instant(self, now: int) -> int:
        """TIME-1."""
        return now if now > self.last else self.last + 1


@dataclass
class Reference:
    """The whole world."""

    hospitals: dict[int, Hospital] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    exams: dict[str, Exam] = field(default_factory=dict)
    """In the order of admission."""

    def place(self, number: str, account: int, units: int) -> bool:
        """Place an order; whether it stands: known with the same content, or sellable and new."""
        known = self.orders.get(number)
        if known is not None:
            return (known.account, known.units) == (account, units)
        if units < 1_000 or units % 1_000 != 0:
            return False
        self.orders[number] = Order(account=account, units=units)
        return True

    def pay(self, number: str, now: int) -> None:
        """The first payment counts."""
        order = self.orders[number]
        if order.paid is None:
            order.paid = now

    def credit(self, number: str, now: int) -> None:
        """A paid order becomes a package, once, and the oldest debts are paid from it."""
        order = self.orders[number]
        if order.paid is None or order.credited is not None:
            return
        hospital = self.hospitals[order.account]
        at = hospital.instant(now)
        self._pass(hospital, at)
        expires = self._end_of_anniversary(order.paid, hospital.hours)
        package = Package(units=order.units, expires=expires, credited=at)
        hospital.packages.append(package)
        order.credited = hospital.last = at
        if at >= expires:
            package.seen_to_end = True
            return
        for exam in self._owed(order.account)[: order.units]:
            exam.package = len(hospital.packages) - 1
            package.spent += 1
        if not self._owed(order.account):
            hospital.since = None

    def admit(self, name: str, account: int, now: int) -> str:
        """Known, refused, or admitted as funded or owed."""
        if name in self.exams:
            return "known"
        hospital = self.hospitals[account]
        at = hospital.instant(now)
        if self._status(account, at) in {"unprovisioned", "suspended"}:
            return "refused"
        self._pass(hospital, at)
        hospital.last = at
        funder = self._first_to_expire(hospital, at)
        self.exams[name] = Exam(account=account, at=at, package=funder)
        if funder is not None:
            hospital.packages[funder].spent += 1
        elif hospital.since is None:
            hospital.since = at
        return "owed" if funder is None else "funded"

    def sweep(self, account: int, now: int) -> bool:
        """Book what has passed; whether there was anything. It changes the last instant only."""
        hospital = self.hospitals[account]
        at = hospital.instant(now)
        if not self._pass(hospital, at):
            return False
        hospital.last = at
        return True

    def read(self, account: int, now: int) -> Answer:
        """Everything, counted at this instant."""
        hospital = self.hospitals[account]
        at = hospital.instant(now)
        mine = [exam for exam in self.exams.values() if exam.account == account]
        gone = [package for package in hospital.packages if at >= package.expires]
        here = [package for package in hospital.packages if at < package.expires]
        return Answer(
            status=self._status(account, at),
            available=sum(package.left() for package in here),
            used=sum(exam.package is not None for exam in mine),
            owed=len(self._owed(account)),
            purchased=sum(package.units for package in hospital.packages),
            expired=sum(package.left() for package in gone),
            since=hospital.since,
            deadline=None if hospital.since is None else hospital.since + DAY,
        )

    def waiting(self) -> list[str]:
        """Orders paid and not credited, by payment; equal ones as placed."""
        found = [
            (order.paid, index, number)
            for index, (number, order) in enumerate(self.orders.items())
            if order.paid is not None and order.credited is None
        ]
        return [number for _, _, number in sorted(found)]

    def _status(self, account: int, at: int) -> str:
        hospital = self.hospitals[account]
        if not hospital.packages:
            return "unprovisioned"
        if hospital.since is not None:
            return "arrears" if at - hospital.since < DAY else "suspended"
        here = [package for package in hospital.packages if at < package.expires]
        left = sum(package.left() for package in here)
        if left == 0:
            return "empty"
        return "low" if left * 10 <= sum(package.units for package in here) else "ok"

    def _owed(self, account: int) -> list[Exam]:
        return [e for e in self.exams.values() if e.account == account and e.package is None]

    @staticmethod
    def _first_to_expire(hospital: Hospital, at: int) -> int | None:
        best: int | None = None
        for index, package in enumerate(hospital.packages):
            if package.left() == 0 or at >= package.expires:
                continue
            if best is None or package.expires < hospital.packages[best].expires:
                best = index
        return best

    @staticmethod
    def _pass(hospital: Hospital, at: int) -> bool:
        new = [p for p in hospital.packages if at >= p.expires and not p.seen_to_end]
        for package in new:
            package.seen_to_end = True
        return bool(new)

    @staticmethod
    def _end_of_anniversary(paid: int, hours: int) -> int:
        there = EPOCH + timedelta(microseconds=paid, hours=hours)
        leap = (there.month, there.day) == (2, 29)
        last_day = datetime(there.year + 1, there.month, 28 if leap else there.day, tzinfo=UTC)
        end = last_day + timedelta(days=1) - timedelta(hours=hours)
        return (end - EPOCH) // timedelta(microseconds=1)
