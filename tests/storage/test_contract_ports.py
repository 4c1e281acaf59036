"""The contract of `quota.ports`, the same on every store: what is stored, found and forgotten."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import pytest

from quota import service
from quota.account import CAPACITY, EXAM, Account, Plan
from quota.errors import UnknownAccount, UnknownOrder
from quota.ports import Ledger, Work
from quota.service import Admitted
from storage.ledger import SqlLedger
from tests.quota.makers import DAY, NOON, an_order
from tests.storage.kit import (
    HandClock,
    add_account,
    admit,
    credit,
    pay,
    place_small,
    reading,
    top_up,
)


def test_what_is_not_committed_never_happened(ledger: Ledger, account: Account) -> None:
    """A work rolls back unless told otherwise: forgetting the commit is the safe mistake."""
    with ledger.begin() as work:
        work.add_account(name="South", plan=Plan.PER_EXAM, agreement_no="", timezone="UTC")
        service.place(work, an_order(1_000, account_id=account.id))
        work.lock_meter(account.id, EXAM)

    with ledger.read() as view:
        assert view.accounts() == [account]
        assert view.order("SO-1") is None
        assert view.meter(account.id, EXAM) is None


def pay_unknown_after_placing(work: Work, account: Account) -> None:
    """Half of a transaction that goes wrong."""
    service.place(work, an_order(1_000, account_id=account.id))
    service.pay(work, "SO-404")


def test_an_exception_rolls_back(ledger: Ledger, account: Account) -> None:
    """Whatever goes wrong inside, nothing of the work remains and the next one can begin."""
    with pytest.raises(UnknownOrder), ledger.begin() as work:
        pay_unknown_after_placing(work, account)

    with ledger.begin() as work:
        assert work.order("SO-1") is None


def test_what_comes_after_a_commit_is_another_transaction(ledger: Ledger, account: Account) -> None:
    """A commit makes durable what came before it, and nothing of what comes after."""
    with ledger.begin() as work:
        service.place(work, an_order(1_000, number="SO-1", account_id=account.id))
        work.commit()
        service.place(work, an_order(1_000, number="SO-2", account_id=account.id))

    with ledger.read() as view:
        assert [order.number for order in view.orders()] == ["SO-1"]


def test_a_work_sees_what_it_has_done(ledger: Ledger, account: Account) -> None:
    """Load, decide, record, load again: inside one transaction."""
    with ledger.begin() as work:
        service.place(work, an_order(1_000, account_id=account.id))
        work.mark_paid("SO-1", paid_at=NOON)

        order = work.order("SO-1")
        assert order is not None
        assert order.paid_at == NOON
        assert work.orders_to_credit() == ["SO-1"]


def test_a_view_is_one_snapshot(ledger: Ledger, account: Account) -> None:
    """A report that takes two reads never shows half of a transaction that came in between."""
    with ledger.read() as view:
        assert view.orders() == []
        place_small(ledger, account, "SO-1", 5)
        assert view.orders() == []
        assert view.order("SO-1") is None

    with ledger.read() as view:
        assert len(view.orders()) == 1


def test_the_name_of_an_account_is_taken_once(ledger: Ledger, account: Account) -> None:
    """None where the name is taken, and the first one stays as it is."""
    with ledger.begin() as work:
        again = work.add_account(
            name=account.name, plan=Plan.PER_CAPACITY, agreement_no="AG-2", timezone="UTC"
        )
        work.commit()

    assert again is None
    with ledger.read() as view:
        assert view.accounts() == [account]
        assert view.account(account.id) == account


def test_accounts_are_listed_by_name(ledger: Ledger) -> None:
    """By name, whatever the order of their coming."""
    for name in ("b", "c", "a", "南"):
        add_account(ledger, name)

    with ledger.read() as view:
        assert [account.name for account in view.accounts()] == ["a", "b", "c", "南"]


@pytest.mark.parametrize("account_id", [0, -1, 2, 10**9])
def test_an_unknown_account_is_an_error(ledger: Ledger, account: Account, account_id: int) -> None:
    """No id stands for another account by accident."""
    with ledger.read() as view, pytest.raises(UnknownAccount):
        view.account(account_id)


def test_a_meter_begins_at_zero_and_is_made_once(ledger: Ledger, account: Account) -> None:
    """Locking makes what is missing (§13), one meter per account and name."""
    other = add_account(ledger, "South")
    with ledger.begin() as work:
        first, _ = work.lock_meter(account.id, EXAM)
        again, _ = work.lock_meter(account.id, EXAM)
        others = [work.lock_meter(account.id, CAPACITY), work.lock_meter(other.id, EXAM)]
        work.commit()

    assert first == again
    assert (first.last_at, first.available, first.owed, first.episode) == (0, 0, 0, None)
    assert len({first.id, *(meter.id for meter, _ in others)}) == 3
    with ledger.read() as view:
        assert view.meter(account.id, EXAM) == first
        assert view.meter(account.id, "ai:x") is None


@pytest.mark.parametrize("offset, due", [(-1, []), (0, ["SO-2", "SO-1"]), (1, ["SO-2", "SO-1"])])
def test_packages_fall_due_at_their_expiry(
    *, ledger: Ledger, account: Account, clock: HandClock, offset: int, due: list[str]
) -> None:
    """TIME-2: due from T = E on, the first to expire first; what has ended is due no more."""
    clock.at += 3 * DAY
    top_up(ledger, account, "SO-1", 5)
    clock.at -= DAY
    top_up(ledger, account, "SO-2", 5)
    with ledger.read() as view:
        meter = view.meter(account.id, EXAM)
        first, second = view.packages(account.id)
        assert meter is not None
        assert first.expires_at is not None
        found = view.due_packages(meter.id, first.expires_at + offset)

    names = {first.id: "SO-1", second.id: "SO-2"}
    assert [names[package.id] for package in found] == (due or ["SO-2"])
    clock.at = first.expires_at
    admit(ledger, account, "exam")
    with ledger.read() as view:
        assert view.due_packages(meter.id, clock.at) == []


def test_the_head_of_the_burn_order_is_usable_and_first_to_expire(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """BURN: unexpired, effective, with units left; no more of them than asked for."""
    place_small(ledger, account, "early", 1, 5)
    pay(ledger, "early")
    clock.at += DAY
    top_up(ledger, account, "late", 5)
    credit(ledger, "early")
    with ledger.begin() as work:
        meter, _ = work.lock_meter(account.id, EXAM)
        late, spent, early = work.packages(account.id)
        assert early.expires_at is not None

        def head(at: int, limit: int = 9) -> list[int]:
            return [package.id for package in work.burn_head(meter.id, at, limit)]

        assert head(clock.at + 9) == [spent.id, early.id, late.id]
        assert head(clock.at + 9, limit=2) == [spent.id, early.id]
        assert head(early.expires_at - 1) == [spent.id, early.id, late.id]
        assert head(early.expires_at) == [late.id]
        assert head(late.effective_at - 1) == []
    admit(ledger, account, "exam")
    with ledger.begin() as work:
        assert [package.id for package in work.burn_head(meter.id, clock.at + 9, 1)] == [early.id]


def test_packages_are_listed_as_credited_and_by_account(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """One package per line, never merged, nobody else's."""
    other = add_account(ledger, "South")
    top_up(ledger, account, "SO-1", 5, 7)
    top_up(ledger, other, "SO-2", 6)
    clock.at += DAY
    top_up(ledger, account, "SO-3", 8)

    with ledger.read() as view:
        packages = view.packages(account.id)
        assert [package.quantity for package in packages] == [5, 7, 8]
        assert [package.quantity for package in view.packages(other.id)] == [6]
    assert [package.purchased_at for package in packages] == [NOON, NOON, NOON + DAY]
    assert all(package.remaining == package.quantity for package in packages)


