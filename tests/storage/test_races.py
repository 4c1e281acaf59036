"""Races of real processes for one ledger, on both databases, and what survives a kill -9 (§13)."""

from __future__ import annotations

import random
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import pytest
from sqlalchemy import select

from quota.account import Account
from quota.ledger import GRACE
from storage import tables as t
from storage.ledger import SqlLedger
from tests.quota.makers import NOON
from tests.storage.kit import (
    HandClock,
    add_account,
    admit,
    pay,
    place_small,
    reading,
    top_up,
    url_of,
)
from tests.storage.racing import PROCESSES, Racer, Task, answering, race, started

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
    """An account with ten units."""
    account = add_account(raced)
    top_up(raced, account, "SO-1", 10)
    return account


def charges(ledger: SqlLedger) -> dict[str, int]:
    """When each examination was charged; fails where one was charged twice."""
    with ledger.read() as view:
        rows = view.connection.execute(select(t.charges)).all()
        postings = view.connection.execute(
            select(t.postings.c.examination_id).where(t.postings.c.kind == "charge")
        ).scalars()
        assert sorted(postings) == sorted(row.examination_id for row in rows)
    found = {row.examination_id: row.charged_at for row in rows}
    assert len(found) == len(rows)
    return found


@pytest.mark.slow
def test_processes_racing_across_zero_owe_exactly_what_was_missing(
    raced: SqlLedger, account: Account, tmp_path: Path, now: Synchronized[int]
) -> None:
    """owed = N - available, exactly, though every examination comes from two processes."""
    names = [f"exam-{n}" for n in range(40)]
    halves = [names[:20], names[20:], names[10:30], [*names[30:], *names[:10]]]

    answers = race(
        now,
        *(
            Task(url=url_of(raced), lock_dir=tmp_path, account_id=account.id, examinations=half)
            for half in halves
        ),
    )

    meter = reading(raced, account).meter
    assert (meter.available, meter.owed, meter.consumed) == (0, 30, 40)
    charged = charges(raced)
    assert len(set(charged.values())) == 40, "every T is its own (TIME-1)"
    for answer in answers:
        assert all(charged[name] == admitted_at for name, admitted_at in answer.items())


@pytest.mark.slow
def test_no_process_admits_at_or_after_the_deadline(
    raced: SqlLedger, account: Account, tmp_path: Path, now: Synchronized[int]
) -> None:
    """ADM-4: while the clock runs across the deadline in steps, the commit's T decides."""
    tasks = [
        Task(
            url=url_of(raced),
            lock_dir=tmp_path,
            account_id=account.id,
            examinations=[f"exam-{process}-{n}" for n in range(25)],
            step=GRACE // 40,
        )
        for process in range(COUNT)
    ]

    answers = race(now, *tasks)

    episode = reading(raced, account).meter.episode
    assert episode is not None
    admitted = [at for answer in answers for at in answer.values() if at is not None]
    refused = [name for answer in answers for name, at in answer.items() if at is None]
    assert admitted
    assert refused
    assert max(admitted) < episode.deadline
    assert sorted(charges(raced).values()) == sorted(admitted)
    for answer in answers:
        outcomes = [at is not None for at in answer.values()]
        assert outcomes == sorted(outcomes, reverse=True), "none comes in again by itself"


@pytest.mark.slow
def test_an_order_delivered_to_all_processes_is_credited_once(
    raced: SqlLedger,
    account: Account,
    tmp_path: Path,
    clock: HandClock,
    now: Synchronized[int],
) -> None:
    """ORD-2, invariant 11: while examinations pour in, one package and one offset."""
    for n in range(12):
        admit(raced, account, f"before-{n}")
    place_small(raced, account, "SO-2", 5, 6)
    pay(raced, "SO-2")
    now.value = clock.at = NOON + 1_000
    tasks = [
        Task(
            url=url_of(raced),
            lock_dir=tmp_path,
            account_id=account.id,
            examinations=[f"exam-{process}-{n}" for n in range(5)],
            orders=["SO-2", "SO-2"],
        )
        for process in range(COUNT)
    ]

    race(now, *tasks)

    meter = reading(raced, account).meter
    assert (meter.purchased, meter.consumed, meter.available) == (21, 32, 0)
    assert meter.owed == 32 - 21


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_killed_process_loses_no_charge_that_it_acknowledged(
    *,
    raced: SqlLedger,
    account: Account,
    tmp_path: Path,
    now: Synchronized[int],
    seed: int,
) -> None:
    """kill -9 in mid-transaction: what was answered is charged, nothing twice, the rest goes on.

    Whoever is killed is started again with all its work, as a device sends again what it got no
    answer for.
    """
    random_ = random.Random(seed)
    tasks = [
        Task(
            url=url_of(raced),
            lock_dir=tmp_path,
            account_id=account.id,
            examinations=[f"exam-{process}-{n}" for n in range(30)],
        )
        for process in range(COUNT)
    ]
    doomed = random_.sample(range(COUNT), 2)
    falls_after = {index: random_.randint(1, 20) for index in doomed}

    with started(now, *tasks) as racers:
        for racer in answering(racers):
            _kill_when_due(racer, racers, falls_after)
        acknowledged = {name: at for racer in racers for name, at in racer.answers.items()}
        assert all(racers[index].process.exitcode == -9 for index in doomed)
        assert all(len(racers[index].answers) < 30 for index in doomed)

    charged = charges(raced)
    assert acknowledged.items() <= charged.items()
    assert len(charged) - len(acknowledged) <= len(doomed), "one transaction each, at most"

    race(now, *(tasks[index] for index in doomed))

    again = charges(raced)
    assert charged.items() <= again.items()
    assert len(again) == 120
    meter = reading(raced, account).meter
    assert (meter.available, meter.owed, meter.consumed) == (0, 110, 120)


def _kill_when_due(racer: Racer, racers: list[Racer], falls_after: dict[int, int]) -> None:
    index = next(index for index, other in enumerate(racers) if other is racer)
    if len(racer.answers) == falls_after.get(index):
        racer.process.kill()
