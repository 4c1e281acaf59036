"""The reference model, memory, SQLite and PostgreSQL side by side, under anything (§14).

Examinations: orders, charges, arrears, and everything that an operator may correct.
"""

from __future__ import annotations

import pytest
from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from quota import correction, service
from quota.account import EXAM, Account
from quota.action import By
from quota.order import LineRequest, Order, Rejected
from quota.ports import Ledger
from quota.service import Admitted
from tests.quota.makers import an_order
from tests.storage import kit
from tests.storage.rebuild import forget_and_rebuild
from tests.storage.reference import Answer, Hospital, Reference
from tests.storage.reference import Order as ModelOrder
from tests.storage.side_by_side import DAY, SPANS, SideBySide

# tidy: long because one machine needs all of its rules to meet each other
ZONES = {"Asia/Shanghai": 8, "Pacific/Pago_Pago": -11}
NUMBERS = st.sampled_from(["SO-1", "SO-2", "SO-3"])
ACCOUNTS = st.integers(1, len(ZONES))
PICKS = st.integers(0, 99)
ME = By(actor="anna", reason="agreed")


class Examinations(SideBySide):
    """Every rule does one thing to all of them; after every rule they must agree."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Reference()

    @initialize(units=st.lists(st.integers(0, 3), min_size=len(ZONES), max_size=len(ZONES)))
    def found_hospitals(self, units: list[int]) -> None:
        """Two accounts, on both sides of the date line; most have a few units already."""
        for (zone, hours), bought in zip(ZONES.items(), units, strict=True):
            first, *others = (kit.add_account(x, zone, timezone=zone) for x in self.ledgers)
            assert all(first == other for other in others)
            self.accounts[first.id] = first
            self.model.hospitals[first.id] = Hospital(hours=hours)
            if bought:
                self.top_up(first.id, bought, late=0)

    # -- time --------------------------------------------------------------------------------------

    @rule(span=st.sampled_from(SPANS))
    def wait(self, span: int) -> None:
        """Time passes, stands still, or somebody corrects the host's clock."""
        self.clock.at += span

    @precondition(lambda self: self.boundaries())
    @rule(pick=PICKS, offset=st.sampled_from([-1, 0, 1]))
    def go_to_a_boundary(self, pick: int, offset: int) -> None:
        """A deadline, an expiry or an instant already used, give or take a microsecond."""
        boundaries = self.boundaries()
        self.clock.at = boundaries[pick % len(boundaries)] + offset

    def boundaries(self) -> list[int]:
        """Instants at which answers change, and the last ones of the meters."""
        found: set[int] = set()
        for hospital in self.model.hospitals.values():
            found |= {package.expires for package in hospital.packages} | {hospital.last}
            found |= set() if hospital.deadline is None else {hospital.deadline}
        return sorted(found - {0})

    # -- orders ------------------------------------------------------------------------------------

    @rule(number=NUMBERS, account=ACCOUNTS, units=st.sampled_from([0, 999, 1_000, 1_500, 2_000]))
    def place(self, number: str, account: int, units: int) -> None:
        """An order as it arrives: new, again, in conflict, or not for sale."""
        stands = self.model.place(number, account, units)
        for ledger in self.ledgers:
            placed = kit.place(ledger, self.accounts[account], number, units)
            assert isinstance(placed, Order) is stands

    @rule(
        account=ACCOUNTS,
        units=st.sampled_from([1, 2, 3, 11]),
        late=st.sampled_from([0, 0, 1, DAY, 366 * DAY]),
    )
    def top_up(self, account: int, units: int, late: int) -> None:
        """An order of a few units, so that zero is near; credited at once, late, or too late."""
        number = f"TOP-{len(self.model.orders)}"
        self.model.orders[number] = ModelOrder(account=account, units=units)
        self.model.pay(number, self.clock.at)
        self.buy(account, number, LineRequest(meter=EXAM, quantity=units), late=late)
        self.model.credit(number, self.clock.at)

    @precondition(lambda self: self.model.orders)
    @rule(pick=PICKS)
    def pay(self, pick: int) -> None:
        """Some order is paid, for the first time or once more."""
        number = self._order(pick)
        self.model.pay(number, self.clock.at)
        for ledger in self.ledgers:
            assert kit.pay(ledger, number).paid_at == self.model.orders[number].paid

    @precondition(lambda self: self.model.orders)
    @rule(pick=PICKS)
    def credit(self, pick: int) -> None:
        """A delivery: the first, a second, one before the payment."""
        number = self._order(pick)
        self.model.credit(number, self.clock.at)
        for ledger in self.ledgers:
            assert kit.credit(ledger, number).credited_at == self.model.orders[number].credited

    @precondition(lambda self: self.model.orders)
    @rule(pick=PICKS)
    def void(self, pick: int) -> None:
        """An order is taken back, however far it has come, or once more."""
        number = self._order(pick)
        self.model.void(number, self.clock.at)
        for order in self.on_all(lambda work: correction.void_order(work, number, by=ME)):
            assert isinstance(order, Order)
            assert order.state == "voided"

    def _order(self, pick: int) -> str:
        numbers = list(self.model.orders)
        return numbers[pick % len(numbers)]

    # -- examinations ------------------------------------------------------------------------------

    @rule(account=ACCOUNTS, count=st.integers(1, 4))
    def admit_new(self, account: int, count: int) -> None:
        """New examinations, at one reading of the clock."""
        for _ in range(count):
            self._admit(f"exam-{len(self.model.charges)}-{account}", account)

    @rule(account=ACCOUNTS, count=st.integers(2, 5))
    def admit_together(self, account: int, count: int) -> None:
        """New examinations in one transaction: each on what those before it have left."""
        names = [f"exam-{len(self.model.charges) + n}-{account}" for n in range(count)]
        outcomes = self.model.admit_each(names, account, self.clock.at)
        event(f"admitted together: {', '.join(sorted(set(outcomes)))}")
        for ledger in self.ledgers:
            admissions = kit.admit_each(ledger, self._account(ledger, account), names)
            for name, outcome, admission in zip(names, outcomes, admissions, strict=True):
                assert isinstance(admission, Admitted) is (outcome != "refused")
                if isinstance(admission, Admitted):
                    charge, standing = admission.charge, self.model.standing(name)
                    assert charge is not None and standing is not None
                    assert (charge.state, charge.charged_at) == (outcome, standing.at)

    @precondition(lambda self: self.model.charges)
    @rule(pick=PICKS)
    def admit_again(self, pick: int) -> None:
        """A known examination comes again; after a reversal or write-off it is new."""
        charge = self.model.charges[pick % len(self.model.charges)]
        self._admit(charge.exam, charge.account)

    def _admit(self, name: str, account: int) -> None:
        outcome = self.model.admit(name, account, self.clock.at)
        event(f"an admission is {outcome}")
        standing = self.model.standing(name)
        for ledger in self.ledgers:
            admission = kit.admit(ledger, self._account(ledger, account), name)
            assert isinstance(admission, Admitted) is (outcome != "refused")
            if isinstance(admission, Admitted):
                assert standing is not None
                assert admission.admitted_at == standing.at
                assert admission.charge is not None
                assert admission.charge.state == standing.state

    @precondition(lambda self: self.model.charges)
    @rule(pick=PICKS, never_stored=st.booleans())
    def reverse(self, pick: int, *, never_stored: bool) -> None:
        """A charge is taken back, by an operator or because no instance ever came."""
        charge = self.model.charges[pick % len(self.model.charges)]
        name, account = charge.exam, charge.account
        stood = self.model.reverse(name, account, self.clock.at, never_stored=never_stored)
        event(f"a reversal of a charge that {'stands' if stood else 'does not stand'}")
        for outcome in self.on_all(
            lambda work: correction.reverse(
                work, work.account(account), name, by=ME, never_stored=never_stored
            )
        ):
            assert isinstance(outcome, Rejected) is not stood

    # -- an operator -------------------------------------------------------------------------------

    @rule(account=ACCOUNTS, units=st.integers(1, 3))
    def write_off(self, account: int, units: int) -> None:
        """Debts are forgiven, if there are that many."""
        stands = self.model.write_off(account, units, self.clock.at)
        for outcome in self.on_all(
            lambda work: correction.write_off(work, work.account(account), units=units, by=ME)
        ):
            assert isinstance(outcome, Rejected) is not stands

    @rule(account=ACCOUNTS, span=st.sampled_from([0, 1, DAY, 400 * DAY]))
    def extend(self, account: int, span: int) -> None:
        """A deadline is moved, if there is one, to a later one within a year."""
        until = (self.model.hospitals[account].deadline or self.clock.at) + span
        stands = self.model.extend(account, until, self.clock.at)
        for outcome in self.on_all(
            lambda work: correction.extend(work, work.account(account), until=until, by=ME)
        ):
            assert isinstance(outcome, Rejected) is not stands

    @rule(account=ACCOUNTS, cap=st.sampled_from([None, 1, 2, 5]))
    def cap(self, account: int, cap: int | None) -> None:
        """Arrears are capped, or the cap is lifted."""
        self.model.hospitals[account].cap = cap
        self.on_all(
            lambda work: correction.cap_arrears(work, work.account(account), cap=cap, by=ME)
        )

    @precondition(lambda self: len(self.model.charges) > 8)
    @rule(account=ACCOUNTS)
    def close_account(self, account: int) -> None:
        """Late in its life an account is closed, or closed again."""
        self.model.close(account, self.clock.at)
        self.on_all(lambda work: correction.close_account(work, work.account(account), by=ME))
        with self.sqlite.read() as view:
            self.accounts[account] = view.account(account)

    @rule(account=ACCOUNTS)
    def sweep(self, account: int) -> None:
        """The keeper comes round."""
        due = self.model.sweep(account, self.clock.at)
        for ledger in self.ledgers:
            with ledger.begin() as work:
                booked = service.materialise(work, self.accounts[account], EXAM)
                if booked:
                    work.commit()
            assert booked is due

    @rule(account=ACCOUNTS, restarts=st.booleans())
    def disturb(self, account: int, *, restarts: bool) -> None:
        """A transaction is given up, every cache is dropped and rebuilt, the process restarts.

        No answer changes, and no row either.
        """
        before = kit.dump(self.sqlite)
        for ledger in self.ledgers:
            with ledger.begin() as work:
                request = an_order(3_000, number="given-up", account_id=account)
                service.place(work, request)
                if not self.model.hospitals[account].closed:
                    service.pay(work, request.number)
                    service.credit(work, request.number)
                service.admit(work, self.accounts[account], "given-up")
        forget_and_rebuild(self.sqlite)
        if restarts:
            self.reopen()
        assert kit.dump(self.sqlite) == before

    # -- what must hold ----------------------------------------------------------------------------

    @invariant()
    def all_answer_the_same(self) -> None:
        """Readings, packages, orders to credit: the model and the stores agree."""
        for account_id in self.accounts:
            event(f"an account is {self.model.read(account_id, self.clock.at).status}")
        waiting = self.model.waiting()
        for ledger in self.ledgers:
            for account_id in self.accounts:
                account = self._account(ledger, account_id)
                assert _answer(ledger, account) == self.model.read(account_id, self.clock.at)
                self._compare_packages(ledger, account_id)
            with ledger.read() as view:
                assert list(view.orders_to_credit()) == waiting

    def _account(self, ledger: Ledger, account_id: int) -> Account:
        with ledger.read() as view:
            return view.account(account_id)

    def _compare_packages(self, ledger: Ledger, account_id: int) -> None:
        with ledger.read() as view:
            stored = view.packages(account_id)
        expected = self.model.hospitals[account_id].packages
        assert [(p.quantity, p.expires_at, p.credited_at, p.voided_at) for p in stored] == [
            (p.units, p.expires, p.credited, p.voided) for p in expected
        ]
        for package, model in zip(stored, expected, strict=True):
            ended = model.seen_to_end or model.voided is not None
            assert package.remaining == (0 if ended else model.left())

    @invariant()
    def every_invariant_holds(self) -> None:
        """§12."""
        self.verify_both()

    def teardown(self) -> None:
        """At the end every examination is paid by the package that the model says."""
        try:
            for ledger in self.ledgers:
                with ledger.read() as view:
                    for name in {charge.exam for charge in self.model.charges}:
                        charge, expected = view.charge(name), self.model.standing(name)
                        assert (charge is None) is (expected is None)
                        if charge is None or expected is None:
                            continue
                        packages = view.packages(expected.account)
                        paid_by = None if expected.package is None else packages[expected.package]
                        assert charge.package_id == (paid_by and paid_by.id)
        finally:
            self.close()


def _answer(ledger: Ledger, account: Account) -> Answer:
    found = kit.reading(ledger, account)
    meter = found.meter
    return Answer(
        status=found.status,
        available=meter.available,
        used=meter.used,
        owed=meter.owed,
        purchased=meter.purchased,
        expired=meter.expired,
        voided=meter.voided,
        written_off=meter.written_off,
        since=meter.episode.started_at if meter.episode else None,
        deadline=meter.episode.deadline if meter.episode else None,
    )


# The full profile takes its time.
TestExaminations = pytest.mark.timeout(3 * 3_600)(pytest.mark.slow(Examinations.TestCase))
