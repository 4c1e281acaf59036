"""The listening socket: a thread that accepts connections, and shares the socket with others."""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

_BACKLOG = 512
_PAUSE_S = 0.1
"""How long to leave connections in the backlog when there is no descriptor for them."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on `host`, an address or name, and `port`; 0 takes any free one.

    Raises OSError if that is not possible.
    """
    family, _, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    return socket.create_server(address[:2], family=family, backlog=_BACKLOG)


class Listener:
    """Accepts connections from `listening`, which other processes may be accepting from too."""

    def __init__(
        self,
        listening: socket.socket,
        *,
        connected: Callable[[socket.socket, str], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """`connected` is called with each connection and the peer's address; it must not wait."""
        self._listening = listening
        self._connected = connected
        self._failed = failed
        self._stop = os.eventfd(0)
        # Another process may be faster to accept: that is no reason to wait for the next one.
        listening.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="dicom-listener", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._listening.getsockname()[1])

    def stop(self) -> None:
        """Accept no more, and close this process's hold of the socket."""
        os.eventfd_write(self._stop, 1)
        self._thread.join()
        os.close(self._stop)
        self._listening.close()

    def _run(self) -> None:
        # Not select(2), which sees no descriptor above 1,023. Exclusive: one connection wakes one
        # of the processes that share the socket.
        with select.epoll() as waiting:
            waiting.register(self._stop, select.EPOLLIN)
            waiting.register(self._listening, select.EPOLLIN | select.EPOLLEXCLUSIVE)
            while True:
                ready = {descriptor for descriptor, _ in waiting.poll()}
                if self._stop in ready:
                    return
                try:
                    connection, address = self._listening.accept()
                except (BlockingIOError, ConnectionAbortedError, InterruptedError):
                    continue
                except OSError as error:
                    self._failed(error)
                    select.poll().poll(_PAUSE_S * 1_000)
                    continue
                self._hand_over(connection, str(address[0]))

    def _hand_over(self, connection: socket.socket, source: str) -> None:
        try:
            connection.setblocking(True)
            self._connected(connection, source)
        except Exception as error:  # noqa: BLE001 - no thread, say; the next one may find one
            self._failed(error)
            with suppress(OSError):
                connection.close()
