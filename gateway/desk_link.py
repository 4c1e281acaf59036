"""The desk over a pair of sockets, between a worker and its filer; both may be started anew.

The supervisor holds both ends, so whoever is restarted finds its own again. Each message is one
packet of JSON. An answer carries the number of its question, so that what a dead process asked or
answered is told apart; asking twice for the same changes nothing.
"""

from __future__ import annotations

import json
import secrets
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from gateway.children import name_thread
from gateway.desk import Desk, Waiting
from storage.errors import StorageError
from storage.spool import Place, RecordRef

_PACKET_BYTES = 1 << 20
_BUFFER_BYTES = 4 << 20
_STEP_S = 0.2
_ANSWER_S = 10.0
_ANYBODY = 0
"""The number of a greeting: the worker has been started, and knows of no question."""


class DeskSilent(StorageError):
    """The worker does not answer, or could not; what was asked for may be asked again."""


def pair() -> tuple[socket.socket, socket.socket]:
    """The worker's end and the filer's; raises OSError."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
    return ends


class DeskServer:
    """Answers for a desk on a thread of its own."""

    def __init__(self, desk: Desk, end: socket.socket) -> None:
        self._desk = desk
        self._socket = end
        self._buffer = memoryview(bytearray(_PACKET_BYTES))
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="desk", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._socket.settimeout(_STEP_S)
        self._thread.start()

    def stop(self) -> None:
        """Answer what is under way, and nothing more."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        name_thread("desk")
        self._tell({"of": _ANYBODY})
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                asked = _received(self._socket, self._buffer)
                self._tell({"of": asked["number"], **self._answer(asked)})

    def _answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"gave": _DO[asked["do"]](self._desk, *asked["with"])}
        except Exception as error:  # noqa: BLE001 - whatever it is, the filer is to know of it
            return {"failed": type(error).__name__}

    def _tell(self, message: dict[str, Any]) -> None:
        # Nobody reads: a filer that is started anew throws away what was not for it.
        with suppress(TimeoutError):
            self._socket.send(json.dumps(message).encode())


class RemoteDesk:
    """Implements `gateway.desk.Desk` in the filer's process. Every call raises DeskSilent."""

    def __init__(
        self,
        directories: Sequence[Path],
        end: socket.socket,
        *,
        ending: Callable[[], bool] = lambda: False,
    ) -> None:
        """`ending`: whether this process is to end, and waits for no answer any more."""
        self.directories = directories
        self._socket = end
        self._buffer = memoryview(bytearray(_PACKET_BYTES))
        self._ending = ending
        self._number = secrets.randbits(48) + 1
        end.settimeout(0)
        with suppress(BlockingIOError):
            while True:
                _received(end, self._buffer)  # answers to a filer that is gone
        end.settimeout(_STEP_S)

    def waiting(self) -> Waiting:
        """How much there is to do."""
        records, hurried = self._ask("waiting")
        return Waiting(records=records, hurried=hurried)

    def wait_for_records(self, timeout_s: float) -> bool:
        """Wait until the first spool has something to be filed; False after `timeout_s`."""
        return bool(self._ask("wait", timeout_s))

    def places(self, spool: int, limit: int) -> list[Place]:
        """Where its oldest records lie."""
        return [
            Place(ref=_ref(fields[:3]), offset=fields[3], nonce=bytes.fromhex(fields[4]))
            for fields in self._ask("places", spool, limit)
        ]

    def release(self, spool: int, refs: Sequence[RecordRef], *, size_bytes: int) -> None:
        """Their rows are committed: forget them."""
        self._ask("release", spool, [_fields(ref) for ref in refs], size_bytes)

    def damaged(self, spool: int, ref: RecordRef, what: str) -> None:
        """A record can't be read as it was written."""
        self._ask("damaged", spool, _fields(ref), what)

    def sync_failed(self) -> None:
        """A sync of the filer failed."""
        self._ask("sync_failed")

    def _ask(self, do: str, *values: object) -> Any:
        self._number += 1
        question = json.dumps({"number": self._number, "do": do, "with": values}).encode()
        self._send(question)
        until_s = time.monotonic() + _ANSWER_S
        while time.monotonic() < until_s and not self._ending():
            with suppress(TimeoutError):
                answer = _received(self._socket, self._buffer)
                if answer["of"] == _ANYBODY:
                    self._send(question)
                elif answer["of"] == self._number:
                    if "failed" in answer:
                        raise DeskSilent(f"the worker could not answer ({answer['failed']})")
                    return answer["gave"]
        raise DeskSilent("the worker does not answer")

    def _send(self, question: bytes) -> None:
        try:
            self._socket.send(question)
        except TimeoutError as error:
            raise DeskSilent("the worker does not listen") from error


def _received(end: socket.socket, buffer: memoryview) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bytes(buffer[: end.recv_into(buffer)]))
    return found


def _waiting(desk: Desk) -> tuple[int, bool]:
    found = desk.waiting()
    return found.records, found.hurried


def _places(desk: Desk, spool: int, limit: int) -> list[tuple[int | str, ...]]:
    return [
        (*_fields(place.ref), place.offset, place.nonce.hex())
        for place in desk.places(spool, limit)
    ]


def _release(desk: Desk, spool: int, refs: list[list[int]], size_bytes: int) -> None:
    desk.release(spool, [_ref(fields) for fields in refs], size_bytes=size_bytes)


_DO: dict[str, Callable[..., Any]] = {
    "waiting": _waiting,
    "wait": lambda desk, timeout_s: desk.wait_for_records(timeout_s),
    "places": _places,
    "release": _release,
    "damaged": lambda desk, spool, fields, what: desk.damaged(spool, _ref(fields), what),
    "sync_failed": lambda desk: desk.sync_failed(),
}


def _fields(ref: RecordRef) -> tuple[int, int, int]:
    return ref.segment, ref.generation, ref.number


def _ref(fields: Sequence[int]) -> RecordRef:
    return RecordRef(segment=fields[0], generation=fields[1], number=fields[2])
