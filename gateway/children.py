"""Child processes: forked, heard, started again, ended in good order.

A child is a fork of the supervisor, which therefore runs no thread and holds no connection: the
settings and the listening sockets are simply there. It ends by itself when the supervisor is gone,
however that happened: its lifeline then reads end of file.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

EXIT_SICK = 3
"""The status of a child whose disk failed: whoever watches the gateway is to start it anew."""
_FORK = multiprocessing.get_context("fork")
_RESTART_FIRST_S = 0.2
_RESTART_MAX_S = 10.0
_STEADY_S = 60.0
"""A child that ran for so long was no failing start: its restart hardly waits."""
_KILLED_S = 5.0


def name_thread(name: str) -> None:
    """Name the calling thread, of a process its first, for `top -H` and for tests."""
    with suppress(OSError):
        Path(f"/proc/self/task/{threading.get_native_id()}/comm").write_text(name)


class Link:
    """A child's end: when to stop, and what to tell the supervisor."""

    def __init__(self, connection: Connection, lifeline: int) -> None:
        self.stop = threading.Event()
        self._connection = connection
        self._lifeline = lifeline

    def watch(self) -> None:
        """SIGTERM sets `stop`; the end of the supervisor ends this process at once."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, lambda *_: self.stop.set())
        # Ctrl-C reaches the whole group of a terminal; the supervisor decides what follows.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=self._until_orphaned, name="lifeline", daemon=True).start()

    def say(self, **message: Any) -> None:
        """Tell the supervisor plain values by their names."""
        self._connection.send(message)

    def _until_orphaned(self) -> None:
        os.read(self._lifeline, 1)
        # Nothing acknowledged is lost by this: it is what a power cut would do.
        os._exit(1)


@dataclass(kw_only=True, eq=False)
class Child:
    """One process, as the supervisor sees it; `said` has what it told since it was started."""

    name: str
    run: Callable[[Link], int]
    process: ForkProcess
    connection: Connection
    started_s: float
    failures: int = 0
    restart_at_s: float | None = None
    said: dict[str, Any] = field(default_factory=dict)

    @property
    def running(self) -> bool:
        """Whether there is such a process."""
        return self.process.is_alive()


class Children:
    """The processes of one supervisor. Use it from one thread, and run no other."""

    def __init__(self) -> None:
        self._children: list[Child] = []
        self._ended: set[Child] = set()
        self._lifeline, self._held = os.pipe()

    def add(self, name: str, run: Callable[[Link], int]) -> Child:
        """Fork a child that runs `run(link)` and exits with the status that this returns."""
        process, connection = self._fork(name, run)
        child = Child(
            name=name,
            run=run,
            process=process,
            connection=connection,
            started_s=time.monotonic(),
        )
        self._children.append(child)
        return child

    def wait(self, timeout_s: float, wake: int | None = None) -> list[tuple[Child, int]]:
        """Wait until a child says something or ends, `wake` is readable, or the time is over.

        Returns those that ended with their exit status, negative for the signal that killed it.
        """
        watched = [child for child in self._children if child not in self._ended]
        sources: list[Any] = [] if wake is None else [wake]
        sources += [child.process.sentinel for child in watched]
        sources += [child.connection for child in watched]
        wait(sources, timeout_s)
        found = []
        for child in watched:
            ended = not child.running
            self._listen(child)
            if ended:
                self._ended.add(child)
                found.append((child, child.process.exitcode or 0))
        return found

    def restart_later(self, child: Child) -> float:
        """Start it again after a pause that doubles while it keeps failing; returns the pause."""
        steady = time.monotonic() - child.started_s >= _STEADY_S
        child.failures = 1 if steady else child.failures + 1
        pause_s = min(_RESTART_MAX_S, _RESTART_FIRST_S * float(2 ** (child.failures - 1)))
        child.restart_at_s = time.monotonic() + pause_s
        return pause_s

    def restart_in_s(self) -> float:
        """How long until the next pause is over; infinite where none is under way."""
        instants = [one.restart_at_s for one in self._ended if one.restart_at_s is not None]
        return max(0.0, min(instants) - time.monotonic()) if instants else math.inf

    def restart_due(self) -> list[Child]:
        """Start those again whose pause is over, and return them."""
        now_s = time.monotonic()
        due = [one for one in self._ended if (one.restart_at_s or now_s + 1) <= now_s]
        for child in due:
            child.connection.close()
            child.process, child.connection = self._fork(child.name, child.run)
            child.started_s, child.restart_at_s, child.said = now_s, None, {}
            self._ended.discard(child)
        return due

    def end(self, children: list[Child], timeout_s: float) -> list[tuple[Child, int]]:
        """SIGTERM, and SIGKILL for what is still there after `timeout_s`; what became of each."""
        deadline_s = time.monotonic() + timeout_s
        for child in children:
            child.restart_at_s = None
            child.process.terminate()
        ended = []
        while any(child.running for child in children) and time.monotonic() < deadline_s:
            ended += self.wait(deadline_s - time.monotonic())
        for child in children:
            if child.running:
                child.process.kill()
                child.process.join(_KILLED_S)
        return ended + self.wait(0)

    def close(self) -> None:
        """Give the descriptors back; a child that still runs ends."""
        os.close(self._held)
        os.close(self._lifeline)
        for child in self._children:
            child.connection.close()

    def _fork(self, name: str, run: Callable[[Link], int]) -> tuple[ForkProcess, Connection]:
        hear, tell = _FORK.Pipe(duplex=False)
        process = _FORK.Process(target=self._be, args=(name, run, tell), name=name)
        process.start()
        tell.close()
        return process, hear

    def _be(self, name: str, run: Callable[[Link], int], tell: Connection) -> None:
        """In the child: let go of what is the supervisor's, and run."""
        name_thread(name)
        os.close(self._held)
        for child in self._children:
            child.connection.close()
        link = Link(tell, self._lifeline)
        link.watch()
        sys.exit(run(link))

    def _listen(self, child: Child) -> None:
        try:
            while child.connection.poll():
                message: Mapping[str, Any] = child.connection.recv()
                child.said.update(message)
        except (EOFError, OSError):
            return
