"""The reference model, the store in memory and SQLite side by side, under anything (§14)."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from quota import service
from quota.account import EXAM, Account
from quota.order import Order
from quota.ports import Ledger
from quota.service import Admitted
from storage.ledger import SqlLedger
from storage.memory import MemoryLedger
from tests.quota.makers import an_order
from tests.quota.test_time import utc
from tests.storage import kit
from tests.storage.conftest import SMALL_PACKAGES
from tests.storage.rebuild import forget_and_rebuild
from tests.storage.reference import Answer, Hospital, Reference
from tests.storage.reference import Order as ModelOrder

ZONES = {"Asia/Shanghai": 8, "Pacific/Pago_Pago": -11}
NUMBERS = st.sampled_from(["SO-1", "SO-2", "SO-3"])
ACCOUNTS = st.integers(1, len(ZONES))
DAY = 86_400_000_000
SPANS = [-DAY, -1, 0, 1, 3_600_000_000, DAY - 1, DAY, 40 * DAY]


class SideBySide(RuleBasedStateMachine):
    """Every rule does one thing to all three; after every rule they must agree."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = kit.HandClock(utc("2024-02-28 12:00"))
        self.folder = tempfile.TemporaryDirectory()
        self.sqlite: SqlLedger = kit.open_sqlite(Path(self.folder.name), self.clock)
        self.memory = MemoryLedger(self.clock)
        self.model = Reference()
        self.accounts: dict[int, Account] = {}

    @property
    def ledgers(self) -> tuple[Ledger, Ledger]:
        """Both stores."""
        return self.memory, self.sqlite

    @initialize(units=st.lists(st.integers(0, 3), min_size=len(ZONES), max_size=len(ZONES)))
    def found_hospitals(self, units: list[int]) -> None:
        """Two accounts, on both sides of the date line; most have a few units already."""
        for (zone, hours), bought in zip(ZONES.items(), units, strict=True):
            in_memory, account = (kit.add_account(x, zone, timezone=zone) for x in self.ledgers)
            assert account == in_memory
            self.accounts[account.id] = account
            self.model.hospitals[account.id] = Hospital(hours=hours)
            if bought:
                self.top_up(account.id, bought, late=0)

    @rule(span=st.sampled_from(SPANS))
    def wait(self, span: int) -> None:
        """Time passes, stands still, or somebody corrects the host's clock."""
        self.clock.at += span

    @precondition(lambda self: self.boundaries())
    @rule(pick=st.integers(0, 99), offset=st.sampled_from([-1, 0, 1]))
    def go_to_a_boundary(self, pick: int, offset: int) -> None:
        """A deadline, an expiry or an instant already used, give or take a microsecond."""
        boundaries = self.boundaries()
        self.clock.at = boundaries[pick % len(boundaries)] + offset

    def boundaries(self) -> list[int]:
        """Instants at which answers change, and the last ones of the meters."""
        found: set[int] = set()
        for hospital in self.model.hospitals.values():
            found |= {package.expires for package in hospital.packages} | {hospital.last}
            found |= set() if hospital.since is None else {hospital.since + DAY}
        return sorted(found - {0})

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
        for ledger in self.ledgers:
            kit.place_small(ledger, self.accounts[account], number, units)
        self._pay(number)
        self.clock.at += late
        self._credit(number)

    @precondition(lambda self: self.model.orders)
    @rule(pick=st.integers(0, 99))
    def pay(self, pick: int) -> None:
        """Some order is paid, for the first time or once more."""
        self._pay(self._order(pick))

    @precondition(lambda self: self.model.orders)
    @rule(pick=st.integers(0, 99))
    def credit(self, pick: int) -> None:
        """A delivery: the first, a second, one before the payment."""
        self._credit(self._order(pick))

    def _order(self, pick: int) -> str:
        numbers = list(self.model.orders)
        return numbers[pick % len(numbers)]

    def _pay(self, number: str) -> None:
        self.model.pay(number, self.clock.at)
        for ledger in self.ledgers:
            assert kit.pay(ledger, number).paid_at == self.model.orders[number].paid

    def _credit(self, number: str) -> None:
        self.model.credit(number, self.clock.at)
        for ledger in self.ledgers:
            assert kit.credit(ledger, number).credited_at == self.model.orders[number].credited

    @rule(account=ACCOUNTS, count=st.integers(1, 4))
    def admit_new(self, account: int, count: int) -> None:
        """New examinations, at one reading of the clock."""
        for _ in range(count):
            self._admit(f"exam-{len(self.model.exams)}", account)

    @precondition(lambda self: self.model.exams)
    @rule(pick=st.integers(0, 99))
    def admit_again(self, pick: int) -> None:
        """A known examination comes again."""
        names = list(self.model.exams)
        name = names[pick % len(names)]
        self._admit(name, self.model.exams[name].account)

    def _admit(self, name: str, account: int) -> None:
        outcome = self.model.admit(name, account, self.clock.at)
        event(f"an admission is {outcome}")
        for ledger in self.ledgers:
            admission = kit.admit(ledger, self.accounts[account], name)
            assert isinstance(admission, Admitted) is (outcome != "refused")
            if isinstance(admission, Admitted):
                assert admission.admitted_at == self.model.exams[name].at
            if outcome in {"funded", "owed"}:
                assert isinstance(admission, Admitted)
                assert admission.charge is not None
                assert admission.charge.state == outcome

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
                service.pay(work, request.number)
                service.credit(work, request.number)
                service.admit(work, self.accounts[account], "given-up")
        forget_and_rebuild(self.sqlite)
        if restarts:
            self.sqlite.database.dispose()
            self.sqlite = kit.open_sqlite(Path(self.folder.name), self.clock)
        assert kit.dump(self.sqlite) == before

    @invariant()
    def all_answer_the_same(self) -> None:
        """Readings, packages, orders to credit: model, memory and SQLite agree."""
        for account_id in self.accounts:
            event(f"an account is {self.model.read(account_id, self.clock.at).status}")
        waiting = self.model.waiting()
        for ledger in self.ledgers:
            for account in self.accounts.values():
                assert self._answer(ledger, account) == self.model.read(account.id, self.clock.at)
                self._compare_packages(ledger, account.id)
            with ledger.read() as view:
                assert list(view.orders_to_credit()) == waiting

    def _answer(self, ledger: Ledger, account: Account) -> Answer:
        found = kit.reading(ledger, account)
        episode = found.meter.episode
        return Answer(
            status=found.status,
            available=found.meter.available,
            used=found.meter.used,
            owed=found.meter.owed,
            purchased=found.meter.purchased,
            expired=found.meter.expired,
            since=episode.started_at if episode else None,
            deadline=episode.deadline if episode else None,
        )

    def _compare_packages(self, ledger: Ledger, account_id: int) -> None:
        with ledger.read() as view:
            stored = view.packages(account_id)
        expected = self.model.hospitals[account_id].packages
        assert [(p.quantity, p.expires_at, p.credited_at) for p in stored] == [
            (p.units, p.expires, p.credited) for p in expected
        ]
        for package, model in zip(stored, expected, strict=True):
            assert package.remaining == (0 if model.seen_to_end else model.left())

    @invariant()
    def every_invariant_holds(self) -> None:
        """§12, on the database; the small packages are the test's own doing."""
        report = kit.verified(self.sqlite)
        assert kit.failed(report) <= {SMALL_PACKAGES}, report.violations

    def teardown(self) -> None:
        """At the end every examination is paid by the package that the model says."""
        try:
            for ledger in self.ledgers:
                with ledger.read() as view:
                    for name, exam in self.model.exams.items():
                        charge = view.charge(name)
                        assert charge is not None
                        packages = view.packages(exam.account)
                        funder = None if exam.package is None else packages[exam.package].id
                        assert charge.package_id == funder
        finally:
            self.sqlite.database.dispose()
            self.folder.cleanup()


# The full profile takes its time.
TestSideBySide = pytest.mark.timeout(3 * 3_600)(pytest.mark.slow(SideBySide.TestCase))
