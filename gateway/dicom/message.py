"""DIMSE messages put together from PDVs, and responses taken apart into them (PS3.7 6.3, PS3.8 E).

pynetdicom's own assembly loses what must be answered: it drops the association over a UID of 65
characters, takes the first of several values, says nothing to a request without Message ID, and
buffers a data set of any size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
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

_IS_COMMAND, _IS_LAST = 0x01, 0x02
_PDV_OVERHEAD_BYTES = 6
_ELEMENT = Struct("<HHL")
_US = Struct("<H")


class Violation(StrEnum):
    """What no answer can be given to: the association is aborted. Stable names for events."""

    PDV_EMPTY = "pdv_empty"
    COMMAND_SET_TOO_LONG = "command_set_too_long"
    COMMAND_SET_UNREADABLE = "command_set_unreadable"
    COMMAND_WITHIN_DATA_SET = "command_within_data_set"
    DATA_BEFORE_COMMAND = "data_before_command"
    CONTEXT_CHANGED = "context_changed"
    CONTEXT_NOT_ACCEPTED = "context_not_accepted"
    MESSAGE_ID_MISSING = "message_id_missing"
    RESPONSE_UNEXPECTED = "response_unexpected"


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One request, complete. UIDs are text without padding, "" where missing, else as sent.

    `data_set` is empty where none was announced, and where it was dropped as `too_large`.
    """

    context_id: int
    command_field: int
    message_id: int | None
    affected_sop_class_uid: str
    affected_sop_instance_uid: str
    data_set: bytearray
    too_large: bool


@dataclass(slots=True)
class _Draft:
    context_id: int
    command_set: bytearray = field(default_factory=bytearray)
    fields: Mapping[int, bytes] | None = None
    data_set: bytearray = field(default_factory=bytearray)
    too_large: bool = False


class Assembler:
    """Puts the messages of one association together, PDV by PDV. One thread at a time."""

    def __init__(self, *, data_set_bytes_max: int) -> None:
        self._data_set_bytes_max = data_set_bytes_max
        self._draft: _Draft | None = None

    @property
    def in_progress(self) -> bool:
        """Whether a message has begun and is not complete."""
        return self._draft is not None

    def feed(self, context_id: int, pdv: memoryview) -> Message | Violation | None:
        """Take one PDV, its message control header first (PS3.8 E.2).

        Returns the message that it completes, None if more is to come, or the violation after
        which nothing more may be fed.
        """
        if not pdv:
            return Violation.PDV_EMPTY
        if self._draft is None:
            self._draft = _Draft(context_id=context_id)
        if self._draft.context_id != context_id:
            return Violation.CONTEXT_CHANGED
        control, fragment = pdv[0], pdv[1:]
        if control & _IS_COMMAND:
            return self._command(self._draft, fragment, last=bool(control & _IS_LAST))
        return self._data(self._draft, fragment, last=bool(control & _IS_LAST))

    def _command(
        self, draft: _Draft, fragment: memoryview, *, last: bool
    ) -> Message | Violation | None:
        if draft.fields is not None:
            return Violation.COMMAND_WITHIN_DATA_SET
        if len(draft.command_set) + len(fragment) > COMMAND_SET_BYTES_MAX:
            return Violation.COMMAND_SET_TOO_LONG
        draft.command_set += fragment
        if not last:
            return None
        draft.fields = _read_command_set(bytes(draft.command_set))
        if draft.fields is None or _number(draft.fields, _COMMAND_FIELD) is None:
            return Violation.COMMAND_SET_UNREADABLE
        if _number(draft.fields, _COMMAND_DATA_SET_TYPE) in (None, _NO_DATA_SET):
            return self._complete(draft, draft.fields)
        return None

    def _data(
        self, draft: _Draft, fragment: memoryview, *, last: bool
    ) -> Message | Violation | None:
        if draft.fields is None:
            return Violation.DATA_BEFORE_COMMAND
        if len(draft.data_set) + len(fragment) > self._data_set_bytes_max:
            # Swallowed to its end, so that it can be answered and the association goes on.
            draft.too_large = True
            draft.data_set = bytearray()
        if not draft.too_large:
            draft.data_set += fragment
        return self._complete(draft, draft.fields) if last else None

    def _complete(self, draft: _Draft, fields: Mapping[int, bytes]) -> Message:
        self._draft = None
        return Message(
            context_id=draft.context_id,
            command_field=_number(fields, _COMMAND_FIELD) or 0,
            message_id=_number(fields, _MESSAGE_ID),
            affected_sop_class_uid=_text(fields, _AFFECTED_SOP_CLASS_UID),
            affected_sop_instance_uid=_text(fields, _AFFECTED_SOP_INSTANCE_UID),
            data_set=draft.data_set,
            too_large=draft.too_large,
        )


def response(
    message: Message, *, status: int, comment: str = "", sop_class_uid: str, sop_instance_uid: str
) -> bytes:
    """The command set of the response to `message` (PS3.7 9.3.1.2, E.1); empty UIDs are left out.

    `comment` is ASCII, at most 64 characters.
    """
    texts = (
        (_AFFECTED_SOP_CLASS_UID, _padded(sop_class_uid, b"\0")),
        (_ERROR_COMMENT, _padded(comment, b" ")),
        (_AFFECTED_SOP_INSTANCE_UID, _padded(sop_instance_uid, b"\0")),
    )
    numbers = (
        (_COMMAND_FIELD, message.command_field | RESPONSE_BIT),
        (_MESSAGE_ID_BEING_RESPONDED_TO, message.message_id or 0),
        (_COMMAND_DATA_SET_TYPE, _NO_DATA_SET),
        (_STATUS, status),
    )
    values = {element: _US.pack(number) for element, number in numbers}
    values |= {element: text for element, text in texts if text}
    body = b"".join(
        _ELEMENT.pack(0, element, len(value)) + value for element, value in sorted(values.items())
    )
    return _ELEMENT.pack(0, 0, 4) + len(body).to_bytes(4, "little") + body


def command_fragments(command_set: bytes, *, pdu_bytes_max: int) -> Iterator[bytes]:
    """The PDVs of a command set, control header first; each fits a P-DATA-TF of `pdu_bytes_max`.

    0 is no limit (PS3.8 D.1).
    """
    room = max(1, pdu_bytes_max - _PDV_OVERHEAD_BYTES) if pdu_bytes_max else len(command_set)
    for start in range(0, len(command_set), room):
        last = _IS_LAST if start + room >= len(command_set) else 0
        yield bytes((_IS_COMMAND | last,)) + command_set[start : start + room]


def _read_command_set(data: bytes) -> Mapping[int, bytes] | None:
    """Elements of group 0000 in implicit VR little endian (PS3.7 6.3.1); None if they don't fit."""
    fields: dict[int, bytes] = {}
    position = 0
    while position < len(data):
        if len(data) - position < _ELEMENT.size:
            return None
        group, element, length = _ELEMENT.unpack_from(data, position)
        position += _ELEMENT.size
        if group != 0 or length > len(data) - position:
            return None
        fields[element] = data[position : position + length]
        position += length
    return fields


def _number(fields: Mapping[int, bytes], element: int) -> int | None:
    value = fields.get(element, b"")
    return int(_US.unpack(value)[0]) if len(value) == _US.size else None


def _text(fields: Mapping[int, bytes], element: int) -> str:
    return fields.get(element, b"").strip(b" \0").decode("latin_1")


def _padded(text: str, padding: bytes) -> bytes:
    raw = text.encode("ascii")
    return raw + padding if len(raw) % 2 else raw
