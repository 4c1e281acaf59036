"""The DICOM side: composition root of everything between an association and the archive."""

from __future__ import annotations

import socket
from contextlib import suppress

from config import Settings
from gateway.board import Board, WorkerBoard
from gateway.bootstrap import open_archive, open_ledger
from gateway.children import Link
from gateway.dicom.access import Registry, Rejection
from gateway.dicom.collecting import CollectingLane
from gateway.dicom.ports import Places
from gateway.dicom.scp import DrainReport, StorageScp
from gateway.dicom.store import StoreHandler
from gateway.receiver import Receiver
from gateway.refusal_writer import RefusalWriter
from gateway.telemetry import log
from gateway.telemetry.events import Events
from gateway.telemetry.metrics import Metrics
from gateway.version import VERSION
from quota.admission import RefusalReason
from quota.time import MICROSECONDS_PER_SECOND
from storage import registry
from storage.errors import LedgerUnavailable
from storage.ledger import SqlLedger

EXIT_SICK = 3
"""The status of a worker whose disk failed: whoever watches the gateway is to start it anew."""
_REGISTER_STOP_S = 3.0
_BEAT_S = 1.0


class RegistryReader:
    """Who may send: read afresh at every association, or last read while the
    database is down."""

    def __init__(self, ledger: SqlLedger) -> None:
        self._ledger = ledger
        self._last = Registry(institutions=(), devices=())

    def __call__(self) -> Registry:
        """The registry of open institutions and devices."""
        with suppress(LedgerUnavailable), self._ledger.read() as view:
            self._last = Registry(
                institutions=tuple(
                    one for one in registry.institutions(view) if one.closed_at is None
                ),
                devices=tuple(one for one in registry.devices(view) if one.closed_at is None),
            )
        return self._last


class Worker:
    """Takes instances in until it is drained."""

    def __init__(
        self,
        settings: Settings,
        ledger: SqlLedger,
        events: Events,
        *,
        places: Places | None = None,
    ) -> None:
        """`places` counts the associations of all workers of a host."""
        self._settings = settings
        self.archive = open_archive(settings)
        self._refusals = RefusalWriter(ledger, failed=events.register_failed)
        quiet_period_s = settings.examination.quiet_period_s
        self.receiver = Receiver(
            ledger=ledger,
            archive=self.archive,
            register_refusal=self._refusals.add,
            quiet_period=round(quiet_period_s * MICROSECONDS_PER_SECOND),
        )
        self._scp = StorageScp(
            settings=settings.dicom,
            registry=RegistryReader(ledger),
            lane=CollectingLane(StoreHandler(self.receiver, events)),
            observer=events,
            admits_associations=self._admits_associations,
            places=places,
        )
        self.listening = False

    def start(self, listening: socket.socket) -> None:
        """Tidy up after a killed process, and accept from a socket that may be shared."""
        self.archive.discard_unfinished()
        self._refusals.start()
        self._scp.start_on(listening)
        self.listening = True

    def drain(self) -> DrainReport:
        """Stop listening, let stores in flight finish, write what the register is owed."""
        self.listening = False
        self._scp.stop_listening()
        report = self._scp.drain(self._settings.shutdown.drain_timeout_s)
        self._refusals.stop(_REGISTER_STOP_S)
        return report

    def not_ready(self) -> list[str]:
        """What keeps the DICOM side from taking instances in."""
        reasons = []
        if not self.listening:
            reasons.append("not listening")
        if self.receiver.sick:
            reasons.append("a sync failed")
        if not self.archive.has_room():
            reasons.append("the disk is nearly full")
        return reasons

    def _admits_associations(self) -> Rejection | None:
        """Reject for load only (2/3/1); a quota never rejects an association."""
        if self.receiver.sick or not self.archive.has_room():
            return Rejection.CONGESTION
        return None


def run_worker(
    settings: Settings,
    number: int,
    sockets: tuple[socket.socket, socket.socket],
    board: Board,
    link: Link,
) -> int:
    """Composition root of one worker process; runs until it is told to stop, or a sync failed.

    `sockets` are the DICOM side's and the HTTP side's.
    """
    dicom, http = sockets
    http.close()  # the control process's, inherited with everything else
    ledger = open_ledger(settings)
    events = Events(Metrics(version=VERSION, refusal_reasons=tuple(RefusalReason)))
    places = WorkerBoard(board, number, per_source_max=settings.dicom.associations_per_source_max)
    worker = Worker(settings, ledger, events, places=places)
    worker.start(dicom)
    board.beat(number, worker.not_ready())
    link.say(ready=True)
    while not link.stop.wait(_BEAT_S) and not worker.receiver.sick:
        board.beat(number, worker.not_ready())
    if worker.receiver.sick:
        log.get_logger("worker").critical("sync_failed")
    board.beat(number, ["not listening"], for_s=settings.shutdown.drain_timeout_s)
    report = worker.drain()
    link.say(associations=report.aborted + report.ended_themselves, stores=report.stores_unanswered)
    ledger.database.dispose()
    return EXIT_SICK if worker.receiver.sick else 0
