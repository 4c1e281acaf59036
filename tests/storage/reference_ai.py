"""AI calls as quota.md §8 says, in plain lists: no code shared with the engine it judges."""

from __future__ import annotations

from dataclasses import dataclass, field

SECOND = 1_000_000


@dataclass
class Calls:
    """One package of calls; without limit where `units` is 0."""

    units: int
    expires: int
    order: str
    voided: int | None = None
    taken: int = 0
    """Units that holds took and did not bring back."""

    def ended(self, at: int) -> bool:
        """Whether it is of no use any more."""
        return self.voided is not None or at >= self.expires


@dataclass
class Held:
    """One hold: what it took, from which packages (their indexes), until when."""

    units: int
    ttl: int
    until: int
    shares: list[tuple[int, int]]
    state: str = "pending"
    posted: int = 0


@dataclass
class AiReference:
    """One product of one account."""

    packages: list[Calls] = field(default_factory=list)
    holds: dict[str, Held] = field(default_factory=dict)
    last: int = 0

    def instant(self, now: int) -> int:
        """TIME-1."""
        return now if now > self.last else self.last + 1

    def begin(self, now: int) -> int:
        """A transaction at its instant; what was due before it has happened."""
        self.last = self.instant(now)
        self._release(self.last)
        return self.last

    def hold(self, key: str, units: int, ttl: int, now: int) -> str:
        """Known, conflict, short, or held."""
        at = self.instant(now)
        known = self.holds.get(key)
        if known is not None:
            return "known" if (known.units, known.ttl) == (units, ttl) else "conflict"
        free = [p for p in self.packages if p.units == 0 and not p.ended(at)]
        if not free and self._available_after_releases(at) < units:
            return "short"
        self.begin(now)
        shares: list[tuple[int, int]] = []
        if free:
            shares.append((self.packages.index(free[0]), 0))
        else:
            shares = self._take(units, at)
        self.holds[key] = Held(units=units, ttl=ttl, until=at + ttl * SECOND, shares=shares)
        return "held"

    def post(self, key: str, units: int, now: int) -> str:
        """Again, refused, or posted."""
        held = self.holds.get(key)
        at = self.instant(now)
        if held is None:
            return "refused"
        if held.state == "posted" and held.posted == units:
            return "again"
        if held.state != "pending" or at >= held.until or not 1 <= units <= held.units:
            return "refused"
        self.begin(now)
        self._settle(held, "posted", units, at)
        return "posted"

    def void(self, key: str, now: int) -> str:
        """Again, refused, or voided."""
        held = self.holds.get(key)
        at = self.instant(now)
        if held is None:
            return "refused"
        if held.state == "voided":
            return "again"
        if held.state != "pending" or at >= held.until:
            return "refused"
        self.begin(now)
        self._settle(held, "voided", 0, at)
        return "voided"

    def void_order(self, order: str, now: int) -> None:
        """What is left of an order's packages is gone."""
        at = self.begin(now)
        for package in self.packages:
            if package.order == order and not package.ended(at):
                package.voided = at

    def read(self, now: int) -> dict[str, int]:
        """Available, held, used, expired, voided, at this instant."""
        at = self.instant(now)
        pending = [held for held in self.holds.values() if held.state == "pending"]
        held = sum(units for one in pending if at < one.until for _, units in one.shares)
        # What a hold holds past its end has gone home, wherever home is by now.
        home = dict.fromkeys(range(len(self.packages)), 0)
        for one in pending:
            if at >= one.until:
                for index, units in one.shares:
                    home[index] += units
        available = expired = voided = 0
        for index, package in enumerate(self.packages):
            left = package.units - package.taken + home[index]
            if package.voided is not None:
                voided += left
            elif at >= package.expires:
                expired += left
            else:
                available += left
        used = sum(
            0 if self.packages[one.shares[0][0]].units == 0 else one.posted
            for one in self.holds.values()
        )
        return {
            "available": available,
            "held": held,
            "used": used,
            "expired": expired,
            "voided": voided,
        }

    def _available_after_releases(self, at: int) -> int:
        return self.read(at)["available"]

    def _take(self, units: int, at: int) -> list[tuple[int, int]]:
        shares = []
        usable = [
            (package.expires, index)
            for index, package in enumerate(self.packages)
            if not package.ended(at) and package.units > package.taken
        ]
        for _, index in sorted(usable):
            package = self.packages[index]
            share = min(units, package.units - package.taken)
            if share:
                shares.append((index, share))
                package.taken += share
                units -= share
        assert units == 0
        return shares

    def _release(self, at: int) -> None:
        for held in self.holds.values():
            if held.state == "pending" and at >= held.until:
                self._settle(held, "expired", 0, held.until)

    def _settle(self, held: Held, state: str, posted: int, at: int) -> None:
        held.state, held.posted = state, posted
        unused = held.units - posted
        for index, share in reversed(held.shares):
            back = min(unused, share)
            unused -= back
            self.packages[index].taken -= back
