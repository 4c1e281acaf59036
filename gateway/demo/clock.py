"""The demo's own clock: the host's, and moved ahead where the story says so."""

from __future__ import annotations

import threading

from quota.time import Instant
from storage.engine import system_clock


class MovableClock:
    """A `quota.time.Clock` that can be moved ahead, never back (TIME-1)."""

    def __init__(self) -> None:
        self._ahead: Instant = 0
        self._lock = threading.Lock()

    def __call__(self) -> Instant:
        """UTC in µs, as far ahead of the host's clock as it was moved."""
        with self._lock:
            return system_clock() + self._ahead

    def move(self, by: Instant) -> None:
        """Move ahead by so many µs."""
        assert by >= 0, "time does not run backwards"
        with self._lock:
            self._ahead += by
