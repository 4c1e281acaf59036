"""The control process: metrics and health over HTTP, and the keeper's timers."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from config import Settings
from gateway.board import Board
from gateway.bootstrap import (
    KEEPER_LOCK,
    SNAPSHOT,
    open_archive,
    open_serving_ledger,
    quarantine_limits,
    starts_without_ledger,
)
from gateway.children import Link
from gateway.keeper import INTERVAL_S, Keeper
from gateway.lookout import Lookout
from gateway.outage import ANSWER_S
from gateway.telemetry import multiprocess
from gateway.telemetry.events import Events
from gateway.telemetry.ledger_metrics import LedgerCollector
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.process_metrics import ProcessesCollector
from gateway.version import VERSION
from gateway.web.app import build_app
from quota.admission import RefusalReason
from storage.engine import Database
from storage.errors import StorageError
from storage.ledger import SqlLedger

_STOP_S = 3.0


class HttpServer:
    """Serves the application on a thread of its own."""

    def __init__(self, app: FastAPI, listening: socket.socket) -> None:
        self._socket = listening
        self.port: int = listening.getsockname()[1]
        configuration = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=2,
            lifespan="off",
        )
        self._server = uvicorn.Server(configuration)
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer what is under way and end."""
        self._server.should_exit = True
        self._thread.join(_STOP_S)
        self._socket.close()

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])


class KeeperThread:
    """Runs the keeper while this process holds the keeper's lock, and waits for it otherwise."""

    def __init__(
        self, keeper: Keeper, database: Database, *, failed: Callable[[Exception], None]
    ) -> None:
        self._keeper = keeper
        self._database = database
        self._failed = failed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Let the round in progress end."""
        self._stop.set()
        self._keeper.stop()
        self._thread.join(_STOP_S)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with self._database.try_lock(KEEPER_LOCK) as held:
                    if held:
                        self._keeper.run()
            except StorageError as error:
                # The lock ended with its connection; whoever keeps now does so once per key.
                self._failed(error)
            self._stop.wait(INTERVAL_S)


def run_control(
    settings: Settings,
    sockets: tuple[socket.socket, socket.socket],
    board: Board,
    link: Link,
) -> int:
    """Composition root of the control process; runs until it is told to stop.

    `sockets` are the DICOM side's and the HTTP side's.
    """
    dicom, http = sockets
    dicom.close()  # the workers', inherited with everything else
    ledger = open_serving_ledger(settings)
    events = Events(Metrics(version=VERSION, refusal_reasons=tuple(RefusalReason)))
    registry = multiprocess.registry()
    registry.register(LedgerCollector(ledger.within(ANSWER_S), data_dir=settings.data_dir))
    registry.register(ProcessesCollector(lambda: {**board.pids(), "control": os.getpid()}))

    def not_ready() -> list[str]:
        if starts_without_ledger(settings):
            return board.not_ready()  # instances are taken in whether it answers or not
        return [*board.not_ready(), *unanswering(ledger.within(ANSWER_S))]

    server = HttpServer(build_app(registry=registry, version=VERSION, not_ready=not_ready), http)
    keeper = Keeper(
        ledger, events, archive=open_archive(settings), quarantine=quarantine_limits(settings)
    )
    thread = KeeperThread(keeper, ledger.database, failed=events.keeper_failed)
    lookout = Lookout(ledger, settings.data_dir / SNAPSHOT, failed=events.keeper_failed)
    server.start()
    thread.start()
    lookout.start()
    link.say(ready=True)
    link.stop.wait()
    lookout.stop()
    thread.stop()
    server.stop()
    ledger.database.dispose()
    return 0


def unanswering(ledger: SqlLedger) -> list[str]:
    """Why the database keeps the gateway from being ready, if it does."""
    try:
        with ledger.read() as view:
            view.accounts()
    except StorageError:
        return ["the database does not answer"]
    return []
