"""`tollgate serve`: one supervisor; it starts the processes, watches them, drains them at the end.

It binds both ports, so that a port in use is told at once, and holds the gateway's lock. It runs no
thread and holds no connection: its children are forks of it.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from types import FrameType

from config import Settings
from gateway.board import Board
from gateway.bootstrap import (
    BOARD,
    GATEWAY_LOCK,
    METRICS,
    discard_unfinished,
    open_serving_ledger,
    spool_root,
)
from gateway.children import EXIT_SICK, Child, Children
from gateway.control import run_control
from gateway.desk_link import pair
from gateway.dicom.listener import listen
from gateway.dicom.negotiation import accepted_contexts
from gateway.filer import run_filer
from gateway.telemetry import log, multiprocess
from gateway.version import VERSION
from gateway.worker import run_worker
from storage.errors import StorageError
from storage.spool import spools
from storage.sqlite import try_lock_file

_START_S = 60.0
_LOCK_S = 5.0
"""How long the processes of a gateway that was killed may take to be gone."""
_WAIT_S = 60.0
_BEYOND_DRAIN_S = 8.0
"""What follows a worker's drain: its aborts, its register, its spool."""
_END_S = 5.0


class GatewayError(StorageError):
    """The gateway can't start."""


@dataclass(frozen=True, kw_only=True)
class _Sockets:
    """Bound before anything else is done."""

    dicom: socket.socket
    http: socket.socket


