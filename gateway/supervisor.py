"""`tollgate serve`: starts the sides of the gateway, watches them, and drains them at the end."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import ExitStack
from types import FrameType

from config import Settings
from gateway.bootstrap import GATEWAY_LOCK, open_ledger, quarantine_limits
from gateway.control import HttpServer, KeeperThread
from gateway.dicom.scp import DrainReport
from gateway.keeper import Keeper
from gateway.telemetry import log
from gateway.telemetry.events import Events
from gateway.telemetry.ledger_metrics import LedgerCollector
from gateway.telemetry.metrics import Metrics
from gateway.version import VERSION
from gateway.web.app import build_app
from gateway.worker import Worker
from quota.admission import RefusalReason
from quota.time import Clock
from storage.errors import StorageError
from storage.sqlite import try_lock_file

_WATCH_S = 0.5


class GatewayError(StorageError):
    """The gateway can't start."""


class Gateway:
    """All sides of one gateway. `clock` replaces the ledger's; only the demo passes one."""

    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        self._settings = settings
        self._held = ExitStack()
        self.dicom_port = 0
        self.http_port = 0
        self.ledger = open_ledger(settings, clock=clock)
        if not self._held.enter_context(try_lock_file(settings.data_dir / GATEWAY_LOCK)):
            raise GatewayError(
                f"another gateway is running on {settings.data_dir}; "
                "stop it, or set TOLLGATE_DATA_DIR to another directory"
            )
        metrics = Metrics(version=VERSION, refusal_reasons=tuple(RefusalReason))
        metrics.registry.register(LedgerCollector(self.ledger, data_dir=settings.data_dir))
        self.events = Events(metrics)
        self.worker = Worker(settings, self.ledger, self.events)
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
        """Listen on both ports, then let time pass. Raises GatewayError for a port in use."""
        http, dicom = self._settings.http, self._settings.dicom
        try:
            self._http = HttpServer(self._app, host=http.host, port=http.port)
        except OSError as error:
            raise _port_error("HTTP", http.host, http.port, error) from error
        self._http.start()
        self.http_port = self._http.port
        try:
            self.dicom_port = self.worker.start()
        except OSError as error:
            raise _port_error("DICOM", dicom.host, dicom.port, error) from error
        self._keeper.start()

    def drain(self) -> DrainReport:
        """Stop taking in, finish what is in flight, stop everything."""
        report = self.worker.drain()
        self._keeper.stop()
        if self._http is not None:
            self._http.stop()
        self.ledger.database.dispose()
        self._held.close()
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


def serve(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT; returns the exit status. Raises StorageError if it can't start.

    0 after a drain; 1 where the archive's disk failed, so that whoever watches starts it anew.
    """
    log.configure(level=settings.log.level, console=_on_console(settings))
    logger = log.get_logger("supervisor")
    wanted = threading.Event()
    received: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        wanted.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    gateway = Gateway(settings)
    gateway.start()
    logger.info(
        "gateway_started",
        version=VERSION,
        pid=os.getpid(),
        address=[settings.dicom.host, settings.http.host],
        port=[gateway.dicom_port, gateway.http_port],
        data_dir=settings.data_dir,
    )
    while not wanted.wait(_WATCH_S):
        if gateway.worker.receiver.sick:
            logger.critical("sync_failed")
            break
    if received:
        logger.info("drain_began", signal=signal.Signals(received[0]).name)
    report = gateway.drain()
    logger.info(
        "gateway_stopped",
        associations=report.aborted + report.ended_themselves,
        stores=report.stores_unanswered,
    )
    return int(gateway.worker.receiver.sick)


def _on_console(settings: Settings) -> bool:
    return settings.log.format == "console" or (
        settings.log.format == "auto" and sys.stdout.isatty()
    )


def _port_error(side: str, host: str, port: int, error: OSError) -> GatewayError:
    return GatewayError(
        f"{side} can't listen on {host}:{port} ({error.strerror}); "
        f"set TOLLGATE_{side}__PORT to a free port"
    )
