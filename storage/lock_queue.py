"""Waits for a lock file in the kernel's queue, and not for ever: flock itself knows no limit."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

from storage.errors import LedgerUnavailable


class LockQueue:
    """Takes an exclusive lock on one file; threads and processes come first, are served first.

    A wait with a limit is a thread that waits without one. Where the limit passes, its place in the
    queue is kept for the next who asks: there are never more such threads than there were waiters.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mutex = threading.Lock()
        self._abandoned: list[_Place] = []

    def take(self, within_s: float | None) -> int:
        """The descriptor that holds the lock: close it to let go. Raises LedgerUnavailable."""
        descriptor = open_lock_file(self._path)
        if within_s is None:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            return descriptor
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return self._queue(descriptor, within_s)
        return descriptor

    def _queue(self, descriptor: int, within_s: float) -> int:
        with self._mutex:
            place = self._abandoned.pop(0) if self._abandoned else None
        if place is None:
            place = _Place(descriptor)
            threading.Thread(target=self._wait, args=(place,), name="queue", daemon=True).start()
        else:
            os.close(descriptor)
        if not place.served.wait(within_s):
            with self._mutex:
                if not place.served.is_set():
                    self._abandoned.append(place)
                    raise LedgerUnavailable(f"its lock was not to be had in {within_s:g} s")
        return place.descriptor

    def _wait(self, place: _Place) -> None:
        fcntl.flock(place.descriptor, fcntl.LOCK_EX)
        with self._mutex:
            if place not in self._abandoned:
                place.served.set()
                return
            self._abandoned.remove(place)
        os.close(place.descriptor)


class _Place:
    """One place in the queue, and the open file that holds the lock in the end."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.served = threading.Event()


def open_lock_file(path: Path) -> int:
    """An open file of its own for each lock: threads queue as well. Raises LedgerUnavailable."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise LedgerUnavailable(f"{path} can't be opened: {reason}") from error
