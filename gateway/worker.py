"""The DICOM side: composition root of everything between an association and the archive."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from config import Settings
from gateway.admissions import Admissions
from gateway.board import Board, WorkerBoard
from gateway.bootstrap import SNAPSHOT, open_archive, open_serving_ledger, open_spools
from gateway.children import EXIT_SICK, Link
from gateway.desk import FilingDesk
from gateway.desk_link import DeskServer
from gateway.dicom.access import Registry, Rejection
from gateway.dicom.ports import Places
from gateway.dicom.scp import DrainReport, StorageScp
from gateway.intake import Intake
from gateway.outage import ANSWER_S, LastLook, Proposals, Pulse
from gateway.refusal_writer import RefusalWriter
from gateway.spool_beat import SpoolBeat
from gateway.telemetry import log
from gateway.telemetry.events import Events
from gateway.telemetry.metrics import Metrics
from gateway.version import VERSION
from quota.admission import RefusalReason
from quota.time import Clock
from storage import registry
from storage.engine import system_clock
from storage.errors import LedgerUnavailable
from storage.ledger import SqlLedger
from storage.snapshot import Snapshot

# Within the 25 s of a stop, beside the drain (15 s) and what the supervisor ends after it.
_FILE_STOP_S = 3.0
_REGISTER_STOP_S = 1.0
_SPOOL_BEAT_STOP_S = 1.0
_BEAT_S = 1.0
_SWITCH_S = 0.001


class RegistryReader:
    """Who may send: read afresh at every association; while the database is down as last read,
    or as in the host's snapshot where this process has read nothing yet."""

    def __init__(
        self, ledger: SqlLedger, *, last_look: Callable[[], Snapshot | None], pulse: Pulse
    ) -> None:
        self._ledger = ledger.within(ANSWER_S)
        self._last_look = last_look
        self._pulse = pulse
        self._last: Registry | None = None

    def __call__(self) -> Registry:
        """The registry of open institutions and devices."""
        if self._pulse.may_ask():
            try:
                with self._ledger.read() as view:
                    self._last = Registry(
                        institutions=tuple(registry.institutions(view)),
                        devices=tuple(registry.devices(view)),
                    )
                self._pulse.answered()
            except LedgerUnavailable:
                self._pulse.failed()
        return self._last or self._remembered()

    def _remembered(self) -> Registry:
        seen = self._last_look()
        if seen is None:
            return Registry(institutions=(), devices=())
        return Registry(institutions=seen.institutions, devices=seen.devices)


