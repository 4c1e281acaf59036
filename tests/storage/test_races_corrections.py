"""Races of real processes beyond admission: calls, reversals, voids; and kills among them (§13)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import pytest

from quota import service
from quota.account import Account
from quota.licence import Scope
from quota.order import Order, OrderState
from storage.ledger import SqlLedger
from tests.quota.makers import NOON
from tests.storage.calls import METER, buy_calls
from tests.storage.kit import add_account, admit, pay, reading, top_up, url_of
from tests.storage.racing import PROCESSES, Task, answering, race, started
from tests.storage.shop import a_licence, enrol, licences, order

COUNT = 4


@pytest.fixture
def now() -> Synchronized[int]:
    """The one clock that all processes read."""
    return PROCESSES.Value("q", NOON)


@pytest.fixture(params=["sound_sqlite", "postgresql"])
def raced(request: pytest.FixtureRequest) -> SqlLedger:
    """The ledger that they race for."""
    ledger: SqlLedger = request.getfixturevalue(request.param)
    return ledger


@pytest.fixture
def account(raced: SqlLedger) -> Account:
    """An account that has bought nothing."""
    return add_account(raced)


def task(
    raced: SqlLedger,
    account: Account,
    folder: Path,
    *,
    examinations: Sequence[str] = (),
    holds: Sequence[str] = (),
    voids: Sequence[str] = (),
    reversals: Sequence[str] = (),
) -> Task:
    """What one process does."""
    return Task(
        url=url_of(raced),
        lock_dir=folder,
        account_id=account.id,
        examinations=examinations,
        holds=holds,
        voids=voids,
        reversals=reversals,
    )


@pytest.mark.slow
def test_no_more_is_held_than_was_bought(
    raced: SqlLedger, account: Account, tmp_path: Path, now: Synchronized[int]
) -> None:
    """§8: a hard stop to the last call, though every key comes from two processes."""
    buy_calls(raced, account, "AI-1", 20)
    buy_calls(raced, account, "AI-2", 30)
    keys = [f"call-{n}" for n in range(20)]
    halves = [keys[:10], keys[10:], keys[5:15], [*keys[15:], *keys[:5]]]

    answers = race(now, *(task(raced, account, tmp_path, holds=half) for half in halves))

    held = {key for answer in answers for key, at in answer.items() if at is not None}
    assert len(held) == 50 // 3
    with raced.read() as view:
        found = service.read_meter(view, account, METER)
    assert (found.held, found.available) == (48, 2)


@pytest.mark.slow
def test_a_charge_is_taken_back_once(
    raced: SqlLedger, account: Account, tmp_path: Path, now: Synchronized[int]
) -> None:
    """§3: two operators reverse the same examinations while new ones come in."""
    top_up(raced, account, "SO-1", 10)
    names = [f"exam-{n}" for n in range(20)]
    for name in names:
        admit(raced, account, name)
    new = [f"new-{n}" for n in range(20)]
    now.value = NOON + 100

    answers = race(
        now,
        task(raced, account, tmp_path, reversals=names),
        task(raced, account, tmp_path, reversals=names[::-1]),
        task(raced, account, tmp_path, examinations=new[:10], reversals=new[:5]),
        task(raced, account, tmp_path, examinations=new[10:]),
    )

    reversed_ = Counter(name for answer in answers[:2] for name, at in answer.items() if at)
    assert reversed_ == Counter(names)
    meter = reading(raced, account).meter
    assert (meter.consumed, meter.used, meter.owed, meter.available) == (15, 10, 5, 0)


@pytest.mark.slow
def test_an_order_voided_under_load_pays_for_what_came_before(
    raced: SqlLedger, account: Account, tmp_path: Path, now: Synchronized[int]
) -> None:
    """§3: used + voided is what it held; every other examination is owed or paid by the other."""
    top_up(raced, account, "SO-1", 20)
    top_up(raced, account, "SO-2", 10)
    names = [f"exam-{n}" for n in range(40)]

    race(
        now,
        task(raced, account, tmp_path, examinations=names[:20]),
        task(raced, account, tmp_path, examinations=names[20:], voids=["SO-1"]),
        task(raced, account, tmp_path, voids=["SO-1", "SO-1"]),
    )

    meter = reading(raced, account).meter
    assert meter.purchased == 30
    assert meter.used + meter.voided == 30
    assert (meter.available, meter.consumed) == (0, 40)
    assert meter.owed == 40 - meter.used


@pytest.mark.slow
def test_a_killed_process_holds_what_it_said_and_no_more(
    raced: SqlLedger, account: Account, tmp_path: Path, now: Synchronized[int]
) -> None:
    """kill -9 in mid-hold: what was answered is held, nothing twice; sent again, it is known."""
    buy_calls(raced, account, "AI-1", 1_000)
    tasks = [
        task(raced, account, tmp_path, holds=[f"call-{process}-{n}" for n in range(20)])
        for process in range(COUNT)
    ]
    with started(now, *tasks) as racers:
        for racer in answering(racers):
            if racer is racers[0] and len(racer.answers) == 7:
                racer.process.kill()
        said = sum(len(racer.answers) for racer in racers)
    with raced.read() as view:
        held = service.read_meter(view, account, METER).held
    assert 3 * said <= held <= 3 * (said + 1)

    race(now, tasks[0])

    with raced.read() as view:
        assert service.read_meter(view, account, METER).held == 3 * 20 * COUNT


@pytest.mark.slow
def test_licences_of_one_feature_credited_at_once_do_not_overlap(
    raced: SqlLedger, account: Account, tmp_path: Path, now: Synchronized[int]
) -> None:
    """Invariant 20, ORD-2: each line once, term after term, though every order comes twice.

    They are bought without naming what they renew; crediting puts them in a row. The sixth, of
    another feature, is a row of its own.
    """
    enrol(raced, account, 1)
    numbers = [f"L-{n}" for n in range(6)]
    for number in numbers:
        feature = "basic" if number == "L-5" else "mobile"
        assert isinstance(order(raced, account, number, a_licence(feature)), Order)
        pay(raced, number)
    orders = (numbers, numbers[::-1], [*numbers[3:], *numbers[:3]])

    race(now, *(replace(task(raced, account, tmp_path), orders=each) for each in orders))

    found = licences(raced, Scope(institution_id=1))
    assert len({one.order_line_id for one in found}) == len(found) == len(numbers)
    mobile = [one for one in found if one.feature == "mobile"]
    assert [one.starts_at for one in mobile[1:]] == [one.ends_at for one in mobile[:-1]]
    assert all(one.ends_at is not None and one.starts_at < one.ends_at for one in found)
    with raced.read() as view:
        assert {one.state for one in view.orders()} == {OrderState.CREDITED}
        credited = [one for one in view.notices() if one.kind == "credited"]
    assert len(credited) == len(numbers)
