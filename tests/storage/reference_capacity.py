"""Capacity as quota.md §7 says, in plain lists: no code shared with the engine it judges."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

DAY = 86_400_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Term:
    """One package of bytes: from when until when it counts."""

    order: str
    bytes: int
    begins: int
    expires: int
    credited: int
    voided: int | None = None

    def counts(self, at: int) -> bool:
        """CAP-3: active at `at`."""
        return self.begins <= at < self.expires and (self.voided is None or at < self.voided)


@dataclass
class CapacityReference:
    """One account that pays for bytes, `hours` east of UTC."""

    hours: int
    terms: list[Term] = field(default_factory=list)
    objects: dict[str, int] = field(default_factory=dict)
    last: int = 0
    since: int | None = None
    deadline: int | None = None

    def instant(self, now: int) -> int:
        """TIME-1."""
        return now if now > self.last else self.last + 1

    @property
    def stored(self) -> int:
        """Bytes stored now."""
        return sum(self.objects.values())

    def limit(self, at: int) -> int:
        """The sum of what is active."""
        return sum(term.bytes for term in self.terms if term.counts(at))

    def pass_until(self, at: int) -> None:
        """Look at each instant at which a term begins or ends: arrears appear or go there."""
        instants = {term.begins for term in self.terms} | {
            max(term.expires, term.credited) for term in self.terms if term.voided is None
        }
        for instant in sorted(i for i in instants if self.last < i <= at):
            self._look(instant)

    def begin(self, now: int) -> int:
        """A transaction at its instant."""
        at = self.instant(now)
        self.pass_until(at)
        self.last = at
        return at

    def _look(self, at: int) -> None:
        owing = bool(self.terms) and self.stored > self.limit(at)
        if owing and self.since is None:
            self.since, self.deadline = at, at + DAY
        elif not owing:
            self.since = self.deadline = None

    def store(self, name: str, size: int, now: int) -> None:
        """An object more (CAP-4: never refused)."""
        at = self.begin(now)
        self.objects[name] = size
        self._look(at)

    def delete(self, name: str, now: int) -> None:
        """An object less."""
        at = self.begin(now)
        del self.objects[name]
        self._look(at)

    def credit(
        self, order: str, size: int, *, years: int, renews: int | None, paid: int, now: int
    ) -> None:
        """ORD-3, ORD-4: usable from the credit; a renewal from the end of what it renews."""
        at = self.begin(now)
        begins, expires = at, self._end(paid, years)
        if renews is not None and paid < self.terms[renews].expires:
            begins = max(at, self.terms[renews].expires)
            expires = self._end(self.terms[renews].expires - 1, years)
        self.terms.append(
            Term(order=order, bytes=size, begins=begins, expires=expires, credited=at)
        )
        self._look(at)

    def void(self, order: str, now: int) -> None:
        """What an order gave counts no more."""
        at = self.begin(now)
        for term in self.terms:
            if term.order == order and term.voided is None and at < term.expires:
                term.voided = at
        self._look(at)

    def extend(self, until: int, now: int) -> bool:
        """A later deadline, a year at most."""
        seen = self.peek(now)
        at = self.instant(now)
        if seen.deadline is None or not seen.deadline < until <= at + 366 * DAY:
            return False
        self.begin(now)
        self.deadline = until
        return True

    def peek(self, now: int) -> CapacityReference:
        """The same at this instant, nothing written (TIME-4)."""
        copy = CapacityReference(
            hours=self.hours,
            terms=self.terms,
            objects=self.objects,
            last=self.last,
            since=self.since,
            deadline=self.deadline,
        )
        copy.begin(now)
        return copy

    def status(self, now: int) -> str:
        """§6."""
        seen = self.peek(now)
        if not self.terms:
            return "unprovisioned"
        if seen.deadline is not None:
            return "arrears" if seen.last < seen.deadline else "suspended"
        limit = self.limit(seen.last)
        free = max(0, limit - self.stored)
        if free == 0:
            return "empty"
        return "low" if free * 10 <= limit else "ok"

    def _end(self, covered: int, years: int) -> int:
        there = EPOCH + timedelta(microseconds=covered, hours=self.hours)
        try:
            last_day = datetime(there.year + years, there.month, there.day, tzinfo=UTC)
        except ValueError:
            last_day = datetime(there.year + years, there.month, 28, tzinfo=UTC)
        end = last_day + timedelta(days=1) - timedelta(hours=self.hours)
        return (end - EPOCH) // timedelta(microseconds=1)