class Worker:
    """Takes instances in, and lets a filer have them, until it is drained."""

    def __init__(
        self,
        settings: Settings,
        ledger: SqlLedger,
        events: Events,
        *,
        directories: Sequence[Path],
        places: Places | None = None,
        clock: Clock = system_clock,
    ) -> None:
        """Take the spools in `directories`: new records go into the first, all are filed from.

        `places` counts the associations of all workers of a host; `clock` says when an instance
        was received. Raises StorageError for an unusable spool.
        """
        self._settings = settings
        self._ledger = ledger
        self._events = events
        self._clock = clock
        self.archive = open_archive(settings)
        self.spools = open_spools(settings, directories)
        self._refusals = RefusalWriter(ledger, failed=events.register_failed)
        self.desk = FilingDesk(
            self.spools,
            released=self.beat,
            beat=lambda: self._spool_beat.sample(),  # noqa: PLW0108 - it is made after the desk
        )
        self._spool_beat = SpoolBeat(ledger, self.spools, filer=self.desk, clock=clock)
        last_look, pulse = LastLook(settings.data_dir / SNAPSHOT), Pulse()
        proposals = Proposals(last_look=last_look, clock=clock)
        admits = settings.spool.when_ledger_unreachable == "admit"
        self._admissions = Admissions(ledger, proposals=proposals if admits else None, pulse=pulse)
        intake = Intake(
            spool=self.spools[0],
            admissions=self._admissions,
            observer=events,
            register_refusal=self._refusals.add,
            clock=clock,
            sick=lambda: self.sick,
            wait_for=self.desk if settings.spool.ack == "archive" else None,
        )
        self._scp = StorageScp(
            settings=settings.dicom,
            registry=RegistryReader(ledger, last_look=last_look, pulse=pulse),
            lane=intake,
            observer=events,
            admits_associations=self._admits_associations,
            places=places,
        )
        self.listening = False
        self.beat()

    def start(self, listening: socket.socket) -> None:
        """Accept from a socket that may be shared."""
        self._spool_beat.start()
        self._refusals.start()
        self.spools[0].keep_ready(self._settings.spool.ready_segments)
        self._admissions.rehearse()
        self._scp.start_on(listening)
        self.listening = True

    def drain(self) -> DrainReport:
        """Stop listening, let stores in flight finish, have filed what fits; the rest waits."""
        self.listening = False
        self._scp.stop_listening()
        report = self._scp.drain(self._settings.shutdown.drain_timeout_s)
        self.desk.finish(_FILE_STOP_S)
        self._refusals.stop(_REGISTER_STOP_S)
        self._spool_beat.stop(_SPOOL_BEAT_STOP_S)
        self.beat()
        for spool in self.spools:
            spool.close()
        return report

    def beat(self) -> None:
        """Tell how full the spools are; every second or so."""
        self._events.spools_looked_at(self.spools, now=self._clock())

    @property
    def unfiled(self) -> int:
        """How many acknowledged instances wait in the spools."""
        return sum(spool.usage().records for spool in self.spools)

    @property
    def sick(self) -> bool:
        """Whether a sync has failed here or in the filer: nothing more may be acknowledged."""
        spools = any(spool.sick for spool in self.spools)
        return spools or self.desk.filer_is_sick or self._ledger.database.sick

    def not_ready(self) -> list[str]:
        """What keeps the DICOM side from taking instances in."""
        reasons = []
        if not self.listening:
            reasons.append("not listening")
        if self.sick:
            reasons.append("a sync failed")
        if not self._has_room():
            reasons.append("the disk is nearly full")
        return reasons

    def _has_room(self) -> bool:
        return self.spools[0].has_room() and self.archive.has_room()

    def _admits_associations(self) -> Rejection | None:
        """Reject for load only (2/3/1); a quota never rejects an association."""
        if self.sick or not self._has_room():
            return Rejection.CONGESTION
        return None


def run_worker(
    settings: Settings,
    number: int,
    sockets: tuple[socket.socket, socket.socket, socket.socket],
    board: Board,
    link: Link,
    *,
    directories: Sequence[Path],
) -> int:
    """Composition root of one worker process; runs until it is told to stop, or a sync failed.

    `sockets` are the DICOM side's, the HTTP side's and the worker's end of the link to its filer;
    `directories` are this worker's spools.
    """
    # An association's thread that wants to answer waits no longer than this for another's.
    sys.setswitchinterval(_SWITCH_S)
    dicom, http, desk = sockets
    http.close()  # the control process's, inherited with everything else
    ledger = open_serving_ledger(settings)
    events = Events(Metrics(version=VERSION, refusal_reasons=tuple(RefusalReason)))
    places = WorkerBoard(board, number, per_source_max=settings.dicom.associations_per_source_max)
    worker = Worker(settings, ledger, events, directories=directories, places=places)
    # What a killed process left in the spools is filed behind the answers to come.
    server = DeskServer(worker.desk, desk)
    server.start()
    worker.start(dicom)
    board.beat(number, worker.not_ready())
    link.say(ready=True)
    while not link.stop.wait(_BEAT_S) and not worker.sick:
        board.beat(number, worker.not_ready())
        worker.beat()
    if worker.sick:
        log.get_logger("worker").critical("sync_failed")
    board.beat(number, ["not listening"], for_s=settings.shutdown.drain_timeout_s)
    report = worker.drain()
    server.stop()
    link.say(associations=report.aborted + report.ended_themselves, stores=report.stores_unanswered)
    ledger.database.dispose()
    return EXIT_SICK if worker.sick else 0
