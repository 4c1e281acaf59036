"""Filing: takes acknowledged instances out of the spools, behind the answer.

Order, always: object durable → rows committed → spool record released. A failure of the archive or
the database leaves everything in the spool; the same batch again changes nothing.
"""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, TypeAlias

from gateway.desk import Desk
from quota.time import MICROSECONDS_PER_SECOND, Clock, Instant
from storage.admitting import Overtaken
from storage.archive import Archive, Batch, LocalArchive
from storage.errors import StorageError
from storage.filing import Deferred, Filing, file_batch
from storage.ledger import SqlLedger
from storage.placing import Arrival, place
from storage.spool import RecordDamaged, SpooledRecord, read_places

BATCH_RECORDS_MAX = 250
BATCH_BYTES_MAX = 256 << 20
"""A batch ends with the record that reaches this."""
_ROWS_MAX = 50
"""Records per transaction. The device of a new examination waits behind it: with a whole batch in
one, the answers of 16 associations had a p99 of 92 ms."""
_GATHER_S = 0.3
"""How long records are left to gather. Filed one by one as they came, they cost ten times the
processor time, which the associations need, and a sync of the archive each."""
_GATHER_STEP_S = 0.05
_IDLE_S = 0.5
_LOOK_AGAIN_S = 0.2
_PAUSE_S, _PAUSE_MAX_S = 0.1, 15.0

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
    """Files from one worker's spools, the oldest records first; on one thread."""

    def __init__(
        self,
        *,
        desk: Desk,
        ledger: SqlLedger,
        archive: Archive,
        observer: FilerObserver,
        quiet_period: Instant,
        clock: Clock,
        stopping: threading.Event | None = None,
    ) -> None:
        """Setting `stopping` ends it after the batch that is under way."""
        self._desk = desk
        self._ledger = ledger
        self._archive = archive
        self._observer = observer
        self._quiet_period = quiet_period
        self._clock = clock
        self._stopping = stopping or threading.Event()

    @property
    def sick(self) -> bool:
        """Whether a sync has failed: nothing more may be filed by this process."""
        return self._archive.sick or self._ledger.database.sick

    def run(self) -> None:
        """File until it is stopped, or a sync has failed."""
        backoff = Backoff()
        while not self._stopping.is_set() and not self.sick:
            try:
                self._gather()
                filed = self.round()
                failed = False
            except Exception as error:  # noqa: BLE001 - a filer that ended would be missed by
                # nobody before the spool is full; the batch has rolled back by itself.
                if self._stopping.is_set():
                    return
                self._observer.filing_failed(error)
                filed, failed = 0, True
            backoff = backoff.after(failed=failed)
            if failed:
                self._stopping.wait(backoff.pause_s)
            elif not filed:
                self._rest()
        if self.sick:
            with suppress(StorageError):
                self._desk.sync_failed()

    def _gather(self) -> None:
        """Let a batch come together, unless it is full, somebody waits for it, or we are to end."""
        until_s = time.monotonic() + _GATHER_S
        while time.monotonic() < until_s and not self._stopping.is_set():
            waiting = self._desk.waiting()
            if waiting.hurried or not 0 < waiting.records < BATCH_RECORDS_MAX:
                return
            self._stopping.wait(_GATHER_STEP_S)

    def _rest(self) -> None:
        """Until there is something to file; what waits for its place must not keep us busy."""
        with suppress(StorageError):  # the next round says why
            if self._desk.waiting().records:
                self._stopping.wait(_LOOK_AGAIN_S)
            else:
                self._desk.wait_for_records(_IDLE_S)

    def round(self) -> int:
        """File one batch from each spool; returns how many records. Raises what a step raises."""
        return sum(self._file_from(spool) for spool in range(len(self._desk.directories)))

    def _file_from(self, spool: int) -> int:
        desk = self._desk
        records = read_places(
            desk.directories[spool],
            desk.places(spool, BATCH_RECORDS_MAX),
            damaged=partial(desk.damaged, spool),
        )
        if not records:
            return 0
        with self._archive.batch() as batch:
            read = [
                (record, arrival)
                for record in _up_to(BATCH_BYTES_MAX, records)
                if (arrival := _read(record, batch)) is not None
            ]
            placed = self._put(batch, [arrival for _, arrival in read])
        return sum(
            self._record(spool, read[first : first + _ROWS_MAX], placed[first : first + _ROWS_MAX])
            for first in range(0, len(read), _ROWS_MAX)
        )

    def _record(self, spool: int, read: Sequence[_Read], placed: Sequence[Arrival]) -> int:
        """Commit their rows, and let go of the records; returns how many."""
        with self._ledger.begin() as work:
            answers = file_batch(work, self._still_there(placed), quiet_period=self._quiet_period)
            if isinstance(answers, Overtaken):
                return 0
            work.commit()
        done = [
            (record, arrival, answer)
            for (record, arrival), answer in zip(read, answers, strict=True)
            if not isinstance(answer, Deferred)
        ]
        size_bytes = sum(record.body_size for record, _, _ in done)
        self._desk.release(spool, [record.ref for record, _, _ in done], size_bytes=size_bytes)
        now = self._clock()
        for _, arrival, answer in done:
            lag_s = max(0, now - arrival.received_at) / MICROSECONDS_PER_SECOND
            self._observer.record_filed(arrival, answer, lag_s=lag_s)
        return len(done)

    def _put(self, batch: Batch, arrivals: Sequence[Arrival]) -> list[Arrival]:
        """Make the objects durable where they belong."""
        if not arrivals:
            return []
        with self._ledger.read() as view:
            keys = place(view, arrivals)
        fingerprints = {result.key: result.fingerprint for result in batch.put(keys)}
        return [
            replace(arrival, object_key=key, fingerprint=fingerprints.get(key or ""))
            for arrival, key in zip(arrivals, keys, strict=True)
        ]

    def _still_there(self, placed: Sequence[Arrival]) -> Sequence[Arrival]:
        """Asked as a writer: a sweep may have taken an object of ours for an orphan of old.

        It removes as a writer as well, so it has either seen our row or we see its gap. A remote
        store is not asked object by object while everybody waits; its orphans are an hour old.
        """
        if not isinstance(self._archive, LocalArchive):
            return placed
        there = self._archive.infos([one.object_key for one in placed if one.object_key])
        return [one if one.object_key in there else replace(one, object_key=None) for one in placed]


def _up_to(bytes_max: int, records: Sequence[SpooledRecord]) -> list[SpooledRecord]:
    taken: list[SpooledRecord] = []
    total = 0
    for record in records:
        taken.append(record)
        total += record.body_size
        if total >= bytes_max:
            break
    return taken


def _read(record: SpooledRecord, batch: Batch) -> Arrival | None:
    """Digest a record on its way into the archive: SHA-256 over transfer syntax and data set.

    None for a damaged one: it is kept and reported by the spool, and the others are filed.
    """
    header = record.header
    digest = hashlib.sha256(header.incoming.transfer_syntax_uid.encode("ascii"))
    digest.update(b"\0")
    skip = header.data_set_offset
    try:
        for chunk in batch.take(record.chunks):
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
