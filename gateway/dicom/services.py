"""Further services by pynetdicom's service classes, on the same association and port.

A service class sees an `Association` of pynetdicom's that has no reactor and no thread: what it
sends goes out through our upper layer, and what it waits for is read from there, on the thread of
our association. Uses internals of pynetdicom 3.0: `Association.dul`, `.dimse`, `._accepted_cx`;
`DIMSEServiceProvider.get_msg`, `.cancel_req`, `.maximum_pdu_size`.
"""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable, Iterable, KeysView, Mapping
from dataclasses import dataclass
from typing import Any, cast

from pynetdicom import association as theirs
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.pdu_primitives import P_DATA
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import uid_to_service_class

from gateway.dicom.association import Association
from gateway.dicom.command import C_CANCEL_RQ, RESPONSE_BIT, Command
from gateway.dicom.connection import ConnectionEnded
from gateway.dicom.negotiation import UNCOMPRESSED
from gateway.dicom.status import PROCESSING_FAILURE, UNRECOGNIZED_OPERATION
from gateway.dicom.upper_layer import Aborted, ProtocolViolated, Released
from gateway.dicom.violation import Violation

DATA_SET_BYTES_MAX = 16_777_216
"""Of an identifier or an attribute list; these services carry no images."""
_ENDS = (ConnectionEnded, ProtocolViolated, Released, Aborted)


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """SOP classes that are offered, and the handlers of pynetdicom's events that serve them."""

    sop_class_uids: tuple[str, ...]
    handlers: tuple[tuple[evt.EventType, Callable[[evt.Event], Any]], ...]


class Services:
    """Serves requests of `offered` services, whichever association they come on."""

    def __init__(self, offered: Iterable[Service], *, ae_title: str) -> None:
        self._entity = ApplicationEntity(ae_title)
        self._by_uid: Mapping[str, Service] = {
            uid: service for service in offered for uid in service.sop_class_uids
        }
        self.contexts: tuple[PresentationContext, ...] = tuple(
            build_context(uid, list(UNCOMPRESSED)) for uid in self._by_uid
        )

    def offers(self, sop_class_uid: str) -> bool:
        """Whether requests on contexts of this SOP class are served here."""
        return sop_class_uid in self._by_uid

    def serve(self, association: Association, command: Command) -> None:
        """Serve one request; never leaves it without an answer.

        Raises what the upper layer raises, and ProtocolViolated for what can't be decoded.
        """
        context = association.contexts[command.context_id]
        uid = str(context.abstract_syntax)
        request = _decoded(association, command)
        stand_in = _Association(self._entity, association)
        for event, handler in self._by_uid[uid].handlers:
            stand_in.bind(event, handler)
        try:
            uid_to_service_class(uid)(stand_in).SCP(request, context)
        except NotImplementedError:
            association.respond(command, status=UNRECOGNIZED_OPERATION)
            return
        if stand_in.end is not None:
            raise stand_in.end
        if not stand_in.has_answered and not association.was_aborted_here:
            association.respond(command, status=PROCESSING_FAILURE)


class _Association(theirs.Association):
    """pynetdicom's association as a service class sees it."""

    def __init__(self, entity: ApplicationEntity, ours: Association) -> None:
        super().__init__(entity, "acceptor")
        self.ours = ours
        self.end: Exception | None = None
        self.has_answered = False
        if ours.request is not None:
            self.requestor.primitive = ours.request.primitive
            self.requestor.ae_title = ours.request.calling_ae_title.strip()
        self._accepted_cx = ours.contexts
        self.is_established = True
        self.dul = cast(Any, _Dul(self))
        self.dimse = _Dimse(self)

    def ended_by(self, error: Exception) -> None:
        """The association is over: the service class is to return, and then it is told."""
        self.end = self.end or error
        self.is_established = False


