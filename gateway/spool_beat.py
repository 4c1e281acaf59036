"""Tells the ledger what this worker's spools hold, every few seconds, on a thread of its own.

A ledger that does not answer must hold up neither a store nor the drain; what it was told last is
then too old, which holds reversals back and nothing else.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from quota.time import Clock
from storage.errors import StorageError
from storage.ledger import SqlLedger
from storage.pending import Waiting, by_account, note_pending
from storage.spool import Spool
from storage.spool.watermark import Watermark
from storage.spool_register import SpoolReport, beat, register
from storage.work import SqlWork

INTERVAL_S = 5.0
_RATE_S = 60.0
_SAMPLED = 1_000
"""Records whose account is looked up; where more wait, their bytes are shared out like these."""


class Filing(Protocol):
    """Who files from the spools."""

    @property
    def filed_bytes(self) -> Mapping[UUID, int]:
        """How many bytes were filed from each spool since the start."""


@dataclass(kw_only=True, slots=True)
class _Watched:
    """A spool, its watermark, (seconds, bytes filed by then) of the last minute; whose bytes wait.

    `told` is what is on record of that; None where nobody knows.
    """

    spool: Spool
    watermark: Watermark
    filed: deque[tuple[float, int]] = field(default_factory=deque)
    waiting: Sequence[Waiting] = ()
    told: Mapping[int, int] | None = None

    def now_waiting(self) -> Sequence[Waiting]:
        """As last sampled; nothing where nothing is left."""
        return self.waiting if self.spool.usage().records else ()


class SpoolBeat:
    """Registers the spools of one worker, and keeps what the register says of them fresh."""

    def __init__(
        self,
        ledger: SqlLedger,
        spools: Sequence[Spool],
        *,
        filer: Filing,
        clock: Clock,
        host: str | None = None,
    ) -> None:
        self._ledger = ledger
        self._filer = filer
        self._clock = clock
        self._host = host or socket.gethostname()
        self._watched = [
            _Watched(spool=spool, watermark=Watermark(spool.newest())) for spool in spools
        ]
        self._registered = False
        self._sample_at_s = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="spool-beat", daemon=True)

    def start(self) -> None:
        """Register the spools, if the ledger answers, and go on telling."""
        self.tell()
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Tell for the last time: nothing is received or filed any more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopping.wait(INTERVAL_S):
            self.tell()
        self.tell(closing=True)

    def sample(self) -> None:
        """See whose records wait, every few seconds; on the thread which releases them."""
        now_s = time.monotonic()
        if now_s < self._sample_at_s:
            return
        self._sample_at_s = now_s + INTERVAL_S
        for one in self._watched:
            one.waiting = waiting_in(one.spool)

    def tell(self, *, closing: bool = False) -> bool:
        """Write all of it down in one transaction; whether the ledger took it."""
        try:
            with self._ledger.begin() as work:
                if not self._registered:
                    for one in self._watched:
                        register(work, str(one.spool.id), host=self._host)
                for one in self._watched:
                    beat(work, self._report(work, one, closing=closing))
                pending = [by_account(work, one.now_waiting()) for one in self._watched]
                for one, amounts in zip(self._watched, pending, strict=True):
                    if amounts != one.told:
                        note_pending(work, str(one.spool.id), amounts)
                work.commit()
        except StorageError:
            return False
        for one, amounts in zip(self._watched, pending, strict=True):
            one.told = amounts
        self._registered = True
        return True

    def _report(self, work: SqlWork, one: _Watched, *, closing: bool) -> SpoolReport:
        ledger_now = work.clock()
        usage = one.spool.usage()
        oldest = usage.oldest_received_at
        through = one.watermark.look(ledger_now=ledger_now, host_now=self._clock(), oldest=oldest)
        return SpoolReport(
            id=str(one.spool.id),
            host=self._host,
            records=usage.records,
            bytes=usage.bytes,
            limit_bytes=usage.limit_bytes,
            oldest_received_at=oldest,
            filed_through=through,
            minute_bytes=self._minute_bytes(one),
            emptied=closing and oldest is None and not one.spool.sick,
        )

    def _minute_bytes(self, one: _Watched) -> int:
        now_s, filed = time.monotonic(), self._filer.filed_bytes.get(one.spool.id, 0)
        one.filed.append((now_s, filed))
        while len(one.filed) > 1 and one.filed[0][0] < now_s - _RATE_S - INTERVAL_S:
            one.filed.popleft()
        first_s, first = one.filed[0]
        elapsed_s = max(now_s - first_s, INTERVAL_S)
        return round((filed - first) * _RATE_S / elapsed_s)


def waiting_in(spool: Spool, *, limit: int = _SAMPLED) -> list[Waiting]:
    """Whose bytes wait: to the byte, or where very many wait in proportion to the oldest."""
    sampled = spool.unfiled(limit)
    if not sampled:
        return []
    total, among = max(spool.usage().records, len(sampled)), len(sampled)
    if among < limit:
        total = among
    return [
        Waiting(
            examination_id=record.header.examination_id,
            institution_id=record.header.incoming.institution_id,
            size_bytes=record.body_size * total // among,
        )
        for record in sampled
    ]
