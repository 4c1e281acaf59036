"""One lock among threads and processes, first come first served, and a wait that knows a limit."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from weakref import WeakSet

from storage.errors import LedgerUnavailable

_IDLE_S = 10.0


class LockQueue:
    """An exclusive lock on one file; the kernel lets go of it when a process ends, however it ends.

    The threads of a process stand in a line of their own, and only its first asks for the file. It
    is let go of after each turn: the next of the line comes behind the other processes.
    """

    def __init__(self, path: Path, *, idle_s: float = _IDLE_S) -> None:
        """A porter that nobody sends for `idle_s` is gone."""
        self._path = path
        self._idle_s = idle_s
        self._begin()
        _QUEUES.add(self)

    def _begin(self) -> None:
        self._mutex = threading.Lock()
        self._line = deque[threading.Lock]()
        """Turns: the first has the file or asks for it, the others wait for theirs to be opened."""
        self._held: int | None = None
        self._porter = _Porter(self._idle_s)

    @contextmanager
    def alone(self, within_s: float | None) -> Iterator[None]:
        """Hold the lock. Raises LedgerUnavailable where it is not to be had in `within_s`."""
        until_s = None if within_s is None else time.monotonic() + within_s
        turn = _closed()
        with self._mutex:
            self._line.append(turn)
            first = self._line[0] is turn
        try:
            if not ((first or turn.acquire(timeout=_left_s(until_s))) and self._take(until_s)):
                raise LedgerUnavailable(f"its lock was not to be had in {within_s:g} s")
            yield
        finally:
            self._leave(turn)

    def _take(self, until_s: float | None) -> bool:
        """Whether the first of the line has the lock now; nobody else asks for it."""
        if not self._porter.is_out():
            descriptor = open_lock_file(self._path)
            try:
                if _lock(descriptor, wait=until_s is None):
                    self._held = descriptor
                    return True
                self._porter.send(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
        self._held = self._porter.await_lock(until_s)
        return self._held is not None

    def _leave(self, turn: threading.Lock) -> None:
        with self._mutex:
            first = self._line[0] is turn
            self._line.remove(turn)
            if not first:
                return
            # Whoever forks meanwhile finds here what is open still, or nothing.
            held, self._held = self._held, None
            if held is not None:
                _let_go(held)
            # After the file: who waits for it in another process is on its way before ours.
            if self._line:
                self._line[0].release()

    def after_fork(self) -> None:
        """In a child nobody stands in line, and no porter is out.

        What it has inherited of an open file would keep the lock when its parent lets go of it.
        """
        for descriptor in (self._held, self._porter.descriptor):
            if descriptor is not None:
                os.close(descriptor)
        self._begin()


class _Porter:
    """A thread that waits for the lock, for one who can't wait for ever.

    Nobody can leave the kernel's queue. Where the limit passes, the place is kept for who asks
    next; where it is served and nobody wants it any more, the porter lets go.
    """

    def __init__(self, idle_s: float) -> None:
        self._idle_s = idle_s
        self._mutex = threading.Lock()
        self._called = _closed()
        self._here = False
        self._place: _Place | None = None

    @property
    def descriptor(self) -> int | None:
        """The open file by which it waits."""
        return None if self._place is None else self._place.descriptor

    def is_out(self) -> bool:
        """Whether it waits already, for somebody who has left: now it does for the caller."""
        with self._mutex:
            if self._place is not None:
                self._place.wanted = True
            return self._place is not None

    def send(self, descriptor: int) -> None:
        """Let it wait by this open file, which is its own from now on."""
        with self._mutex:
            if not self._here:
                threading.Thread(target=self._work, name="porter", daemon=True).start()
                self._here = True
            self._place = _Place(descriptor)
            self._called.release()

    def await_lock(self, until_s: float | None) -> int | None:
        """The descriptor that holds the lock, the caller's now; None where it does not in time."""
        place = self._place
        assert place is not None, "the porter is out"
        gone = True
        try:
            place.served.acquire(timeout=_left_s(until_s))
            gone = False
        finally:
            with self._mutex:
                place.wanted = False
                if place.over:
                    self._place = None
                    if gone or place.failure:
                        _let_go(place.descriptor)
        if place.failure:
            raise place.failure
        return place.descriptor if place.over else None

    def _work(self) -> None:
        while self._called.acquire(timeout=self._idle_s) or self._stays():
            place = self._place
            assert place is not None, "a porter is called to a place"
            try:
                _lock(place.descriptor, wait=True)
            except LedgerUnavailable as error:
                place.failure = error
            with self._mutex:
                if place.wanted:
                    place.over = True
                    place.served.release()
                else:
                    self._place = None
                    _let_go(place.descriptor)

    def _stays(self) -> bool:
        with self._mutex:
            self._here = self._called.acquire(blocking=False)
            return self._here


class _Place:
    """A place in the kernel's queue; it is `over` where its lock, or a failure, was handed over."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.served = _closed()
        self.wanted = True
        self.over = False
        self.failure: LedgerUnavailable | None = None


def open_lock_file(path: Path) -> int:
    """An open file of its own for each lock: they exclude each other. Raises LedgerUnavailable."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise LedgerUnavailable(f"{path} can't be opened: {reason}") from error


def _lock(descriptor: int, *, wait: bool) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise LedgerUnavailable(f"its lock failed: {reason}") from error
    return True


def _let_go(descriptor: int) -> None:
    """End the lock: to close the file does not, where a child has inherited it (flock(2))."""
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def _closed() -> threading.Lock:
    """A lock that whoever acquires it waits for."""
    lock = threading.Lock()
    lock.acquire()
    return lock


def _left_s(until_s: float | None) -> float:
    """What `acquire` calls a timeout: at least nothing, or -1 for as long as it takes."""
    return -1 if until_s is None else max(0.0, until_s - time.monotonic())


_QUEUES: WeakSet[LockQueue] = WeakSet()


def _after_fork() -> None:
    for queue in _QUEUES:
        queue.after_fork()


os.register_at_fork(after_in_child=_after_fork)