class _Dul:
    """The part of a DUL provider that a service class comes to see."""

    socket = None

    def __init__(self, stand_in: _Association) -> None:
        self._stand_in = stand_in

    def send_pdu(self, primitive: Any) -> None:
        """Send a P-DATA at once; anything else can only be an abort."""
        stand_in = self._stand_in
        if not isinstance(primitive, P_DATA):
            stand_in.ours.abort_now()
            stand_in.ended_by(ConnectionEnded())
            return
        try:
            stand_in.ours.connection.send(P_DATA_TF(primitive).encode())
            stand_in.has_answered = True
        except ConnectionEnded as error:
            stand_in.ended_by(error)

    def peek_next_pdu(self) -> None:
        """Nothing is queued here."""

    def is_alive(self) -> bool:
        """It does not run."""
        return False

    def stop_dul(self) -> bool:
        """It does not run."""
        return True

    def kill_dul(self) -> None:
        """It does not run."""


class _Dimse(DIMSEServiceProvider):
    """Messages from and to our upper layer."""

    def __init__(self, stand_in: _Association) -> None:
        super().__init__(stand_in)
        self._stand_in = stand_in
        self.cancel_req = cast(Any, _Cancels(self.look))

    @property
    def maximum_pdu_size(self) -> int:
        """What the peer takes."""
        request = self._stand_in.ours.request
        return request.pdu_bytes_max if request is not None else 0

    def get_msg(self, block: bool = False) -> Any:  # noqa: FBT001, FBT002 - pynetdicom's own
        """The response to a request that the service class has sent."""
        while block and self._stand_in.is_established:
            command = self._next()
            if command is None:
                break
            if command.command_field & RESPONSE_BIT:
                return command.context_id, _decoded(self._stand_in.ours, command)
        return None, None

    def look(self) -> None:
        """Read what has come during a request: a C-CANCEL, an end, or the next request."""
        ours = self._stand_in.ours
        while self._stand_in.is_established and not ours.waiting and ours.layer.has_arrived():
            command = self._next()
            if command is not None and command.command_field & RESPONSE_BIT:
                self._stand_in.ended_by(ProtocolViolated(Violation.RESPONSE_UNEXPECTED))

    def _next(self) -> Command | None:
        """The next response or C-CANCEL, which is noted; a request waits for its turn."""
        ours = self._stand_in.ours
        if ours.waiting:
            return None
        ours.layer.rest()
        try:
            command = ours.next_command()
        except _ENDS as error:
            self._stand_in.ended_by(error)
            return None
        if command is None:
            self._stand_in.ended_by(ConnectionEnded())
        elif command.command_field == C_CANCEL_RQ:
            self.cancel_req[command.message_id_being_responded_to or 0] = cast(Any, command)
            ours.answered += 1
        elif command.command_field & RESPONSE_BIT:
            ours.answered += 1
        else:
            ours.waiting.append(command)
            return None
        return command


class _Cancels(UserDict[int, Any]):
    """C-CANCEL requests by message id; asking for them looks for new ones."""

    def __init__(self, look: Callable[[], None]) -> None:
        super().__init__()
        self._look = look

    def keys(self) -> KeysView[int]:
        """The message ids."""
        self._look()
        return super().keys()


def _decoded(association: Association, command: Command) -> Any:
    """The message as pynetdicom's primitive, its data set read to the end."""
    data_set = bytearray()
    if command.has_data_set:
        for chunk in association.layer.data_set(command.context_id):
            data_set += chunk
            if len(data_set) > DATA_SET_BYTES_MAX:
                raise ProtocolViolated(Violation.MESSAGE_TOO_LONG)
    pdvs = P_DATA()
    pdvs.presentation_data_value_list.append((command.context_id, b"\x03" + command.encoded))
    if command.has_data_set:
        pdvs.presentation_data_value_list.append((command.context_id, b"\x02" + bytes(data_set)))
    message = DIMSEMessage()
    try:
        message.decode_msg(pdvs)
        primitive: Any = message.message_to_primitive()
    except Exception:  # noqa: BLE001 - whatever it is, pynetdicom could not decode it
        raise ProtocolViolated(Violation.COMMAND_SET_UNREADABLE) from None
    if not (primitive.is_valid_request or primitive.is_valid_response):
        raise ProtocolViolated(Violation.COMMAND_SET_UNREADABLE)
    return primitive
