"""Threads, waits and processes that end before their turn does: no lock is left behind."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from storage.errors import LedgerUnavailable
from storage.lock_queue import LockQueue
from tests.harness import wait_until
from tests.storage.queueing import LIMITS, held, porters, standing
from tests.storage.racing import LIMIT_S, PROCESSES


def test_a_porter_that_nobody_needs_goes_and_comes_again(
    tmp_path: Path, other_queue: LockQueue, threads: ThreadPoolExecutor
) -> None:
    """No thread stays behind for each database that was ever fought for."""
    queue = LockQueue(tmp_path / "lock", idle_s=0.001)

    def enter() -> None:
        with queue.alone(LIMIT_S):
            pass

    # Another test's may still be there, and go meanwhile.
    before = porters()
    for _ in range(20):
        with held(other_queue) as let_go:
            entered = threads.submit(enter)
            wait_until(lambda: len(porters() - before) == 1)
            let_go()
        entered.result(LIMIT_S)
        wait_until(lambda: porters() <= before)


def _hold(lock: Path, said: Connection) -> None:
    with LockQueue(lock).alone(None):
        said.send("held")
        signal.pause()


@LIMITS
def test_a_killed_process_holds_nothing(
    tmp_path: Path, queue: LockQueue, threads: ThreadPoolExecutor, within_s: float | None
) -> None:
    """SIGKILL while others wait: the kernel lets go, and all of them are served."""

    def enter() -> None:
        with queue.alone(within_s):
            pass

    hears, says = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=_hold, args=(tmp_path / "lock", says))
    process.start()
    try:
        assert hears.poll(LIMIT_S)
        waiting = [threads.submit(enter) for _ in range(4)]
        wait_until(lambda: standing(queue) == 4)
        assert not any(entered.done() for entered in waiting)
    finally:
        process.kill()
        process.join(LIMIT_S)
    for entered in waiting:
        entered.result(LIMIT_S)


@pytest.mark.parametrize("waiting", [False, True])
def test_a_forked_child_keeps_no_lock_of_its_parents(
    queue: LockQueue, other_queue: LockQueue, *, waiting: bool
) -> None:
    """Held or waited for at the fork: it is free while the child lives, and the child's to take."""
    may_end, end = os.pipe()
    with held(other_queue if waiting else queue):
        if waiting:
            with pytest.raises(LedgerUnavailable), queue.alone(0.01):
                pass
        child = os.fork()
        if child == 0:
            try:
                os.read(may_end, 1)
                with queue.alone(5.0):
                    os._exit(7)
            finally:
                os._exit(1)
    try:
        with other_queue.alone(5.0), pytest.raises(LedgerUnavailable), queue.alone(0.01):
            pass
    finally:
        os.write(end, b"!")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    os.close(may_end)
    os.close(end)


def test_a_child_forked_while_a_thread_waits_keeps_nothing_from_the_next(
    queue: LockQueue, other_queue: LockQueue, threads: ThreadPoolExecutor
) -> None:
    """It inherits the open file by which the thread waits in the kernel, and lives on."""
    may_end, end = os.pipe()

    def enter() -> None:
        with queue.alone(None):
            pass

    with held(other_queue):
        entered = threads.submit(enter)
        wait_until(lambda: _waits_in_the_kernel(queue))
        child = os.fork()
        if child == 0:
            os.read(may_end, 1)
            os._exit(0)
    entered.result(LIMIT_S)
    try:
        with other_queue.alone(5.0):
            pass
    finally:
        os.write(end, b"!")
        os.waitpid(child, 0)
    os.close(may_end)
    os.close(end)


def _waits_in_the_kernel(queue: LockQueue) -> bool:
    lock = queue._path.resolve()  # noqa: SLF001 - nobody else needs to know
    opened = [file for file in Path("/proc/self/fd").iterdir() if file.resolve() == lock]
    return standing(queue) == 1 and len(opened) == 2


def test_a_child_forked_while_the_lock_is_let_go_of_finds_a_line_of_its_own(
    queue: LockQueue, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its parent's thread has closed the file, and was not to say so any more."""
    closed, go_on, close = threading.Event(), threading.Event(), os.close
    forking = threading.get_ident()

    def slow(descriptor: int) -> None:
        close(descriptor)
        if threading.get_ident() != forking and not closed.is_set():
            closed.set()
            go_on.wait(LIMIT_S)

    def enter() -> None:
        with queue.alone(None):
            pass

    monkeypatch.setattr("storage.lock_queue.os.close", slow)
    entered = threads.submit(enter)
    assert closed.wait(LIMIT_S)
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        try:
            with queue.alone(5.0):
                os._exit(7)
        finally:
            os._exit(1)
    go_on.set()
    entered.result(LIMIT_S)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


class Interrupted(BaseException):
    """As Ctrl-C is one."""


@pytest.mark.parametrize("within_s", [None, 30.0])
@pytest.mark.parametrize("place", ["first", "behind"])
def test_a_wait_that_is_broken_off_holds_nothing(
    queue: LockQueue,
    other_queue: LockQueue,
    threads: ThreadPoolExecutor,
    place: str,
    within_s: float | None,
) -> None:
    """Ctrl-C on the main thread, first in the line or behind another: those after it are served."""

    def interrupt(*_: object) -> None:
        raise Interrupted

    def enter() -> None:
        with queue.alone(LIMIT_S):
            pass

    previous = signal.signal(signal.SIGALRM, interrupt)
    with held(other_queue):
        before = [threads.submit(enter)] if place == "behind" else []
        wait_until(lambda: standing(queue) == len(before))
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(Interrupted), queue.alone(within_s):
            pass
        signal.signal(signal.SIGALRM, previous)
        after = threads.submit(enter)
    for entered in (*before, after):
        entered.result(LIMIT_S)
    with other_queue.alone(5.0):
        pass


def test_a_lock_that_cannot_be_opened_is_nobodys(tmp_path: Path) -> None:
    """Each of the line hears of it, and the next tries again."""
    queue = LockQueue(tmp_path / "gone" / "lock")
    for _ in range(2):
        with pytest.raises(LedgerUnavailable, match="can't be opened"), queue.alone(5.0):
            pass
    (tmp_path / "gone").mkdir()
    with queue.alone(5.0):
        pass
