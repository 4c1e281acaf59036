"""One TCP connection: read through one reusable buffer, written PDU by PDU, never waited for long.

The socket blocks and has no timeout of Python's, which would poll before each read. How long the
peer may be waited for is `patience_s`; somebody else's clock (`watchdog`) looks at `deadline_s`
and ends the connection, so that a peer which drips byte after byte is ended like a silent one.
"""

from __future__ import annotations

import math
import socket
import struct
import threading
import time
from contextlib import suppress

BUFFER_BYTES_MIN = 8_192
BUFFER_BYTES_MAX = 262_144
"""What a busy connection's buffer grows to. More saves no time: one read seldom finds more."""
_PARTING_S = 0.5
_LOCK_S = 0.1
_TIMEVAL = struct.Struct("ll")


class ConnectionEnded(Exception):
    """The connection is over: hung up, lost, or ended from this side."""


class Connection:
    """One thread reads and writes; `end` may be called by any thread."""

    def __init__(self, connected: socket.socket, *, send_timeout_s: float) -> None:
        self.deadline_s = math.inf
        """When this wait of the reading thread is too long; infinite while it does not wait."""
        self.patience_s = math.inf
        """How long the peer may still be waited for, all waits together."""
        self._socket = connected
        self._buffer = memoryview(bytearray(BUFFER_BYTES_MIN))
        self._start = self._stop = 0
        self._was_full = False
        self._sending = threading.Lock()
        self._closing = threading.Lock()
        self._ended = False
        with suppress(OSError):
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _bound(connected, socket.SO_SNDTIMEO, send_timeout_s)

    # -- reading -----------------------------------------------------------------------------------

    def take(self, count: int) -> memoryview:
        """The next `count` bytes, valid until the next read; raises ConnectionEnded.

        The buffer grows with what arrives, never with what was announced.
        """
        while self._stop - self._start < count:
            self._fill()
        start = self._start
        self._start = start + count
        return self._buffer[start : start + count]

    def some(self, count_max: int) -> memoryview:
        """What has arrived, at least a byte and at most `count_max`; else as `take`."""
        start, stop = self._start, self._stop
        if start == stop:
            self._fill()
            start, stop = self._start, self._stop
        stop = min(stop, start + count_max)
        self._start = stop
        return self._buffer[start:stop]

    def has_arrived(self) -> bool:
        """Whether there is something to read, or the end, without waiting for it."""
        if self._start != self._stop:
            return True
        try:
            self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    def _fill(self) -> None:
        self._make_room()
        room = self._buffer[self._stop :]
        began_s = time.monotonic()
        self.deadline_s = began_s + self.patience_s
        try:
            count = self._socket.recv_into(room)
            # Senders with Nagle's algorithm on (DCMTK's default) otherwise wait 40 ms for our
            # delayed acknowledgement, twice per instance. It does not last, hence after each read.
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        except OSError:
            raise ConnectionEnded from None
        finally:
            self.deadline_s = math.inf
        self.patience_s -= time.monotonic() - began_s
        if not count or self._ended:
            raise ConnectionEnded
        self._stop += count
        self._was_full = count == len(room)

    def _make_room(self) -> None:
        """Move what is left to the front; grow if the last read would have brought more."""
        buffer, start, stop = self._buffer, self._start, self._stop
        left = stop - start
        if (self._was_full and len(buffer) < BUFFER_BYTES_MAX) or left == len(buffer):
            self._buffer = memoryview(bytearray(2 * len(buffer)))
            self._was_full = False
        elif not start:
            return
        self._buffer[:left] = buffer[start:stop]
        self._start, self._stop = 0, left

    # -- writing and ending ------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Send all of `data`; raises ConnectionEnded, also if the peer takes nothing for long."""
        with self._sending:
            if self._ended:
                raise ConnectionEnded
            try:
                self._socket.sendall(data)
            except OSError:
                self._ended = True
                raise ConnectionEnded from None

    def end(self, last_words: bytes) -> None:
        """Send `last_words` if that is possible at once, and wake the reading thread to its end."""
        sent = self._sending.acquire(timeout=_LOCK_S)
        if sent:
            try:
                if not self._ended:
                    with suppress(OSError):
                        self._socket.send(last_words, socket.MSG_DONTWAIT)
                self._ended = True
            finally:
                self._sending.release()
        with self._closing, suppress(OSError):
            # A thread that is stuck in sending is woken as well.
            self._socket.shutdown(socket.SHUT_RD if sent else socket.SHUT_RDWR)

    def part(self) -> None:
        """After our last PDU: wait a moment for the peer to hang up, and close (PS3.8 Sta13).

        Closing with something unread would reset the connection, and the peer might never read
        our last PDU; pynetdicom's requestor may take even a half close for a loss. What still
        comes is thrown away.
        """
        until_s = time.monotonic() + _PARTING_S
        with suppress(OSError):
            _bound(self._socket, socket.SO_RCVTIMEO, _PARTING_S)
            while time.monotonic() < until_s and self._socket.recv_into(self._buffer):
                pass
        self.close()

    def close(self) -> None:
        """Close the socket; may be called again."""
        self._ended = True
        with self._closing:
            self._socket.close()


def _bound(connected: socket.socket, option: int, seconds: float) -> None:
    """Bound, in the kernel, how long one read or one write may wait."""
    whole = int(seconds)
    with suppress(OSError):
        connected.setsockopt(
            socket.SOL_SOCKET, option, _TIMEVAL.pack(whole, int((seconds - whole) * 1_000_000))
        )
