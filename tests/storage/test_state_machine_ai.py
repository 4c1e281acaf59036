"""AI calls under anything: the model, memory, SQLite and PostgreSQL side by side (§8, §14)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from quota import ai, correction, service
from quota.action import By
from quota.hold import Hold, NotHeld
from quota.order import LineRequest, Rejected
from quota.ports import Work
from quota.time import expiry
from tests.storage import kit
from tests.storage.reference_ai import AiReference, Calls
from tests.storage.side_by_side import SPANS, SideBySide

PRODUCT = "glaucoma"
METER = f"ai:{PRODUCT}"
KEYS = st.sampled_from(["call-1", "call-2", "call-3", "call-4", "call-5"])
ME = By(actor="anna", reason="agreed")
SECOND = 1_000_000


class AiCalls(SideBySide):
    """One account, one product, five keys that are used again and again."""

    def __init__(self) -> None:
        super().__init__()
        self.model = AiReference()

    @initialize()
    def found_hospital(self) -> None:
        """An account in Shanghai."""
        for ledger in self.ledgers:
            self.accounts[1] = kit.add_account(ledger)

    @rule(span=st.sampled_from([*SPANS, 59 * SECOND]))
    def wait(self, span: int) -> None:
        """Time passes, stands still, or somebody corrects the host's clock."""
        self.clock.at += span

    @precondition(lambda self: self.boundaries())
    @rule(pick=st.integers(0, 99), offset=st.sampled_from([-1, 0, 1]))
    def go_to_a_boundary(self, pick: int, offset: int) -> None:
        """The end of a hold or of a package, give or take a microsecond."""
        boundaries = self.boundaries()
        self.clock.at = boundaries[pick % len(boundaries)] + offset

    def boundaries(self) -> list[int]:
        """Instants at which answers change."""
        ends = {package.expires for package in self.model.packages}
        return sorted(ends | {held.until for held in self.model.holds.values()})

    @rule(units=st.sampled_from([1, 2, 3, 5]))
    def top_up(self, units: int) -> None:
        """Calls are bought; now and then without limit."""
        self._buy(units)

    @precondition(lambda self: len(self.model.holds) > 2)
    @rule()
    def buy_without_limit(self) -> None:
        """A one-time purchase, late in the account's life."""
        self._buy(0)

    def _buy(self, units: int) -> None:
        number = f"AI-{len(self.model.packages)}"
        paid = self.clock.at
        self.buy(1, number, LineRequest(meter=METER, quantity=units))
        self.model.begin(paid)
        # Where a year ends in Shanghai is `tests/quota/test_time.py`'s affair.
        expires = expiry(paid, self.accounts[1].zone, years=1)
        self.model.packages.append(Calls(units=units, expires=expires, order=number))

    @rule(key=KEYS, units=st.integers(1, 4), ttl_s=st.sampled_from([1, 60, 86_400]))
    def hold(self, key: str, units: int, ttl_s: int) -> None:
        """Calls are set aside under a key: new, known, or of another content."""
        expected = self.model.hold(key, units, ttl_s, self.clock.at)
        event(f"a hold is {expected}")
        kinds = {"known": Hold, "held": Hold, "short": NotHeld, "conflict": Rejected}

        def operation(work: Work) -> ai.Holding:
            return ai.hold(work, self.accounts[1], PRODUCT, key=key, units=units, ttl_s=ttl_s)

        for ledger in self.ledgers:
            with ledger.begin() as work:
                outcome = operation(work)
                assert isinstance(outcome, kinds[expected]), (expected, outcome)
                if expected == "held":
                    work.commit()

    @rule(key=KEYS, units=st.integers(0, 5))
    def post(self, key: str, units: int) -> None:
        """Some of what was set aside is used."""
        expected = self.model.post(key, units, self.clock.at)
        event(f"a post is {expected}")
        self._settled(
            expected, lambda work: ai.post(work, self.accounts[1], PRODUCT, key=key, units=units)
        )

    @rule(key=KEYS)
    def void(self, key: str) -> None:
        """What was set aside is given back."""
        expected = self.model.void(key, self.clock.at)
        event(f"a void is {expected}")
        self._settled(expected, lambda work: ai.void(work, self.accounts[1], PRODUCT, key=key))

    def _settled(self, expected: str, operation: Callable[[Work], Hold | Rejected]) -> None:
        for ledger in self.ledgers:
            with ledger.begin() as work:
                outcome = operation(work)
                assert isinstance(outcome, Rejected) is (expected == "refused"), outcome
                if expected not in {"refused", "again"}:
                    work.commit()

    @precondition(lambda self: len(self.model.packages) > 2)
    @rule(pick=st.integers(0, 99))
    def void_order(self, pick: int) -> None:
        """An order is taken back while some of it is on hold."""
        package = self.model.packages[pick % len(self.model.packages)]
        with self.sqlite.read() as view:
            order = view.order(package.order)
        assert order is not None
        if order.voided_at is None:
            self.model.void_order(package.order, self.clock.at)
        self.on_all(lambda work: correction.void_order(work, package.order, by=ME))

    @rule()
    def sweep(self) -> None:
        """The keeper comes round; what it books changes nothing but the last instant."""
        booked = set()
        for ledger in self.ledgers:
            with ledger.begin() as work:
                booked.add(service.materialise(work, self.accounts[1], METER))
                work.commit()
        assert len(booked) == 1
        if booked.pop():
            self.model.begin(self.clock.at)

    @invariant()
    def all_answer_the_same(self) -> None:
        """The model and the stores agree on every figure."""
        for ledger in self.ledgers:
            if not self.accounts:
                return
            with ledger.read() as view:
                found = service.read_meter(view, self.accounts[1], METER)
            assert {
                "available": found.available,
                "held": found.held,
                "used": found.used,
                "expired": found.expired,
                "voided": found.voided,
            } == self.model.read(self.clock.at)

    @invariant()
    def every_invariant_holds(self) -> None:
        """§12."""
        self.verify_both()

    def teardown(self) -> None:
        """The same journal on both databases."""
        self.close()


# The full profile takes its time.
TestAiCalls = pytest.mark.timeout(3 * 3_600)(pytest.mark.slow(AiCalls.TestCase))
