"""The filer: takes acknowledged instances out of the spool, behind the answer.

Order, always: object durable → rows committed → spool record released. A failure of the archive or
the database leaves everything in the spool; the same batch again changes nothing.
"""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeAlias
from uuid import UUID

from quota.time import MICROSECONDS_PER_SECOND, Clock, Instant
from storage.admitting import Overtaken
from storage.archive import Archive, LocalArchive, Object
from storage.filing import Deferred, Filing, file_batch
from storage.ledger import SqlLedger
from storage.placing import Arrival, place
from storage.spool import RecordDamaged, RecordRef, Spool, SpooledRecord

BATCH_RECORDS_MAX = 250
BATCH_BYTES_MAX = 256 << 20
"""A batch ends with the record that reaches this: a device waits behind its transaction."""
ACK_WAIT_S = 30.0
_GATHER_S = 0.3
"""How long records are left to gather. Filed one by one as they came, they cost ten times the
processor time, on the interpreter that the associations need, and a sync of the archive each."""
_GATHER_STEP_S = 0.05
_IDLE_S = 0.5
_LOOK_AGAIN_S = 0.2
_PAUSE_S, _PAUSE_MAX_S = 0.1, 15.0
_REMEMBERED = 10_000

_Read: TypeAlias = tuple[SpooledRecord, Arrival]


