"""The floor: the same bytes through a bare socket into one preallocated file, synced like ours.

Nothing is parsed, indexed or charged: what an acceptor in Python that syncs each instance before
it answers could reach at best on this machine. One process an association, as with `--fork`.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path

from tests.benchmarks.peers.wire import Request

_LENGTH = struct.Struct("!Q")
_BUFFER_BYTES = 256 * 1024
_ANSWER_BYTES = 100  # a C-STORE-RSP has about as many


class FloorSender:
    """Sends lengths and bytes instead of PDUs."""

    pdu_length_max = 131_072

    def __init__(self, port: int, *, nagle: bool) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, int(not nagle))
        self._socket.recv(1)  # its file is laid out

    def store(self, request: Request) -> None:
        """Send one and wait until it is synced."""
        self._socket.sendall(_LENGTH.pack(len(request.pdus)))
        self._socket.sendall(request.pdus)
        received = 0
        while received < _ANSWER_BYTES:
            received += len(self._socket.recv(_ANSWER_BYTES - received))

    def release(self) -> None:
        """Close."""
        self._socket.close()


def serve(folder: Path, preallocated_bytes: int) -> None:
    """Accept for ever; print the port first."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        sys.stdout.write(f"{listening.getsockname()[1]}\n")
        sys.stdout.flush()
        number = 0
        while True:
            connection, _ = listening.accept()
            number += 1
            if os.fork() == 0:
                listening.close()
                _receive(connection, folder / f"{number}.bytes", preallocated_bytes)
                os._exit(0)
            connection.close()
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


def _receive(connection: socket.socket, path: Path, preallocated_bytes: int) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    buffer = memoryview(bytearray(_BUFFER_BYTES))
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    # Written once before it counts, as a recycled segment is: half the price of a sync.
    for place in range(0, preallocated_bytes, _BUFFER_BYTES):
        os.pwrite(descriptor, buffer, place)
    os.fsync(descriptor)
    connection.sendall(b"!")
    place = 0
    while head := connection.recv(_LENGTH.size, socket.MSG_WAITALL):
        left = _LENGTH.unpack(head)[0]
        if place + left > preallocated_bytes:
            place = 0
        while left:
            size = connection.recv_into(buffer, min(left, _BUFFER_BYTES))
            place += os.pwrite(descriptor, buffer[:size], place)
            left -= size
        os.fdatasync(descriptor)
        connection.sendall(bytes(_ANSWER_BYTES))


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