def test_a_charge_is_found_by_its_examination(ledger: Ledger, account: Account) -> None:
    """Funded, owed, and funded by the top-up that paid it off."""
    top_up(ledger, account, "SO-1", 1)
    funded = admit(ledger, account, "funded")
    owed = admit(ledger, account, "owed")
    assert isinstance(funded, Admitted)
    assert isinstance(owed, Admitted)
    with ledger.read() as view:
        assert view.charge("funded") == funded.charge
        assert view.charge("owed") == owed.charge
        assert view.charge("never seen") is None

    top_up(ledger, account, "SO-2", 1)

    with ledger.read() as view:
        settled = view.charge("owed")
        second = view.packages(account.id)[1]
    assert settled is not None
    assert owed.charge is not None
    assert (owed.charge.state, settled.state) == ("owed", "funded")
    assert settled.package_id == second.id
    assert settled.charged_at == owed.charge.charged_at


def test_orders_are_listed_as_placed(ledger: Ledger, account: Account) -> None:
    """Of one account or of all, with their lines in the order of asking."""
    other = add_account(ledger, "South")
    place_small(ledger, account, "SO-9", 3, 1, 2)
    place_small(ledger, other, "SO-5", 5)
    place_small(ledger, account, "SO-1", 6)

    with ledger.read() as view:
        assert [order.number for order in view.orders()] == ["SO-9", "SO-5", "SO-1"]
        assert [order.number for order in view.orders(account.id)] == ["SO-9", "SO-1"]
        assert view.orders(99) == []
        order = view.order("SO-9")
    assert order is not None
    assert [line.quantity for line in order.lines] == [3, 1, 2]
    assert order.fingerprint == an_order(3, 1, 2, account_id=account.id).fingerprint


def test_orders_wait_for_crediting_in_the_order_of_payment(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """ORD-2: the oldest payment first; equal ones as placed; nothing unpaid, nothing twice."""
    for number in ("SO-1", "SO-2", "SO-3", "SO-4"):
        place_small(ledger, account, number, 5)
    for number, paid_at in (("SO-3", 2), ("SO-1", 9), ("SO-2", 2)):
        clock.at = NOON + paid_at
        pay(ledger, number)

    with ledger.read() as view:
        assert list(view.orders_to_credit()) == ["SO-2", "SO-3", "SO-1"]
    credit(ledger, "SO-2")
    with ledger.read() as view:
        assert list(view.orders_to_credit()) == ["SO-3", "SO-1"]


@pytest.fixture
def nervous() -> Iterator[None]:
    """Threads take turns after every few instructions, so that a missing lock shows."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.slow
def test_writers_of_one_process_queue(ledger: Ledger, account: Account, nervous: None) -> None:
    """§13: threads at once across zero; each unit is used once and every T is its own."""
    top_up(ledger, account, "SO-1", 10)
    each = 20 if isinstance(ledger, SqlLedger) else 200
    barrier = threading.Barrier(4)
    admitted: list[Admitted] = []

    def send(worker: int) -> None:
        barrier.wait(10)
        for n in range(each):
            admission = admit(ledger, account, f"exam-{worker}-{n}")
            assert isinstance(admission, Admitted)
            admitted.append(admission)

    threads = [threading.Thread(target=send, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert len({admission.admitted_at for admission in admitted}) == 4 * each
    meter = reading(ledger, account).meter
    assert (meter.available, meter.owed, meter.consumed) == (0, 4 * each - 10, 4 * each)
