"""The board: what every worker of this host has open, in a file that all of them map.

It counts associations for the caps of the host, and `tollgate association list` reads it. Each
worker writes its own rows alone; the file's lock orders those who take a place.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.dicom.access import Accepted
from quota.time import MICROSECONDS_PER_SECOND, Instant

_HEADER = struct.Struct("<8sIIq")
_MAGIC = b"TGBOARD1"
_VERSION = struct.Struct("<I")
# version, in use, started_at, last_at, institution, device, instances, bytes, titles, source
_ROW = struct.Struct("<IIqqqqqq16s16s46s")
# version, process, heartbeat, what keeps it from taking instances in
_STATE = struct.Struct("<IIq200s")
_ROW_BYTES = 256
_OWN, _FILER, _STATES = -1, -2, 2
"""The rows of states: a worker's own, its filer's, and how many there are."""
_READ_ATTEMPTS = 100
_SILENT_AFTER_US = 10_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveAssociation:
    """An association that is open now; instants in µs UTC, `instances` as acknowledged."""

    worker: int
    started_at: Instant
    last_at: Instant
    institution_id: int
    device_id: int
    instances: int
    bytes: int
    calling_ae_title: str
    called_ae_title: str
    source: str


class Board:
    """The mapped file. Each worker has a row for its state, one for its filer's, and
    `associations_max` others, so that one worker may have all the associations of the host.
    """

    def __init__(self, path: Path, *, writable: bool) -> None:
        self._descriptor = os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC)
        access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
        self._map = mmap.mmap(self._descriptor, 0, access=access)
        self._path = path
        magic, workers, associations_max, supervisor_pid = _HEADER.unpack_from(self._map)
        self.workers, self.associations_max = int(workers), int(associations_max)
        self.supervisor_pid = int(supervisor_pid)
        if magic != _MAGIC:
            raise ValueError(f"{path} is no board of this version")

    @classmethod
    def create(cls, path: Path, *, workers: int, associations_max: int) -> Board:
        """A board of this process, with nothing open; replaces the one of an earlier process."""
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(descriptor, _ROW_BYTES * (1 + workers * (_STATES + associations_max)))
            os.pwrite(descriptor, _HEADER.pack(_MAGIC, workers, associations_max, os.getpid()), 0)
        finally:
            os.close(descriptor)
        return cls(path, writable=True)

    def open_associations(self) -> list[LiveAssociation]:
        """Everything that is open, by worker."""
        return [
            found
            for worker in range(self.workers)
            for row in range(self.associations_max)
            if (found := self._association(worker, row)) is not None
        ]

    def clear(self, worker: int) -> None:
        """Forget a worker that is gone, and what it had open."""
        first, size = self._place(worker, _OWN), _ROW_BYTES * (1 + self.associations_max)
        self._map[first : first + size] = bytes(size)

    def beat(self, worker: int, reasons: list[str], *, for_s: float = 0.0) -> None:
        """A worker lives, and will for `for_s` seconds; `reasons` keep it from taking anything."""
        until = _now() + round(for_s * MICROSECONDS_PER_SECOND)
        state = (os.getpid(), until, "\n".join(reasons).encode()[:200])
        self._write(_STATE, self._place(worker, _OWN), state)

    def filer_runs(self, worker: int) -> None:
        """This process files for a worker."""
        self._write(_STATE, self._place(worker, _FILER), (os.getpid(), _now(), b""))

    def pids(self) -> dict[str, int]:
        """The supervisor's process, those of its workers and of their filers, by name."""
        found = {"supervisor": self.supervisor_pid}
        for worker in range(self.workers):
            for name, row in (("worker", _OWN), ("filer", _FILER)):
                if pid := self._read(_STATE, self._place(worker, row))[1]:
                    found[f"{name}-{worker}"] = int(pid)
        return found

    def not_ready(self) -> list[str]:
        """What keeps the workers from taking instances in; those that said nothing lately too."""
        reasons = []
        for worker in range(self.workers):
            _, _, beat_at, said = self._read(_STATE, self._place(worker, _OWN))
            if beat_at < _now() - _SILENT_AFTER_US:
                reasons.append(f"worker {worker} does not run")
            reasons += _text(said).splitlines()
        return list(dict.fromkeys(reasons))

    def close(self) -> None:
        """Unmap it."""
        self._map.close()
        os.close(self._descriptor)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let nobody else take a place."""
        # A file description of its own: forks that share one would not exclude each other.
        descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def sources(self) -> Iterator[str]:
        """The source of each open association."""
        for worker in range(self.workers):
            for row in range(self.associations_max):
                values = _ROW.unpack_from(self._map, self._place(worker, row))
                if values[1]:
                    yield _text(values[10])

    def write(self, worker: int, row: int, values: tuple[int | bytes, ...]) -> None:
        """Write the row of one association."""
        self._write(_ROW, self._place(worker, row), values)

    def _write(self, form: struct.Struct, place: int, values: tuple[int | bytes, ...]) -> None:
        """Who reads it at the same time sees an odd version, and looks again."""
        (version,) = _VERSION.unpack_from(self._map, place)
        _VERSION.pack_into(self._map, place, version | 1)
        form.pack_into(self._map, place, version | 1, *values)
        _VERSION.pack_into(self._map, place, ((version | 1) + 1) & 0xFFFF_FFFF)

    def _read(self, form: struct.Struct, place: int) -> tuple[Any, ...]:
        """A row as it was at one moment, or at the last attempt to catch one."""
        values = form.unpack_from(self._map, place)
        for _ in range(_READ_ATTEMPTS):
            again = form.unpack_from(self._map, place)
            if values[0] % 2 == 0 and values == again:
                break
            values = again
        return values

    def _association(self, worker: int, row: int) -> LiveAssociation | None:
        values = self._read(_ROW, self._place(worker, row))
        if not values[1]:
            return None
        return LiveAssociation(
            worker=worker,
            started_at=values[2],
            last_at=values[3],
            institution_id=values[4],
            device_id=values[5],
            instances=values[6],
            bytes=values[7],
            calling_ae_title=_text(values[8]),
            called_ae_title=_text(values[9]),
            source=_text(values[10]),
        )

    def _place(self, worker: int, row: int) -> int:
        """Where a row begins; those of states are below zero."""
        return _ROW_BYTES * (1 + _STATES + worker * (_STATES + self.associations_max) + row)


class WorkerBoard:
    """One worker's rows. Safe to use from many threads."""

    def __init__(self, board: Board, worker: int, *, per_source_max: int) -> None:
        self._board = board
        self._worker = worker
        self._per_source_max = per_source_max
        self._mutex = threading.Lock()
        self._free = list(range(board.associations_max))[::-1]

    def take(self, accepted: Accepted, *, called_ae_title: str, source: str) -> Place | None:
        """A row for one more association; None where the host has none for it."""
        with self._mutex, self._board.locked():
            sources = list(self._board.sources())
            full = len(sources) >= self._board.associations_max
            if full or sources.count(source) >= self._per_source_max:
                return None
            place = Place(
                self,
                row=self._free.pop(),
                fixed=(accepted.institution.id, accepted.device.id),
                names=(
                    accepted.device.ae_title.encode("ascii", "replace")[:16],
                    called_ae_title.encode("ascii", "replace")[:16],
                    source.encode("ascii", "replace")[:46],
                ),
            )
            place.write(in_use=True)
            return place

    def write(self, row: int, values: tuple[int | bytes, ...]) -> None:
        """Show one row."""
        self._board.write(self._worker, row, values)

    def leave(self, row: int) -> None:
        """Take one row back."""
        with self._mutex:
            self._free.append(row)


class Place:
    """One open association's row; its own thread counts in it."""

    def __init__(
        self,
        board: WorkerBoard,
        *,
        row: int,
        fixed: tuple[int, int],
        names: tuple[bytes, bytes, bytes],
    ) -> None:
        self._board = board
        self._row = row
        self._fixed = fixed
        self._names = names
        self._started_at = self._last_at = _now()
        self._instances = 0
        self._bytes = 0

    def stored(self, size_bytes: int) -> None:
        """One more instance was acknowledged."""
        self._instances += 1
        self._bytes += size_bytes
        self._last_at = _now()
        self.write(in_use=True)

    def leave(self) -> None:
        """The association has ended."""
        self.write(in_use=False)
        self._board.leave(self._row)

    def write(self, *, in_use: bool) -> None:
        """Show it as it is."""
        counted = (self._started_at, self._last_at, *self._fixed, self._instances, self._bytes)
        self._board.write(self._row, (int(in_use), *counted, *self._names))


def _now() -> Instant:
    return time.time_ns() // 1_000


def _text(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode("utf-8", "replace")
