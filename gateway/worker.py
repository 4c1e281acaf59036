"""The DICOM side: composition root of everything between an association and the archive."""

from __future__ import annotations

from contextlib import suppress

from config import Settings
from gateway.bootstrap import open_archive
from gateway.dicom.access import Registry, Rejection
from gateway.dicom.collecting import CollectingLane
from gateway.dicom.scp import DrainReport, StorageScp
from gateway.dicom.store import StoreHandler
from gateway.receiver import Receiver
from gateway.refusal_writer import RefusalWriter
from gateway.telemetry.events import Events
from quota.time import MICROSECONDS_PER_SECOND
from storage import registry
from storage.errors import LedgerUnavailable
from storage.ledger import SqlLedger

_REGISTER_STOP_S = 3.0


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

    def __init__(self, settings: Settings, ledger: SqlLedger, events: Events) -> None:
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
        )
        self.listening = False

    def start(self) -> int:
        """Tidy up after a killed process, listen, and return the port. Raises OSError."""
        self.archive.discard_unfinished()
        self._refusals.start()
        self._scp.start(self._settings.dicom.host, self._settings.dicom.port)
        self.listening = True
        return self._scp.port

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
