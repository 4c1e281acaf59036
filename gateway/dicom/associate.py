"""A-ASSOCIATE-RQ → `Request`, and the A-ASSOCIATE-AC for it, by pynetdicom's codecs. Pure.

What pynetdicom would refuse to decode though PS3.8 has an answer to it is taken out before: AE
titles that are none (1/1/3, 1/1/7), other protocol versions (1/2/2), items of unknown type, which
are to be skipped (PS3.8 9.3.1).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from struct import Struct

from pydicom.uid import UID
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
)
from pynetdicom.presentation import PresentationContext, negotiate_as_acceptor

from gateway.dicom.access import is_ae_title
from gateway.dicom.negotiation import APPLICATION_CONTEXT_UID
from gateway.dicom.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from gateway.dicom.violation import Violation

_CALLED, _CALLING, _TITLES = slice(10, 26), slice(26, 42), slice(10, 42)
_STAND_IN_TITLE = b"INVALID".ljust(16)
_ITEMS_OFFSET = 74
_APPLICATION_CONTEXT, _CONTEXT, _USER_INFORMATION = 0x10, 0x20, 0x50
_USER_ITEMS = range(0x51, 0x59)
_ITEM = Struct(">BxH")


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What an A-ASSOCIATE-RQ asks for. Titles are as sent, bytes as Latin-1 characters."""

    called_ae_title: str
    calling_ae_title: str
    titles: bytes
    version_is_known: bool
    application_context_name: str
    contexts: tuple[PresentationContext, ...]
    roles: Mapping[UID, tuple[bool | None, bool | None]]
    pdu_bytes_max: int
    asks_for_window: bool
    primitive: A_ASSOCIATE


def read_request(pdu: bytes) -> Request | Violation:
    """Read an A-ASSOCIATE-RQ, header included. Never raises."""
    try:
        return _read(pdu)
    except Exception:  # noqa: BLE001 - whatever it is, pynetdicom could not decode it
        return Violation.PDU_INVALID


def _read(pdu: bytes) -> Request:
    called, calling = pdu[_CALLED].decode("latin_1"), pdu[_CALLING].decode("latin_1")
    readable = bytearray(pdu[:_ITEMS_OFFSET])
    for title, place in ((called, _CALLED), (calling, _CALLING)):
        if not is_ae_title(title.strip(" ")):
            readable[place] = _STAND_IN_TITLE
    theirs = A_ASSOCIATE_RQ()
    theirs.decode(bytes(readable) + _known_items(pdu))
    primitive = theirs.to_primitive()
    information = primitive.user_information
    lengths = [
        one.maximum_length_received or 0
        for one in information
        if isinstance(one, MaximumLengthNotification)
    ]
    return Request(
        called_ae_title=called,
        calling_ae_title=calling,
        titles=pdu[_TITLES],
        # Only bit 0 is to be tested (PS3.8 9.3.2).
        version_is_known=bool(theirs.protocol_version & 1),
        application_context_name=str(theirs.application_context_name or ""),
        contexts=tuple(primitive.presentation_context_definition_list),
        roles={
            one.sop_class_uid: (one.scu_role, one.scp_role)
            for one in information
            if isinstance(one, SCP_SCU_RoleSelectionNegotiation) and one.sop_class_uid is not None
        },
        pdu_bytes_max=lengths[0] if lengths else 0,
        asks_for_window=any(
            isinstance(one, AsynchronousOperationsWindowNegotiation) for one in information
        ),
        primitive=primitive,
    )


def accept(
    request: Request, supported: Sequence[PresentationContext], *, pdu_bytes_max: int
) -> tuple[bytes, dict[int, PresentationContext]]:
    """Negotiate: the A-ASSOCIATE-AC, and the accepted contexts by id.

    An asynchronous window that is asked for becomes 1/1 (PS3.7 D.3.3.3).
    """
    results, roles = negotiate_as_acceptor(
        list(request.contexts), list(supported), dict(request.roles) or None
    )
    primitive = A_ASSOCIATE()
    primitive.application_context_name = APPLICATION_CONTEXT_UID
    primitive.called_ae_title = request.primitive.called_ae_title
    primitive.calling_ae_title = request.primitive.calling_ae_title
    primitive.result, primitive.result_source = 0x00, 0x01
    primitive.presentation_context_definition_results_list = results
    length = MaximumLengthNotification()
    length.maximum_length_received = pdu_bytes_max
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    primitive.user_information = [length, implementation, version, *roles]
    if request.asks_for_window:
        primitive.user_information.append(AsynchronousOperationsWindowNegotiation())
    answer = A_ASSOCIATE_AC()
    answer.from_primitive(primitive)
    encoded = bytearray(answer.encode())
    # PS3.8 9.3.3: the titles of the request, byte for byte; some requestors compare them.
    encoded[_TITLES] = request.titles
    accepted = {context.context_id: context for context in results if context.result == 0x00}
    return bytes(encoded), {key: value for key, value in accepted.items() if key is not None}


def _known_items(pdu: bytes) -> bytes:
    """The variable items without those of unknown type; raises ValueError for lengths beyond."""
    kept = b""
    for kind, body in _items(pdu, _ITEMS_OFFSET):
        if kind == _USER_INFORMATION:
            inner = b"".join(
                _ITEM.pack(sub, len(value)) + value
                for sub, value in _items(body, 0)
                if sub in _USER_ITEMS
            )
            kept += _ITEM.pack(kind, len(inner)) + inner
        elif kind in (_APPLICATION_CONTEXT, _CONTEXT):
            kept += _ITEM.pack(kind, len(body)) + body
    return kept


def _items(data: bytes, position: int) -> Iterator[tuple[int, bytes]]:
    while position < len(data):
        kind, length = _ITEM.unpack_from(data, position)
        position += _ITEM.size
        if length > len(data) - position:
            raise ValueError("an item is longer than what it is in")
        yield kind, data[position : position + length]
        position += length
