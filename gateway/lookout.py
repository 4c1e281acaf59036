"""Looks at registry and accounts every few seconds, and keeps the host's snapshot of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from quota.time import Clock
from storage import snapshot
from storage.clock_guard import ClockHeld, state
from storage.engine import system_clock
from storage.errors import LedgerUnavailable
from storage.ledger import SqlLedger

_LOOK_S = 5.0
_LOOK_MAX_S = 60.0
_SHARE = 20
"""A look takes a twentieth of the time at most: thousands of accounts are looked at less often."""
_ANSWER_S = 10.0


class Lookout:
    """Writes the snapshot on a thread of its own."""

    def __init__(
        self,
        ledger: SqlLedger,
        path: Path,
        *,
        failed: Callable[[Exception], None],
        clock: Clock = system_clock,
    ) -> None:
        self._ledger = ledger.within(_ANSWER_S)
        self._path = path
        self._failed = failed
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lookout", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()
        self._thread.join(1.0)

    def look(self) -> None:
        """Once. Raises LedgerUnavailable, OSError."""
        at = self._clock()
        with self._ledger.read() as view:
            if state(view.connection).held_at is not None:
                raise ClockHeld  # its standings would be those of another day
            seen = snapshot.take(view, at=at)
        snapshot.write(self._path, seen)

    def _run(self) -> None:
        while True:
            began_s = time.monotonic()
            try:
                self.look()
            except LedgerUnavailable:
                pass  # the keeper tells of it
            except Exception as error:  # noqa: BLE001 - without it an outage would find no
                # snapshot, and nobody would know before
                self._failed(error)
            pause_s = (time.monotonic() - began_s) * _SHARE
            if self._stop.wait(min(_LOOK_MAX_S, max(_LOOK_S, pause_s))):
                return
