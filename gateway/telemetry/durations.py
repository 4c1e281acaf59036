"""Durations on their way into a histogram: noted one by one, written many at a time."""

from __future__ import annotations

from collections import deque

from prometheus_client import Histogram

NOTED_MAX = 256
"""How many may wait before whoever notes one more writes them."""


class Durations:
    """For any thread. What is noted is in the histogram after `write`, or once many have come.

    An observation writes two numbers into a file that processes share: many in a row keep an answer
    less than one with each. A process that is killed takes with it what it has not written: a
    second's worth, of statistics only.
    """

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram
        self._noted: deque[float] = deque()

    def note(self, seconds: float) -> None:
        """One more took `seconds`."""
        self._noted.append(seconds)
        if len(self._noted) >= NOTED_MAX:
            self.write()

    def write(self) -> None:
        """Write all that is noted; each is written once, whoever else writes at the time."""
        noted, observe = self._noted, self._histogram.observe
        while noted:
            try:
                seconds = noted.popleft()
            except IndexError:  # another thread took the last one
                return
            observe(seconds)
