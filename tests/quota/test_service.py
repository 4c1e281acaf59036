"""The operations over the ports, on the store in memory: idempotent, virtual, resumable (§9)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from quota import service
from quota.account import EXAM, Plan
from quota.admission import RefusalReason, Refused
from quota.errors import LedgerBroken, UnknownAccount, UnknownOrder
from quota.order import Order, OrderState, Rejected
from quota.service import Admitted
from quota.standing import Status
from storage.memory import MemoryWork
from tests.quota.bench import Bench
from tests.quota.makers import DAY, HOUR, NOON, an_order


@pytest.fixture
def bench() -> Bench:
    """A bench with an account that pays per examination and has bought nothing."""
    return Bench()


def test_an_examination_is_charged_once_however_often_it_is_admitted(bench: Bench) -> None:
    """§9: the first result again, with the first instant and package, and nothing written."""
    bench.buy(1_000)
    first = bench.admit("exam")
    length, meter = bench.postings(), bench.reading().meter.consumed

    bench.now += 40 * DAY
    again = bench.admit("exam")

    assert again == first
    assert (bench.postings(), bench.reading().meter.consumed) == (length, meter)


def test_an_examination_is_kept_as_long_as_the_package_that_pays_for_it_says(
    bench: Bench,
) -> None:
    """§8: the storage years of its own package, 15 while it is owed; noon in UTC, all years."""
    bench.place(an_order(1_000, storage_years=5))
    bench.pay("SO-1")
    bench.credit("SO-1")

    terms = []
    for n in range(1_001):
        admitted = bench.admit(f"exam-{n}")
        assert isinstance(admitted, Admitted)
        assert admitted.retained_until is not None
        terms.append(round((admitted.retained_until - admitted.admitted_at) / DAY))

    assert (terms[0], terms[999], terms[1_000]) == (5 * 365 + 1, 5 * 365 + 1, 15 * 365 + 4)
    assert bench.admit("exam-0") == bench.admit("exam-0")


def test_a_known_examination_is_admitted_in_any_state(bench: Bench) -> None:
    """ADM-1: later instances pass after the deadline too, where new examinations are refused."""
    bench.buy(1_000)
    for n in range(1_001):
        bench.admit(f"exam-{n}")
    bench.now += DAY + HOUR

    assert isinstance(bench.admit("exam-1000"), Admitted)
    assert isinstance(bench.admit("exam-0"), Admitted)
    assert isinstance(bench.admit("new"), Refused)


def test_an_account_that_bought_nothing_is_refused_without_grace(bench: Bench) -> None:
    """§6, UNPROVISIONED: an order that is only placed or paid is no package yet."""
    bench.place(an_order(1_000))
    bench.pay("SO-1")

    refused = bench.admit("exam")

    assert isinstance(refused, Refused)
    assert refused.reason is RefusalReason.UNPROVISIONED


def test_an_account_that_buys_bytes_is_not_charged_for_examinations() -> None:
    """STATE-5, ADM-2: the plan's own meter decides; it has no package, so nothing enters."""
    bench = Bench(plan=Plan.PER_CAPACITY)

    refused = bench.admit("exam")

    assert isinstance(refused, Refused)
    assert refused.reason is RefusalReason.UNPROVISIONED


def test_the_same_order_again_is_the_first_order(bench: Bench) -> None:
    """§9: same number and content return the first result, whatever became of it since."""
    bench.place(an_order(1_000))
    bench.pay("SO-1")

    again = bench.place(an_order(1_000))

    assert isinstance(again, Order)
    assert again.state is OrderState.PAID


def test_the_same_number_with_another_content_is_a_conflict(bench: Bench) -> None:
    """ORD-2, §9: nothing is written and the rule is named."""
    first = bench.place(an_order(1_000))

    conflict = bench.place(an_order(2_000))

    assert isinstance(conflict, Rejected)
    assert conflict.rule == "ORD-2"
    assert bench.place(an_order(1_000)) == first


def test_an_order_that_breaks_a_rule_is_not_on_record(bench: Bench) -> None:
    """ORD-1: a refused order leaves its number free."""
    assert isinstance(bench.place(an_order(1_001)), Rejected)
    assert isinstance(bench.place(an_order(1_000)), Order)


def test_paying_twice_keeps_the_first_payment(bench: Bench) -> None:
    """TIME-5: the purchase is the first payment; validity does not move with the second."""
    bench.place(an_order(1_000))
    bench.pay("SO-1")
    bench.now += 10 * DAY

    assert bench.pay("SO-1").paid_at == NOON


