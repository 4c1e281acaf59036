"""A line of limited bandwidth in front of a server on this machine."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from functools import partial

_CHUNK_BYTES = 16 << 10


class ThinLine:
    """Forwards connections; what goes to the server shares one bandwidth, answers are free.

    Counts what it carried, and from when to when. While `up` is clear it carries nothing.
    """

    def __init__(self, host: str, port: int, *, bytes_per_s: float) -> None:
        self._server = (host, port)
        self._bytes_per_s = bytes_per_s
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._free_at_s = 0.0
        self.up = threading.Event()
        self.up.set()
        self._connections: list[socket.socket] = []
        self.bytes_carried = 0
        self.began_s = 0.0
        self.ended_s = 0.0

    @property
    def endpoint(self) -> str:
        """Its address, as of an HTTP server."""
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    @property
    def share_used(self) -> float:
        """Of the bandwidth, from the first byte to the last."""
        return self.bytes_carried / (self.ended_s - self.began_s) / self._bytes_per_s

    def __enter__(self) -> ThinLine:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        # close() alone would leave a thread waiting in accept().
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.up.set()
        for connection in self._connections:
            connection.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near = self._listening.accept()[0]
                far = socket.create_connection(self._server)
                self._connections += [near, far]
                for source, sink in ((near, far), (far, near)):
                    forward = partial(self._forward, source, sink, slow=sink is far)
                    threading.Thread(target=forward, daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket, *, slow: bool) -> None:
        with suppress(OSError):
            while chunk := source.recv(_CHUNK_BYTES):
                if slow:
                    self._carry(len(chunk))
                sink.sendall(chunk)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _carry(self, count: int) -> None:
        """Wait as long as the line needs for so many bytes, after those before."""
        self.up.wait()
        with self._lock:
            now_s = time.monotonic()
            self.began_s = self.began_s or now_s
            self._free_at_s = max(now_s, self._free_at_s) + count / self._bytes_per_s
            self.bytes_carried += count
            self.ended_s = self._free_at_s
            free_at_s = self._free_at_s
        time.sleep(max(0.0, free_at_s - now_s))  # tidy: sleeps because the line is that slow
