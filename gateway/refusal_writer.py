"""Writes the register of refusals in batches, off the answer's path (ADM-2)."""

from __future__ import annotations

import threading
from collections.abc import Callable

from storage.errors import StorageError
from storage.ledger import SqlLedger
from storage.refusals import RefusedInstance, register

PENDING_MAX = 50_000
_BATCH_MAX = 100
"""Filing for the same account waits for it: some 0.1 s."""
_RETRY_S = 1.0


class RefusalWriter:
    """Whatever gathers while one batch is written makes the next: the first is written at once.

    A crash may lose a batch; a refused instance was never acknowledged, so nothing else is lost.
    """

    def __init__(self, ledger: SqlLedger, *, failed: Callable[[Exception], None]) -> None:
        self._ledger = ledger
        self._failed = failed
        self._pending: list[RefusedInstance] = []
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="refusal-writer", daemon=True)

    def start(self) -> None:
        """Begin writing."""
        self._thread.start()

    def add(self, refused: RefusedInstance) -> None:
        """Take a refusal; beyond PENDING_MAX (the database is long gone) it is not listed."""
        with self._changed:
            if len(self._pending) < PENDING_MAX:
                self._pending.append(refused)
            self._changed.notify()

    def stop(self, timeout_s: float) -> None:
        """Write what is pending and end."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pending or self._stopping)
                batch = self._pending[:_BATCH_MAX]
                if not batch:
                    return
            done = self._write(batch)
            with self._changed:
                del self._pending[:done]
            if not done and self._pause():
                return

    def _write(self, batch: list[RefusedInstance]) -> int:
        """How many of the first ones are done with; none where the ledger can't be asked."""
        try:
            with self._ledger.begin() as work:
                register(work, batch)
                work.commit()
        except StorageError as error:
            self._failed(error)
            return 0
        except Exception as error:  # noqa: BLE001 - a writer that ended would be missed by nobody
            self._failed(error)
            # One can't be listed, say of a device that is not on record: it must not keep others.
            return 1 if len(batch) == 1 else self._write(batch[:1])
        return len(batch)

    def _pause(self) -> bool:
        """Wait before the next try; whether to give up because we are stopping."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping, timeout=_RETRY_S)
            return self._stopping
