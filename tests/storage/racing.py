"""Processes that race for one ledger: real ones, for a lock in memory proves nothing."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import TypeAlias

from quota.account import Account
from quota.hold import Hold
from quota.order import Rejected
from quota.service import Admitted
from quota.time import Instant
from storage.engine import open_database
from storage.ledger import SqlLedger
from storage.schema import migrate
from tests.storage.calls import hold
from tests.storage.kit import admit, credit, database_in
from tests.storage.operator import reverse, void_order

PROCESSES = multiprocessing.get_context("forkserver")
# Forked from a server that has imported everything, and that nobody has opened a database in.
PROCESSES.set_forkserver_preload([__name__])
LIMIT_S = 60
Answers: TypeAlias = dict[str, Instant | None]
"""By examination: when it was admitted, or None where it was refused."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What one process does, one by one: credit, hold, void, admit, reverse, in this order."""

    url: str
    lock_dir: Path
    account_id: int
    examinations: Sequence[str]
    orders: Sequence[str] = ()
    holds: Sequence[str] = ()
    """Keys; each for three calls of the product `calls.PRODUCT`."""
    voids: Sequence[str] = ()
    """Orders that are taken back."""
    reversals: Sequence[str] = ()
    """Examinations whose charges are taken back; answered with 1 where one stood."""
    step: int = 0
    """How far each reading of the shared clock moves it on, in µs."""


@dataclass
class Racer:
    """A running process, and what it has acknowledged so far."""

    process: ForkServerProcess
    answers_from: Connection
    answers: Answers = field(default_factory=dict)


def race(now: Synchronized[int], *tasks: Task) -> list[Answers]:
    """Run the tasks in a process each, all at once; what each of them was answered."""
    with started(now, *tasks) as racers:
        for _ in answering(racers):
            pass
        assert [racer.process.exitcode for racer in racers] == [0] * len(racers)
    return [racer.answers for racer in racers]


@contextmanager
def started(now: Synchronized[int], *tasks: Task) -> Iterator[list[Racer]]:
    """The tasks' processes, waiting for one another before they begin; ended at the exit."""
    barrier = PROCESSES.Barrier(len(tasks))
    racers = []
    for task in tasks:
        receiver, sender = PROCESSES.Pipe(duplex=False)
        process = PROCESSES.Process(target=_run, args=(task, now, barrier, sender))
        process.start()
        sender.close()
        racers.append(Racer(process, receiver))
    try:
        yield racers
    finally:
        for racer in racers:
            racer.process.kill()
            racer.process.join(LIMIT_S)
            racer.answers_from.close()


def answering(racers: Sequence[Racer]) -> Iterator[Racer]:
    """Take answers in as they come: the racer after each, until every process has ended."""
    running = {racer.answers_from: racer for racer in racers}
    while running:
        ready = wait(list(running), LIMIT_S)
        assert ready, "the race stands still"
        for racer in [running[connection] for connection in running if connection in ready]:
            try:
                name, admitted_at = racer.answers_from.recv()
            except (EOFError, OSError):  # an answer cut short was never given
                del running[racer.answers_from]
                racer.process.join(LIMIT_S)
            else:
                racer.answers[name] = admitted_at
                yield racer


def _run(task: Task, now: Synchronized[int], barrier: Barrier, answers_to: Connection) -> None:
    def clock() -> Instant:
        if task.step == 0:
            # Without its lock: a process killed while it holds that would stop all others.
            return int(now.get_obj().value)
        with now.get_lock():
            now.value += task.step
            return now.value

    ledger = SqlLedger(open_database(task.url, lock_dir=task.lock_dir), clock)
    with ledger.read() as view:
        account = view.account(task.account_id)
    barrier.wait(LIMIT_S)
    for number in task.orders:
        credit(ledger, number)
    for key in task.holds:
        answers_to.send((key, _hold(ledger, account, key)))
    for number in task.voids:
        void_order(ledger, number)
    for name in task.examinations:
        admission = admit(ledger, account, name)
        at = admission.admitted_at if isinstance(admission, Admitted) else None
        answers_to.send((name, at))
    for name in task.reversals:
        taken_back = reverse(ledger, account, name)
        answers_to.send((name, None if isinstance(taken_back, Rejected) else 1))


def _hold(ledger: SqlLedger, account: Account, key: str) -> Instant | None:
    placed = hold(ledger, account, key, 3)
    return placed.held_at if isinstance(placed, Hold) else None


def migrate_at_once(folder: Path, processes: int) -> list[int | None]:
    """Bring one database up to date from several processes at once; their exit statuses."""
    barrier = PROCESSES.Barrier(processes)
    running = [PROCESSES.Process(target=_migrate, args=(folder, barrier)) for _ in range(processes)]
    for process in running:
        process.start()
    for process in running:
        process.join(LIMIT_S)
        process.kill()
    return [process.exitcode for process in running]


def _migrate(folder: Path, barrier: Barrier) -> None:
    database = database_in(folder)
    barrier.wait(LIMIT_S)
    migrate(database)
    database.dispose()
