"""An account on a store in memory: the operations of quota, without a database."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from quota import service
from quota.account import EXAM, Account, Plan
from quota.admission import Refused
from quota.hold import NotHeld
from quota.order import LineRequest, Order, OrderRequest, Rejected
from quota.service import Admission, MeterReading
from storage.memory import MemoryLedger, MemoryWork
from tests.quota.makers import NOON

_T = TypeVar("_T")


class Bench:
    """An account on a store in memory, with a clock that is set by hand."""

    def __init__(self, *, plan: Plan = Plan.PER_EXAM) -> None:
        self.now = NOON
        self.ledger = MemoryLedger(lambda: self.now)
        with self.ledger.begin() as work:
            account = work.add_account(
                name="North", plan=plan, agreement_no="AG-1", timezone="Asia/Shanghai"
            )
            work.commit()
        assert account is not None
        self.account: Account = account

    def do(self, act: Callable[[MemoryWork], _T]) -> _T:
        """Act in a transaction; commit what was not refused."""
        with self.ledger.begin() as work:
            outcome = act(work)
            if not isinstance(outcome, Rejected | Refused | NotHeld):
                work.commit()
        return outcome

    def place(self, request: OrderRequest) -> Order | Rejected:
        """Place an order."""
        return self.do(lambda work: service.place(work, request))

    def pay(self, number: str) -> Order:
        """Pay it."""
        return self.do(lambda work: service.pay(work, number))

    def credit(self, number: str) -> Order:
        """Credit it."""
        return self.do(lambda work: service.credit(work, number))

    def buy(self, quantity: int, number: str = "SO-1", *, meter: str = EXAM) -> None:
        """Pay and credit one line, however small: what may be sold is for other tests."""
        line = LineRequest(meter=meter, quantity=quantity)
        request = OrderRequest(number=number, account_id=self.account.id, lines=(line,))
        self.do(lambda work: work.add_order(request, placed_at=work.clock()))
        self.pay(number)
        self.credit(number)

    def admit(self, examination_id: str) -> Admission:
        """Admit an examination."""
        return self.do(lambda work: service.admit(work, self.account, examination_id))

    def reading(self, meter: str = EXAM) -> MeterReading:
        """A meter now."""
        with self.ledger.read() as view:
            return service.read_meter(view, self.account, meter)

    def postings(self) -> int:
        """How long the journal is."""
        with self.ledger.read() as view:
            return len(view.postings(self.account.id, EXAM))
