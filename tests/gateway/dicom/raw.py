"""A requestor made of bytes: sends what no library would, and reads what comes back."""

from __future__ import annotations

import socket
import struct
from types import TracebackType
from typing import Any

from tests.gateway.dicom.support import CT_IMAGE_STORAGE, EXPLICIT_LITTLE, WAIT_S

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA, RELEASE_RP, ABORT = 2, 3, 4, 6, 7
COMMAND, COMMAND_LAST, DATA, DATA_LAST = 1, 3, 0, 2


def pdu(kind: int, body: bytes) -> bytes:
    """A PDU with its header (PS3.8 9.3)."""
    return struct.pack(">BxL", kind, len(body)) + body


def item(kind: int, body: bytes) -> bytes:
    """An item or sub-item of an A-ASSOCIATE PDU (PS3.8 9.3.2)."""
    return struct.pack(">BxH", kind, len(body)) + body


def associate_rq(
    *,
    called: bytes = b"TOLLGATE",
    calling: bytes = b"CT1",
    application_context: str = APPLICATION_CONTEXT,
    sop_class: str = CT_IMAGE_STORAGE,
    transfer_syntax: str = EXPLICIT_LITTLE,
    version: int = 1,
    maximum_length: int = 16_384,
    more_items: bytes = b"",
    more_user_items: bytes = b"",
) -> bytes:
    """An A-ASSOCIATE-RQ that proposes one context, with id 1 (PS3.8 9.3.2)."""
    context = b"\x01\0\0\0" + item(0x30, sop_class.encode())
    context += item(0x40, transfer_syntax.encode())
    user = item(0x51, struct.pack(">L", maximum_length)) + item(0x52, b"1.2.3.4.5")
    user += more_user_items
    body = struct.pack(">HH", version, 0) + called.ljust(16) + calling.ljust(16) + bytes(32)
    body += item(0x10, application_context.encode()) + item(0x20, context) + item(0x50, user)
    body += more_items
    return pdu(1, body)


def pdv(control: int, data: bytes, *, context_id: int = 1) -> bytes:
    """A P-DATA-TF with one PDV (PS3.8 9.3.5, E.2)."""
    return pdu(P_DATA, struct.pack(">LBB", len(data) + 2, context_id, control) + data)


def command(fields: dict[int, bytes | int | str]) -> bytes:
    """A command set from element numbers of group 0000; numbers are US, text is padded."""
    encoded = b""
    for element, value in sorted(fields.items()):
        raw = struct.pack("<H", value) if isinstance(value, int) else value
        if isinstance(raw, str):
            raw = raw.encode("latin_1")
            raw += b"\0" * (len(raw) % 2)
        encoded += struct.pack("<HHL", 0, element, len(raw)) + raw
    return struct.pack("<HHLL", 0, 0, 4, len(encoded)) + encoded


def store_command(**changes: bytes | int | str | None) -> bytes:
    """A C-STORE-RQ that fits `support.ct_image()`; None leaves a field out."""
    fields: dict[str, tuple[int, bytes | int | str]] = {
        "sop_class": (0x0002, CT_IMAGE_STORAGE),
        "field": (0x0100, 0x0001),
        "message_id": (0x0110, 7),
        "priority": (0x0700, 0),
        "data_set_type": (0x0800, 0x0001),
        "sop_instance": (0x1000, "1.2.3.4"),
    }
    given = {element: changes.get(name, default) for name, (element, default) in fields.items()}
    return command({element: value for element, value in given.items() if value is not None})


class RawRequestor:
    """One TCP connection to the gate."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)

    def __enter__(self) -> RawRequestor:
        """Connected already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Hang up."""
        self.socket.close()

    def send(self, *data: bytes) -> None:
        """Send all of it."""
        self.socket.sendall(b"".join(data))

    def receive(self) -> tuple[int, bytes] | None:
        """The next PDU as type and body; None once the gate has hung up."""
        header = self._exactly(6)
        if header is None:
            return None
        kind, length = struct.unpack(">BxL", header)
        body = self._exactly(length)
        return None if body is None else (kind, body)

    def associate(self, **parts: Any) -> None:
        """Associate with one context; fails the test if that is not accepted."""
        self.send(associate_rq(**parts))
        answer = self.receive()
        assert answer is not None
        assert answer[0] == ASSOCIATE_AC

    def response(self) -> dict[int, bytes]:
        """The fields of the next response's command set, by element number."""
        answer = self.receive()
        assert answer is not None
        kind, body = answer
        assert kind == P_DATA, f"PDU type {kind} instead of a response: {body.hex()}"
        fields, position, command_set = {}, 0, body[6:]
        while position < len(command_set):
            _, element, length = struct.unpack_from("<HHL", command_set, position)
            fields[element] = command_set[position + 8 : position + 8 + length]
            position += 8 + length
        return fields

    def status(self) -> int:
        """The status of the next response."""
        return int.from_bytes(self.response()[0x0900], "little")

    def _exactly(self, count: int) -> bytes | None:
        data = b""
        while len(data) < count:
            try:
                received = self.socket.recv(count - len(data))
            except ConnectionResetError:
                return None
            if not received:
                return None
            data += received
        return data