def test_crediting_twice_makes_one_package(bench: Bench) -> None:
    """ORD-2, invariant 11: keyed by order line, a second delivery changes nothing."""
    bench.buy(1_000)
    length = bench.postings()
    bench.now += HOUR

    order = bench.credit("SO-1")

    assert order.credited_at == NOON
    assert (bench.postings(), bench.reading().meter.purchased) == (length, 1_000)


class Overtaken(MemoryWork):
    """Another delivery has credited the order by the time that this one gets its lock."""

    def lock_order(self, number: str) -> None:
        """What a database does when the one before commits."""
        self.mark_credited(number, credited_at=self.clock())


def test_a_delivery_that_waited_for_another_credits_nothing(bench: Bench) -> None:
    """ORD-2: whether an order is still to be credited is known only once it is locked."""
    bench.place(an_order(1_000))
    bench.pay("SO-1")
    work = Overtaken(bench.ledger)

    assert service.credit(work, "SO-1").state is OrderState.CREDITED
    assert work.packages(bench.account.id) == []


def test_an_order_is_credited_only_once_it_is_paid(bench: Bench) -> None:
    """ORD-2: prepaid means prepaid."""
    bench.place(an_order(1_000))

    assert bench.credit("SO-1").state is OrderState.PLACED
    assert bench.reading().status is Status.UNPROVISIONED


def test_every_line_of_an_order_becomes_one_package(bench: Bench) -> None:
    """§1: a package is one order line, never merged."""
    bench.place(an_order(1_000, 3_000))
    bench.pay("SO-1")
    bench.credit("SO-1")

    with bench.ledger.read() as view:
        packages = view.packages(bench.account.id)
    assert [package.quantity for package in packages] == [1_000, 3_000]
    assert bench.reading().meter.available == 4_000


def test_what_does_not_exist_is_an_error_with_its_id(bench: Bench) -> None:
    """A broken reference is no refusal: it raises, and the message names the id."""
    with pytest.raises(UnknownOrder, match="SO-9"):
        bench.pay("SO-9")
    with pytest.raises(UnknownOrder, match="SO-9"):
        bench.credit("SO-9")
    with pytest.raises(UnknownAccount, match="77"):
        bench.place(an_order(1_000, account_id=77))


def test_a_refusal_reads_the_same_before_and_after_it(bench: Bench) -> None:
    """The early look gives the reason that the admission will give, and admits nobody."""
    with bench.ledger.read() as view:
        looked = service.preview(view, bench.account)
    refused = bench.admit("exam")

    assert isinstance(refused, Refused)
    assert looked is not None
    assert looked.reason == refused.reason
    bench.buy(1_000)
    with bench.ledger.read() as view:
        assert service.preview(view, bench.account) is None


def test_a_meter_that_was_never_booked_can_be_read(bench: Bench) -> None:
    """A new account shows zeros and UNPROVISIONED, and reading writes nothing."""
    reading = bench.reading()

    assert reading.status is Status.UNPROVISIONED
    assert (reading.meter.available, reading.meter.owed) == (0, 0)
    with bench.ledger.read() as view:
        assert view.meter(bench.account.id, EXAM) is None


def test_a_read_and_a_booking_give_one_answer(bench: Bench) -> None:
    """TIME-4: a sweeper that did not run changes no answer."""
    bench.buy(1_000)
    bench.admit("exam")
    bench.now += 400 * DAY
    before = bench.reading()

    with bench.ledger.begin() as work:
        assert service.materialise(work, bench.account, EXAM)
        work.commit()
    after = bench.reading()

    assert before.meter.expired == after.meter.expired == 999
    assert (before.status, after.status) == (Status.EMPTY, Status.EMPTY)
    with bench.ledger.begin() as work:
        assert not service.materialise(work, bench.account, EXAM), "it is booked already"


def test_a_ledger_that_contradicts_itself_admits_nobody(bench: Bench) -> None:
    """A negative balance stops the engine instead of being counted on."""
    bench.buy(1_000)
    with bench.ledger.begin() as work:
        meter, _ = work.lock_meter(bench.account.id, EXAM)
        work.record(replace(meter, available=-1), [])
        work.commit()

    with pytest.raises(LedgerBroken, match="verify"):
        bench.admit("exam")
