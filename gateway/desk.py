"""What a filer asks of whoever holds the spools: where records lie, and to let go of them.

The filer runs in a process of its own (`desk_link.py`), so that it shares no interpreter with the
associations; in the demo it is a thread that calls the same desk.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import UUID

from storage.spool import Place, RecordRef, Spool

ACK_WAIT_S = 30.0
_REMEMBERED = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """How many records the fullest spool holds, and whether somebody waits for them."""

    records: int
    hurried: bool


class Desk(Protocol):
    """Spools are named by their place in `directories`. One filer, one thread."""

    directories: Sequence[Path]

    def waiting(self) -> Waiting:
        """How much there is to do."""

    def wait_for_records(self, timeout_s: float) -> bool:
        """Wait until the first spool has something to be filed; False after `timeout_s`."""

    def places(self, spool: int, limit: int) -> list[Place]:
        """Where its oldest records lie."""

    def release(self, spool: int, refs: Sequence[RecordRef], *, size_bytes: int) -> None:
        """Their rows are committed: forget them. `size_bytes` of all their bodies."""

    def damaged(self, spool: int, ref: RecordRef, what: str) -> None:
        """A record can't be read as it was written."""

    def sync_failed(self) -> None:
        """A sync of the filer failed: nothing more may be acknowledged."""


class FilingDesk:
    """The desk itself, over one worker's spools: called by the filer, asked by the worker."""

    def __init__(
        self,
        spools: Sequence[Spool],
        *,
        released: Callable[[], None] = lambda: None,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        """`released` is called after records have left; `beat` is called now and then on the one
        thread that releases records, where no header can change while it is read."""
        self.directories: Sequence[Path] = [spool.directory for spool in spools]
        self.filed_bytes: Counter[UUID] = Counter()
        """Bytes filed from each spool since the start."""
        self.filer_is_sick = False
        """Whether a sync of the filer has failed."""
        self._spools = spools
        self._released = released
        self._beat = beat
        self._done = threading.Condition()
        self._awaited = 0
        self._finishing = False
        self._filed: OrderedDict[RecordRef, None] = OrderedDict()

    # -- the filer's side --------------------------------------------------------------------------

    def waiting(self) -> Waiting:
        """How much there is to do."""
        self._beat()
        records = max(spool.usage().records for spool in self._spools)
        return Waiting(records=records, hurried=self._awaited > 0 or self._finishing)

    def wait_for_records(self, timeout_s: float) -> bool:
        """Wait until the first spool has something to be filed; False after `timeout_s`."""
        return self._spools[0].wait_for_records(timeout_s)

    def places(self, spool: int, limit: int) -> list[Place]:
        """Where its oldest records lie."""
        return self._spools[spool].places(limit)

    def release(self, spool: int, refs: Sequence[RecordRef], *, size_bytes: int) -> None:
        """Their rows are committed: forget them, and tell whoever waits for one."""
        held = self._spools[spool]
        held.release(refs)
        self.filed_bytes[held.id] += size_bytes
        self._released()
        with self._done:
            if spool == 0:  # nobody waits for what was left by another process
                self._filed.update(dict.fromkeys(refs))
            while len(self._filed) > _REMEMBERED:
                self._filed.popitem(last=False)
            self._done.notify_all()

    def damaged(self, spool: int, ref: RecordRef, what: str) -> None:
        """A record can't be read as it was written."""
        self._spools[spool].damaged(ref, what)

    def sync_failed(self) -> None:
        """A sync of the filer failed: nothing more may be acknowledged."""
        self.filer_is_sick = True

    # -- the worker's side -------------------------------------------------------------------------

    def wait_filed(self, ref: RecordRef) -> bool:
        """Wait until a record of the first spool is filed, for `ACK_WAIT_S` at most."""
        with self._done:
            self._awaited += 1
            try:
                return self._done.wait_for(lambda: ref in self._filed, ACK_WAIT_S)
            finally:
                self._awaited -= 1

    def finish(self, timeout_s: float) -> bool:
        """Nothing more comes in: let the filer take what fits; whether nothing is left."""
        self._finishing = True
        with self._done:
            return self._done.wait_for(lambda: not self._left(), timeout_s)

    def _left(self) -> bool:
        return any(spool.usage().records for spool in self._spools)