def serve(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT; returns the exit status. Raises StorageError if it can't start.

    0 after a drain; 1 where a disk failed, so that whoever watches starts it anew.
    """
    log.configure(level=settings.log.level, console=_on_console(settings))
    with ExitStack() as held:
        # The ledger is opened once here: what is wrong with it is said before anything runs.
        open_serving_ledger(settings).database.dispose()
        held.enter_context(_only_gateway(settings))
        discard_unfinished(settings)
        sockets = _Sockets(
            dicom=held.enter_context(_bound("DICOM", settings.dicom.host, settings.dicom.port)),
            http=held.enter_context(_bound("HTTP", settings.http.host, settings.http.port)),
        )
        return held.enter_context(_Supervisor(settings, sockets)).run()


class _Supervisor:
    """The processes of one gateway, from their start to their end."""

    def __init__(self, settings: Settings, sockets: _Sockets) -> None:
        self._settings = settings
        self._sockets = sockets
        self._logger = log.get_logger("supervisor")
        self._wake, self._woken = os.pipe()
        os.set_blocking(self._woken, False)
        self._received: list[int] = []
        self._children = Children()
        self._board = Board.create(
            settings.data_dir / BOARD,
            workers=settings.dicom.worker_count,
            associations_max=settings.dicom.associations_max,
        )
        # Dealt out before anybody opens one, so that a restarted worker gets its own again.
        self._spools = spools.deal(spool_root(settings), settings.dicom.worker_count)
        self._desks = [pair() for _ in self._spools]
        self._workers: list[Child] = []
        self._filers: list[Child] = []
        multiprocess.prepare(settings.data_dir / METRICS)

    def __enter__(self) -> _Supervisor:
        signal.set_wakeup_fd(self._woken)
        signal.signal(signal.SIGTERM, self._receive)
        signal.signal(signal.SIGINT, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        self._children.close()
        self._board.close()
        for desk, other in self._desks:
            desk.close()
            other.close()

    def run(self) -> int:
        """Start, watch, drain."""
        self._start()
        sick = self._watch()
        if self._received:
            self._logger.info("drain_began", signal=signal.Signals(self._received[0]).name)
        self._drain()
        return int(sick)

    def _start(self) -> None:
        settings, sockets = self._settings, self._sockets
        # Done here, every process has it when it is forked, and none makes a requestor wait for it.
        accepted_contexts(offer_deflated=settings.dicom.offer_deflated)
        # What is loaded by now stays: no process's collector looks at it again, or copies its page.
        gc.collect()
        gc.freeze()
        both = (sockets.dicom, sockets.http)
        self._control = self._children.add(
            "control", partial(run_control, settings, both, self._board)
        )
        for number, ((desk, other), directories) in enumerate(
            zip(self._desks, self._spools, strict=True)
        ):
            worker = partial(run_worker, settings, number, (*both, desk), self._board)
            filer = partial(run_filer, settings, number, self._board, other)
            self._workers.append(
                self._children.add(f"worker-{number}", partial(worker, directories=directories))
            )
            self._filers.append(
                self._children.add(f"filer-{number}", partial(filer, directories=directories))
            )
        self._await_ready([self._control, *self._workers, *self._filers])
        self._logger.info(
            "gateway_started",
            version=VERSION,
            pid=os.getpid(),
            count=len(self._workers),
            address=[settings.dicom.host, settings.http.host],
            port=[sockets.dicom.getsockname()[1], sockets.http.getsockname()[1]],
            data_dir=settings.data_dir,
        )

    def _await_ready(self, children: list[Child]) -> None:
        """Raises GatewayError where one of them can't start."""
        deadline_s = time.monotonic() + _START_S
        while not self._received and not all("ready" in child.said for child in children):
            ended = self._children.wait(min(1.0, deadline_s - time.monotonic()), self._wake)
            for child, status in ended:
                reason = child.said.get("failed", f"its {child.name} ended with status {status}")
                self._children.end(children, _END_S)
                raise GatewayError(str(reason))
            if time.monotonic() > deadline_s:
                self._children.end(children, _END_S)
                raise GatewayError(f"not all of its processes were ready within {_START_S:.0f} s")

    def _watch(self) -> bool:
        """Until a signal comes, or a disk has failed; returns whether one has."""
        sick = False
        while not self._received and not sick:
            for child, status in self._children.wait(self._pause_s(), self._wake):
                multiprocess.forget(child.process.pid)
                sick = sick or status == EXIT_SICK
                if child in self._workers:
                    self._board.clear(int(child.name.rpartition("-")[2]))
                pause_s = self._children.restart_later(child)
                self._logger.error(
                    "process_ended", component=child.name, status=status, duration_s=pause_s
                )
            for child in self._children.restart_due():
                self._logger.info("process_restarted", component=child.name)
        return sick

    def _pause_s(self) -> float:
        return min(_WAIT_S, self._children.restart_in_s())

    def _drain(self) -> None:
        """Workers first, while their filers still file, and control tells of them.

        A filer in the midst of a batch ends it; what it can't report any more is found to be
        filed when it comes again.
        """
        self._sockets.dicom.close()
        limit_s = self._settings.shutdown.drain_timeout_s + _BEYOND_DRAIN_S
        self._children.end(self._workers, limit_s)
        self._children.end([*self._filers, self._control], _END_S)
        self._logger.info(
            "gateway_stopped",
            associations=sum(child.said.get("associations", 0) for child in self._workers),
            stores=sum(child.said.get("stores", 0) for child in self._workers),
        )

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        self._received.append(number)


@contextmanager
def _only_gateway(settings: Settings) -> Iterator[None]:
    """Hold the lock of the data directory. Raises GatewayError where another gateway has it."""
    deadline_s = time.monotonic() + _LOCK_S
    while True:
        with try_lock_file(settings.data_dir / GATEWAY_LOCK) as locked:
            if locked:
                yield
                return
        if time.monotonic() > deadline_s:
            raise GatewayError(
                f"another gateway is running on {settings.data_dir}; "
                "stop it, or set TOLLGATE_DATA_DIR to another directory"
            )
        time.sleep(0.05)  # a lock file has no event that a process could wait for with a limit


@contextmanager
def _bound(side: str, host: str, port: int) -> Iterator[socket.socket]:
    """A listening socket. Raises GatewayError that names the setting."""
    try:
        listening = listen(host, port)
    except OSError as error:
        raise GatewayError(
            f"{side} can't listen on {host}:{port} ({error.strerror}); "
            f"set TOLLGATE_{side}__PORT to a free port"
        ) from error
    with listening:
        yield listening


def _on_console(settings: Settings) -> bool:
    return settings.log.format == "console" or (
        settings.log.format == "auto" and sys.stdout.isatty()
    )
