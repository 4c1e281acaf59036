"""Command sets (PS3.7 6.3 and E): read from bytes, and written into them, in microseconds.

pynetdicom's own reading loses what must be answered: it drops the association over a UID of 65
characters, takes the first of several values, and says nothing to a request without Message ID. It
also takes 300 µs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from struct import Struct

COMMAND_SET_BYTES_MAX = 65_536

C_STORE_RQ = 0x0001
C_ECHO_RQ = 0x0030
C_CANCEL_RQ = 0x0FFF
RESPONSE_BIT = 0x8000

_AFFECTED_SOP_CLASS_UID = 0x0002
_COMMAND_FIELD = 0x0100
_MESSAGE_ID = 0x0110
_MESSAGE_ID_BEING_RESPONDED_TO = 0x0120
_COMMAND_DATA_SET_TYPE = 0x0800
_STATUS = 0x0900
_ERROR_COMMENT = 0x0902
_AFFECTED_SOP_INSTANCE_UID = 0x1000
_NO_DATA_SET = 0x0101

_PDV_OVERHEAD_BYTES = 6
_ELEMENT = Struct("<HHL")
_US = Struct("<H")
_GROUP_LENGTH = Struct("<HHLL")
_NUMBER = Struct("<HHLH")


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """A command set; nothing in it has been checked.

    UIDs are text without padding, "" where missing, else as sent. `encoded` is the whole set.
    """

    context_id: int
    command_field: int
    message_id: int | None
    message_id_being_responded_to: int | None
    affected_sop_class_uid: str
    affected_sop_instance_uid: str
    has_data_set: bool
    encoded: bytes


def read_command(context_id: int, encoded: bytes) -> Command | None:
    """Read elements of group 0000 in implicit VR little endian (PS3.7 6.3.1).

    None if they don't fit, or if there is no Command Field.
    """
    fields: dict[int, bytes] = {}
    position, stop = 0, len(encoded)
    while position < stop:
        if stop - position < _ELEMENT.size:
            return None
        group, element, length = _ELEMENT.unpack_from(encoded, position)
        position += _ELEMENT.size
        if group or length > stop - position:
            return None
        fields[element] = encoded[position : position + length]
        position += length
    command_field = _number(fields, _COMMAND_FIELD)
    if command_field is None:
        return None
    return Command(
        context_id=context_id,
        command_field=command_field,
        message_id=_number(fields, _MESSAGE_ID),
        message_id_being_responded_to=_number(fields, _MESSAGE_ID_BEING_RESPONDED_TO),
        affected_sop_class_uid=_text(fields, _AFFECTED_SOP_CLASS_UID),
        affected_sop_instance_uid=_text(fields, _AFFECTED_SOP_INSTANCE_UID),
        has_data_set=_number(fields, _COMMAND_DATA_SET_TYPE) not in (None, _NO_DATA_SET),
        encoded=encoded,
    )


def response(
    command: Command, *, status: int, comment: str = "", sop_class_uid: str, sop_instance_uid: str
) -> bytes:
    """The command set of the response to `command` (PS3.7 9.3.1.2, E.1); empty UIDs are left out.

    `comment` is ASCII, at most 64 characters.
    """
    body = b"".join(
        (
            _element(_AFFECTED_SOP_CLASS_UID, sop_class_uid, b"\0"),
            _NUMBER.pack(0, _COMMAND_FIELD, 2, command.command_field | RESPONSE_BIT),
            _NUMBER.pack(0, _MESSAGE_ID_BEING_RESPONDED_TO, 2, command.message_id or 0),
            _NUMBER.pack(0, _COMMAND_DATA_SET_TYPE, 2, _NO_DATA_SET),
            _NUMBER.pack(0, _STATUS, 2, status),
            _element(_ERROR_COMMENT, comment, b" "),
            _element(_AFFECTED_SOP_INSTANCE_UID, sop_instance_uid, b"\0"),
        )
    )
    return _GROUP_LENGTH.pack(0, 0, 4, len(body)) + body


def fragments(whole: bytes, *, pdu_bytes_max: int) -> Iterator[tuple[bool, bytes]]:
    """Cut `whole` into what fits one PDV of a P-DATA-TF of `pdu_bytes_max`: (is the last, piece).

    0 is no limit (PS3.8 D.1).
    """
    room = max(1, pdu_bytes_max - _PDV_OVERHEAD_BYTES) if pdu_bytes_max else len(whole)
    if len(whole) <= room:
        if whole:
            yield True, whole
        return
    for start in range(0, len(whole), room):
        yield start + room >= len(whole), whole[start : start + room]


def _number(fields: Mapping[int, bytes], element: int) -> int | None:
    value = fields.get(element, b"")
    return int(_US.unpack(value)[0]) if len(value) == _US.size else None


def _text(fields: Mapping[int, bytes], element: int) -> str:
    return fields.get(element, b"").strip(b" \0").decode("latin_1")


def _element(element: int, text: str, padding: bytes) -> bytes:
    if not text:
        return b""
    raw = text.encode("ascii")
    if len(raw) % 2:
        raw += padding
    return _ELEMENT.pack(0, element, len(raw)) + raw
