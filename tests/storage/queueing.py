"""Lines for a lock, to look at and to keep waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from storage.lock_queue import LockQueue
from tests.storage.racing import LIMIT_S

LIMITS = pytest.mark.parametrize("within_s", [None, 30.0])


def standing(queue: LockQueue) -> int:
    """How many threads have the lock or wait for it here."""
    return len(queue._line)  # noqa: SLF001 - nobody else needs to know


def porters() -> set[threading.Thread]:
    """Those that wait in this process now, for whatever line."""
    return {thread for thread in threading.enumerate() if thread.name == "porter"}


@contextmanager
def held(queue: LockQueue) -> Iterator[Callable[[], None]]:
    """Hold the lock until the block ends, or until what it yields is called."""
    with ExitStack() as stack:
        stack.enter_context(queue.alone(LIMIT_S))
        yield stack.close
