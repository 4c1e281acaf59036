"""The control side: metrics and health over HTTP, and the keeper's timers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from gateway.bootstrap import KEEPER_LOCK
from gateway.keeper import INTERVAL_S, Keeper
from storage.engine import Database
from storage.errors import StorageError

_STOP_S = 3.0


class HttpServer:
    """Serves the application on a thread of its own."""

    def __init__(self, app: FastAPI, *, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((host, port))
        self.port: int = self._socket.getsockname()[1]
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
        self._socket.listen(128)
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
