"""The identity of an instance while its data set streams by: one walk, bounded memory and work.

The rules are the walker's; here is only which part of the data it sees. What a window ends in is
kept and joined to the next piece: at most an element's header and a wanted value. Values that
nobody wants, pixels above all, are skipped without being looked at.
"""

from __future__ import annotations

from gateway.dicom.encoding import DEFLATED_UID, encoding_of
from gateway.dicom.frames import Padded, Starved, Verdict
from gateway.dicom.header import WANTED, Identity, identity_of
from gateway.dicom.structure import PADDING_BYTES_MAX, VALUE_BYTES_MAX, Malformed, Uncertain, Walked
from gateway.dicom.walker import Walk

_JOINED_BYTES = 2 * VALUE_BYTES_MAX
"""More than any header with a wanted value: what is joined is understood, or all there is."""


class Scanner:
    """Scans one data set, fed piece by piece. Never raises on any input."""

    def __init__(self, transfer_syntax_uid: str) -> None:
        self._walk = Walk(encoding_of(transfer_syntax_uid), WANTED)
        self._size = 0
        self._left = b""
        """The bytes from the walk's position to `_size`, if it is not beyond."""
        self._padded = False
        self._outcome: Walked | Malformed | Uncertain | None = None
        if transfer_syntax_uid == DEFLATED_UID:
            self._outcome = Uncertain(position=0)

    def feed(self, chunk: memoryview) -> None:
        """Take the next bytes of the data set; only copies of them are kept."""
        begin, self._size = self._size, self._size + len(chunk)
        if not self._is_hungry:
            return
        if self._left:
            joined = self._left + chunk[:_JOINED_BYTES]
            self._look(memoryview(joined), begin - len(self._left))
            if len(chunk) <= _JOINED_BYTES:
                return
        if self._padded:
            self._check_padding(chunk, begin)
        elif self._is_hungry:
            self._look(chunk, begin)

    def finish(self) -> Identity | Malformed | Uncertain:
        """The data set is complete. `Uncertain`: `header.identify` is to judge the whole."""
        if self._outcome is None:
            try:
                if self._padded:
                    self._outcome = Walked(elements=self._walk.found)
                else:
                    self._walk.look_at(memoryview(self._left), self._size - len(self._left))
                    self._walk.end_at(self._size)
                    self._outcome = self._walk.run()
            except Verdict as verdict:
                self._outcome = verdict.outcome
        if isinstance(self._outcome, Walked):
            return identity_of(self._outcome.elements)
        return self._outcome

    @property
    def _is_hungry(self) -> bool:
        """Whether there is something to look at in what has come, and a reason to."""
        return self._outcome is None and self._walk.position < self._size

    def _look(self, window: memoryview, base: int) -> None:
        """Walk on in `window`, whose first byte is the data set's `base`-th."""
        walk = self._walk
        walk.look_at(window, base)
        self._left = b""
        try:
            self._outcome = walk.run()
        except Padded:
            self._padded = True
            self._check_padding(window, base)
        except Starved:
            self._left = bytes(window[max(0, walk.position - base) :])
        except Verdict as verdict:
            # What is found in an encoding that is only assumed may be due to the assumption.
            certain = isinstance(verdict.outcome, Malformed) and not walk.is_guessing
            self._outcome = verdict.outcome if certain else Uncertain(position=walk.position)

    def _check_padding(self, window: memoryview, base: int) -> None:
        """Zeros may follow the last element, so many and nothing else."""
        position = self._walk.position
        padding = window[max(0, position - base) :]
        if self._size - position > PADDING_BYTES_MAX or padding != bytes(len(padding)):
            self._outcome = Uncertain(position=position)