class FilerObserver(Protocol):
    """What the filer tells: past-tense facts with ids."""

    def record_filed(self, arrival: Arrival, filing: Filing, *, lag_s: float) -> None:
        """A record was filed or found to be on record, `lag_s` after it was received."""

    def filing_failed(self, error: Exception) -> None:
        """A batch could not be filed; it stays in the spool and is tried again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Backoff:
    """How long to wait after failures in a row: doubling, bounded, never in step with others."""

    failures: int = 0

    def after(self, *, failed: bool) -> Backoff:
        """One failure more, or none."""
        return Backoff(failures=self.failures + 1 if failed else 0)

    @property
    def pause_s(self) -> float:
        """Between half of the bound and the bound."""
        if self.failures == 0:
            return 0.0
        longest_s = min(_PAUSE_MAX_S, _PAUSE_S * float(1 << min(self.failures, 20)))
        return longest_s * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


class Filer:
    """Files from one worker's spools on a thread of its own, the oldest records first."""

    def __init__(
        self,
        *,
        spools: Sequence[Spool],
        ledger: SqlLedger,
        archive: Archive,
        observer: FilerObserver,
        quiet_period: Instant,
        clock: Clock,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        """`beat` is called on the filer's thread after each round, also one that failed."""
        self.filed_bytes: Counter[UUID] = Counter()
        """Bytes filed from each spool since the start."""
        self._spools = spools
        self._ledger = ledger
        self._archive = archive
        self._observer = observer
        self._quiet_period = quiet_period
        self._clock = clock
        self._beat = beat
        self._stopping = threading.Event()
        self._until_s = float("inf")
        self._done = threading.Condition()
        self._awaited = 0
        self._filed: OrderedDict[RecordRef, None] = OrderedDict()
        self._thread = threading.Thread(target=self._run, name="filer", daemon=True)

    def start(self) -> None:
        """Begin to file."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """File what fits into `timeout_s` and end; whether nothing is left."""
        self._until_s = time.monotonic() + timeout_s
        self._stopping.set()
        self._thread.join(timeout_s + 1.0)
        return not self._left()

    def wait_filed(self, ref: RecordRef) -> bool:
        """Wait until a record of the first spool is filed, for `ACK_WAIT_S` at most."""
        with self._done:
            self._awaited += 1
            try:
                return self._done.wait_for(lambda: ref in self._filed, ACK_WAIT_S)
            finally:
                self._awaited -= 1

    def _run(self) -> None:
        with suppress(OSError):
            # So that `top -H`, and a test, can tell it from the others.
            Path(f"/proc/self/task/{threading.get_native_id()}/comm").write_text("filer")
        backoff = Backoff()
        while time.monotonic() < self._until_s:
            self._gather()
            try:
                filed = self.round()
                failed = False
            except Exception as error:  # noqa: BLE001 - a filer that ended would be missed by
                # nobody before the spool is full; the batch has rolled back by itself.
                self._observer.filing_failed(error)
                filed, failed = 0, True
            backoff = backoff.after(failed=failed)
            if failed:
                if self._stopping.is_set():
                    return
                self._stopping.wait(backoff.pause_s)
            elif not filed:
                if self._stopping.is_set():
                    return
                self._rest()

    def _gather(self) -> None:
        """Let a batch come together, unless it is full, somebody waits for it, or we are to end."""
        until_s = time.monotonic() + _GATHER_S
        while time.monotonic() < until_s and not (self._awaited or self._stopping.is_set()):
            waiting = max(spool.usage().records for spool in self._spools)
            if not 0 < waiting < BATCH_RECORDS_MAX:
                return
            self._stopping.wait(_GATHER_STEP_S)

    def _rest(self) -> None:
        """Until there is something to file; what waits for its place must not keep us busy."""
        if self._left():
            self._stopping.wait(_LOOK_AGAIN_S)
        else:
            self._spools[0].wait_for_records(_IDLE_S)

    def _left(self) -> bool:
        return any(spool.usage().records for spool in self._spools)

    def round(self) -> int:
        """File one batch from each spool; returns how many records. Raises what a step raises."""
        filed = 0
        try:
            for spool in self._spools:
                filed += self._file_from(spool)
        finally:
            self._beat()
        return filed

    def _file_from(self, spool: Spool) -> int:
        read = [
            (record, arrival)
            for record in _up_to(BATCH_BYTES_MAX, spool.unfiled(BATCH_RECORDS_MAX))
            if (arrival := _read(record)) is not None
        ]
        if not read:
            return 0
        placed = self._put(read)
        with self._ledger.begin() as work:
            answers = file_batch(work, self._still_there(placed), quiet_period=self._quiet_period)
            if isinstance(answers, Overtaken):
                return 0
            work.commit()
        done = [
            (record.ref, arrival, answer)
            for (record, arrival), answer in zip(read, answers, strict=True)
            if not isinstance(answer, Deferred)
        ]
        spool.release([ref for ref, _, _ in done])
        self.filed_bytes[spool.id] += sum(arrival.size_bytes for _, arrival, _ in done)
        self._tell(done)
        return len(done)

    def _put(self, read: Sequence[_Read]) -> list[Arrival]:
        """Make the objects durable where they belong."""
        arrivals = [arrival for _, arrival in read]
        with self._ledger.read() as view:
            keys = place(view, arrivals)
        results = self._archive.put_batch(
            [
                Object(key=key, chunks=record.chunks(), size_bytes=record.body_size)
                for (record, _), key in zip(read, keys, strict=True)
                if key is not None
            ]
        )
        fingerprints = {result.key: result.fingerprint for result in results}
        return [
            replace(arrival, object_key=key, fingerprint=fingerprints.get(key or ""))
            for arrival, key in zip(arrivals, keys, strict=True)
        ]

    def _still_there(self, placed: list[Arrival]) -> list[Arrival]:
        """Asked as a writer: a sweep may have taken an object of ours for an orphan of old.

        It removes as a writer as well, so it has either seen our row or we see its gap. A remote
        store is not asked object by object while everybody waits; its orphans are an hour old.
        """
        if not isinstance(self._archive, LocalArchive):
            return placed
        there = self._archive.infos([one.object_key for one in placed if one.object_key])
        return [one if one.object_key in there else replace(one, object_key=None) for one in placed]

    def _tell(self, done: Sequence[tuple[RecordRef, Arrival, Filing]]) -> None:
        now = self._clock()
        with self._done:
            for ref, _, _ in done:
                self._filed[ref] = None
            while len(self._filed) > _REMEMBERED:
                self._filed.popitem(last=False)
            self._done.notify_all()
        for _, arrival, answer in done:
            lag_s = max(0, now - arrival.received_at) / MICROSECONDS_PER_SECOND
            self._observer.record_filed(arrival, answer, lag_s=lag_s)


def _up_to(bytes_max: int, records: Sequence[SpooledRecord]) -> list[SpooledRecord]:
    taken: list[SpooledRecord] = []
    total = 0
    for record in records:
        taken.append(record)
        total += record.body_size
        if total >= bytes_max:
            break
    return taken


def _read(record: SpooledRecord) -> Arrival | None:
    """Digest a record: SHA-256 over transfer syntax and data set. None for a damaged one.

    It is kept and reported by the spool, and the others are filed.
    """
    header = record.header
    digest = hashlib.sha256(header.incoming.transfer_syntax_uid.encode("ascii"))
    digest.update(b"\0")
    skip = header.data_set_offset
    try:
        for chunk in record.chunks():
            digest.update(memoryview(chunk)[skip:] if skip else chunk)
            skip = max(0, skip - len(chunk))
    except RecordDamaged:
        return None
    return Arrival(
        incoming=header.incoming,
        examination_id=header.examination_id,
        generation=header.generation,
        provisional=header.provisional,
        received_at=header.received_at,
        sha256=digest.hexdigest(),
        size_bytes=record.body_size,
    )
