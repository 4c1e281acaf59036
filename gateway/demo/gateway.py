"""All sides of a gateway as threads of one process, on the demo's clock.

`tollgate serve` runs the same parts in processes of their own (gateway/supervisor.py).
"""

from __future__ import annotations

import threading

from config import Settings
from gateway.bootstrap import (
    discard_unfinished,
    open_ledger,
    quarantine_limits,
    spool_root,
)
from gateway.control import HttpServer, KeeperThread
from gateway.dicom.listener import listen
from gateway.dicom.scp import DrainReport
from gateway.filing import Filer
from gateway.keeper import Keeper
from gateway.telemetry.events import Events
from gateway.telemetry.ledger_metrics import LedgerCollector
from gateway.telemetry.metrics import Metrics
from gateway.version import VERSION
from gateway.web.app import build_app
from gateway.worker import Worker
from quota.admission import RefusalReason
from quota.time import MICROSECONDS_PER_SECOND, Clock
from storage.engine import system_clock
from storage.errors import StorageError
from storage.spool import spools

_STOP_S = 5.0


class Gateway:
    """All sides of one gateway. `clock` replaces the ledger's; only the demo passes one."""

    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        self._settings = settings
        self.dicom_port = 0
        self.http_port = 0
        self.ledger = open_ledger(settings, clock=clock)
        metrics = Metrics(version=VERSION, refusal_reasons=tuple(RefusalReason))
        metrics.registry.register(LedgerCollector(self.ledger, data_dir=settings.data_dir))
        self.events = Events(metrics)
        discard_unfinished(settings)
        (directories,) = spools.deal(spool_root(settings), 1)
        self.worker = Worker(
            settings,
            self.ledger,
            self.events,
            directories=directories,
            clock=clock or system_clock,
        )
        self._stopping = threading.Event()
        filer = Filer(
            desk=self.worker.desk,
            ledger=self.ledger,
            archive=self.worker.archive,
            observer=self.events,
            quiet_period=round(settings.examination.quiet_period_s * MICROSECONDS_PER_SECOND),
            clock=clock or system_clock,
            stopping=self._stopping,
        )
        self._filer = threading.Thread(target=filer.run, name="filer", daemon=True)
        self._app = build_app(registry=metrics.registry, version=VERSION, not_ready=self.not_ready)
        keeper = Keeper(
            self.ledger,
            self.events,
            archive=self.worker.archive,
            quarantine=quarantine_limits(settings),
        )
        self._keeper = KeeperThread(keeper, self.ledger.database, failed=self.events.keeper_failed)
        self._http: HttpServer | None = None

    def start(self) -> None:
        """Listen on both ports, then let time pass. Raises OSError for a port in use."""
        http, dicom = self._settings.http, self._settings.dicom
        self._http = HttpServer(self._app, listen(http.host, http.port))
        self._http.start()
        self.http_port = self._http.port
        listening = listen(dicom.host, dicom.port)
        self.dicom_port = listening.getsockname()[1]
        self.worker.start(listening)
        self._filer.start()
        self._keeper.start()

    def drain(self) -> DrainReport:
        """Stop taking in, finish what is in flight, stop everything."""
        report = self.worker.drain()
        self._stopping.set()
        self._filer.join(_STOP_S)
        self._keeper.stop()
        if self._http is not None:
            self._http.stop()
        self.ledger.database.dispose()
        return report

    def not_ready(self) -> list[str]:
        """What keeps the gateway from taking instances in."""
        reasons = self.worker.not_ready()
        try:
            with self.ledger.read() as view:
                view.accounts()
        except StorageError:
            reasons.append("the database does not answer")
        return reasons
