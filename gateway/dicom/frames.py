"""Where a structural walk is: the window it looks at, the containers it is in, how it stops."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import Enum

from gateway.dicom.encoding import Layout
from gateway.dicom.structure import PADDING_BYTES_MAX, Malformed, Path, Reason, Uncertain

NOTHING = memoryview(b"")
UNKNOWN_END = sys.maxsize
"""The end of a data set of which more may come."""


class Verdict(Exception):
    """Ends a walk before the end of the data."""

    def __init__(self, outcome: Malformed | Uncertain) -> None:
        super().__init__()
        self.outcome = outcome


class Starved(Exception):
    """The window ends before what is to be read next; `Walk.position` says from where."""


class Padded(Exception):
    """From `Walk.position` on only zeros may follow, and how many come is not known yet."""


class Kind(Enum):
    """What a container holds."""

    ELEMENTS = 0
    ITEMS = 1
    FRAGMENTS = 2


@dataclass(kw_only=True, slots=True)
class Frame:
    """One open container. `end`: its own if `defined`, else the one of the container around it.

    `guessed`: its encoding is an assumption (UN, PS3.5 6.2.2), so that nothing in it is certain.
    """

    kind: Kind
    end: int
    layout: Layout
    defined: bool = True
    guessed: bool = False
    prefix: Path = ()
    wanted: frozenset[int] = frozenset()


class Place:
    """Positions count from the data set's first byte; `base` is where the window begins."""

    def __init__(self, whole: Frame, data: memoryview) -> None:
        self.position = 0
        self._data = data
        self._base = 0
        self._available = len(data)
        self._end = whole.end
        self._stack = [whole]

    @property
    def is_guessing(self) -> bool:
        """Whether it is inside of something whose encoding is an assumption."""
        return self._stack[-1].guessed

    def look_at(self, window: memoryview, base: int) -> None:
        """Continue in `window`, which begins at `base`: not after `position`."""
        self._data, self._base = window, base
        self._available = base + len(window)

    def end_at(self, end: int) -> None:
        """No more comes, and the window reaches to the end; raises `Verdict`."""
        self._end = end
        outer = self._stack[0]
        for frame in self._stack:
            if frame.end == UNKNOWN_END:
                frame.end = end
            elif frame.end > end:
                raise self._overrun(outer, frame.end)
            outer = frame
        if self.position > end:
            raise self._overrun(outer, self.position)

    def _need(self, frame: Frame, start: int, count: int) -> None:
        """Raise unless `count` bytes from `start` on are in the container and in the window."""
        if frame.end - start < count:
            raise self._cut(frame)
        if self._available - start < count:
            raise Starved

    def _only_zeros_left(self) -> bool:
        if self._end == UNKNOWN_END:
            raise Padded
        left = self._end - self.position
        return left <= PADDING_BYTES_MAX and self._data[self.position - self._base :] == bytes(left)

    def _uncertain(self) -> Verdict:
        return Verdict(Uncertain(position=self.position))

    def _cut(self, frame: Frame) -> Verdict:
        """A container ends too early: certain only if the data set itself ends there."""
        if frame.end == self._end and not frame.guessed:
            return Verdict(Malformed(reason=Reason.TRUNCATED))
        return self._uncertain()

    def _overrun(self, frame: Frame, stop: int) -> Verdict:
        """A length leads out of its container: certain only if out of the data set as well."""
        if stop > self._end and not frame.guessed:
            return Verdict(Malformed(reason=Reason.LENGTH_BEYOND_END))
        return self._uncertain()
