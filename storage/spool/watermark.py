"""Through which instant of another clock everything in a spool is filed."""

from __future__ import annotations

from collections import deque

from quota.time import Instant

_MARKS_MAX = 4_096


class Watermark:
    """Pairs readings of two clocks, so that neither is ever compared with the other.

    Records carry the host's time, the ledger asks by its own. A mark says: what was durable when
    the ledger's clock read this was received by the host's before that. Once the oldest record that
    is left is younger than a mark, all that was there at the mark is filed. What a jump of the
    host's clock costs is time, never a record.
    """

    def __init__(self, newest_received_at: Instant | None) -> None:
        """`newest_received_at` of what the spool holds already, by whatever clock it had then."""
        self._marks: deque[tuple[Instant, Instant]] = deque()
        self._latest = newest_received_at or 0

    def look(
        self, *, ledger_now: Instant, host_now: Instant, oldest: Instant | None
    ) -> Instant | None:
        """The ledger's instant through which all is filed; None where no later one is known.

        `ledger_now` was read first, `oldest` (None: nothing is left) next, `host_now` last.
        """
        if oldest is None:
            self._marks.clear()
            self._latest = 0
            return ledger_now
        through = None
        while self._marks and self._marks[0][1] < oldest:
            through = self._marks.popleft()[0]
        self._latest = max(self._latest, host_now)
        if len(self._marks) < _MARKS_MAX:
            self._marks.append((ledger_now, self._latest))
        else:
            self._marks[-1] = (ledger_now, self._latest)
        return through
