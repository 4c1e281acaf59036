"""The line for SQLite's one writer: nobody passes, nobody waits longer than they said."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from storage.errors import LedgerUnavailable
from storage.lock_queue import LockQueue
from tests.harness import wait_until
from tests.storage.queueing import LIMITS, held, porters, standing
from tests.storage.racing import LIMIT_S, PROCESSES


@LIMITS
def test_a_lock_is_held_by_one_at_a_time(
    queue: LockQueue, other_queue: LockQueue, threads: ThreadPoolExecutor, within_s: float | None
) -> None:
    """Threads of one process and of another exclude each other."""
    inside: list[int] = []
    most: list[int] = []

    def enter(line: LockQueue) -> None:
        for _ in range(50):
            with line.alone(within_s):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    for entered in [threads.submit(enter, line) for line in (queue, other_queue) * 4]:
        entered.result(LIMIT_S)
    assert max(most) == 1
    assert len(most) == 400


def _add(path: Path, lock: Path, times: int) -> None:
    """Add to a number in a file, with threads of which some have a limit."""
    queue = LockQueue(lock)

    def add(within_s: float | None) -> None:
        for _ in range(times):
            with queue.alone(within_s):
                path.write_text(str(int(path.read_text()) + 1))

    with ThreadPoolExecutor(8) as pool:
        for added in [pool.submit(add, within_s) for within_s in (None, 30.0) * 4]:
            added.result(LIMIT_S)


def test_two_processes_of_many_threads_lose_nothing(tmp_path: Path) -> None:
    """Reading a number and writing it back is safe for whoever is alone."""
    number = tmp_path / "number"
    number.write_text("0")
    running = [
        PROCESSES.Process(target=_add, args=(number, tmp_path / "lock", 25)) for _ in range(2)
    ]
    for process in running:
        process.start()
    for process in running:
        process.join(LIMIT_S)
    assert [process.exitcode for process in running] == [0, 0]
    assert number.read_text() == str(2 * 8 * 25)


@LIMITS
def test_threads_are_served_in_the_order_they_came(
    queue: LockQueue, other_queue: LockQueue, threads: ThreadPoolExecutor, within_s: float | None
) -> None:
    """Whether the lock comes from a thread of their own process or from another process."""
    submitted: list[Future[None]] = []
    served: list[int] = []

    def enter(number: int) -> None:
        with queue.alone(within_s):
            served.append(number)

    with held(other_queue):
        for number in range(8):
            submitted.append(threads.submit(enter, number))
            wait_until(lambda: standing(queue) == len(submitted))
        assert served == []
    wait_until(lambda: standing(queue) == 0)
    assert served == list(range(8))


def test_no_process_keeps_the_lock_for_its_own_threads(
    queue: LockQueue, other_queue: LockQueue, threads: ThreadPoolExecutor
) -> None:
    """One thread of another process is served again and again while eight wait in ours."""
    served: Counter[LockQueue] = Counter()

    def enter(line: LockQueue) -> None:
        while served.total() < 200:
            with line.alone(LIMIT_S):
                # tidy: sleeps because what is held for no time is never waited for
                time.sleep(0.001)
                served[line] += 1

    for entered in [threads.submit(enter, line) for line in (*[queue] * 8, other_queue)]:
        entered.result(LIMIT_S)
    assert served[other_queue] > 20
    assert served[queue] > 20


def test_the_limit_holds_wherever_one_stands(
    queue: LockQueue, other_queue: LockQueue, threads: ThreadPoolExecutor
) -> None:
    """First in the line, where the kernel is waited for, or behind somebody who waits on."""

    def enter(within_s: float) -> float:
        began_s = time.monotonic()
        with pytest.raises(LedgerUnavailable, match=f"in {within_s:g} s"), queue.alone(within_s):
            pass
        return time.monotonic() - began_s

    with held(other_queue):
        first = threads.submit(enter, 0.2)
        wait_until(lambda: standing(queue) == 1)
        behind = [threads.submit(enter, within_s) for within_s in (0.1, 0.3, 0.0)]
        for wait, within_s in zip([first, *behind], (0.2, 0.1, 0.3, 0.0), strict=True):
            assert within_s <= wait.result(LIMIT_S) < within_s + 2
    with queue.alone(5.0):
        pass


def test_who_gives_up_leaves_the_others_their_places(
    queue: LockQueue, other_queue: LockQueue, threads: ThreadPoolExecutor
) -> None:
    """In the middle of the line, or at its head: the place in the kernel's queue is kept."""
    served: list[str] = []

    def enter(line: LockQueue, name: str, within_s: float) -> None:
        with line.alone(within_s):
            served.append(name)

    def stand(line: LockQueue, name: str, within_s: float) -> Future[None]:
        came = standing(line) + 1
        entered = threads.submit(enter, line, name, within_s)
        wait_until(lambda: standing(line) == came)
        return entered

    with held(other_queue):
        head = stand(queue, "head", 0.3)
        patient = stand(queue, "patient", LIMIT_S)
        middle = stand(queue, "middle", 0.1)
        last = stand(queue, "last", LIMIT_S)
        for gone in (head, middle):
            with pytest.raises(LedgerUnavailable):
                gone.result(LIMIT_S)
    for stayed in (patient, last):
        stayed.result(LIMIT_S)
    assert served == ["patient", "last"]


def test_an_abandoned_place_is_the_next_ones(
    tmp_path: Path, queue: LockQueue, other_queue: LockQueue
) -> None:
    """However often somebody gives up, one thread waits; it lets go where nobody wants it."""
    before = porters()
    with held(other_queue):
        for _ in range(3):
            with pytest.raises(LedgerUnavailable), queue.alone(0.01):
                pass
        assert len(porters() - before) == 1
    for line in (other_queue, queue, LockQueue(tmp_path / "lock")):
        with line.alone(5.0):
            pass
