"""Associations on pynetdicom's upper layer, with the faults mended that a handler can't mend.

Uses internals of pynetdicom 3.0: of `Association` `run_reactor`, `_serve_request`, `_accepted_cx`
and `_sent_abort`; of `DULServiceProvider` `run_reactor`, `_send`, `_decode_pdu` and `_idle_timer`;
`DIMSEServiceProvider.receive_primitive`. What each override is for stands beside it.
"""

from __future__ import annotations

import socket
import struct
import time
from contextlib import suppress
from typing import Any, Protocol, cast

from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_RJ, A_RELEASE_RP, _PDUType
from pynetdicom.pdu_primitives import P_DATA

from gateway.dicom.access import Accepted, is_ae_title
from gateway.dicom.message import Assembler, Message, Violation, command_fragments, response

_A_ASSOCIATE_RQ = 0x01
_CALLED, _CALLING = slice(10, 26), slice(26, 42)
_STAND_IN_TITLE = b"INVALID".ljust(16)
_INVALID_PDU_PARAMETER_VALUE = 0x06
_PARTING_S = 0.5
_TIMEVAL = struct.Struct("ll")


class Service(Protocol):
    """What associations tell and ask. Called from their own threads."""

    pdu_length_max_bytes: int
    instance_size_max_bytes: int
    connections_max: int
    associate_timeout_s: float
    dimse_timeout_s: float

    def began(self, association: GatewayAssociation) -> None:
        """The connection's thread begins."""

    def requested(self, association: GatewayAssociation) -> None:
        """An A-ASSOCIATE-RQ has come: accept it by doing nothing, or reject it."""

    def serve(self, association: GatewayAssociation, message: Message) -> None:
        """A request is complete: answer it, or abort."""

    def ended(self, association: GatewayAssociation) -> None:
        """The association's thread ends, whether it was ever accepted or not."""

    def violated(self, association: GatewayAssociation, violation: Violation) -> None:
        """The peer broke the protocol, and is being aborted."""

    def failed(self, error: Exception) -> None:
        """Something of ours failed."""

    def may_begin(self) -> bool:
        """Whether another message may begin."""

    def connections(self) -> int:
        """How many connections are open, associated or not."""


class GatewayAssociation(Association):
    """One connection and what is known of it. `accepted` is None until access was granted."""

    def __init__(self, ae: ApplicationEntity, service: Service) -> None:
        super().__init__(ae, "acceptor")
        self.service = service
        self.accepted: Accepted | None = None
        self.titles: tuple[str, str] = ("", "")
        self.begun = 0
        """Messages begun; written by the thread that receives only."""
        self.answered = 0
        """Messages dealt with; written by this thread only."""
        self.idle_since_s = time.monotonic()
        """When the last message was dealt with, on the monotonic clock."""
        # Made again, as the base class makes its own kind; their threads have not begun.
        self.dul = _Dul(self)
        self.dimse = _Dimse(self)
        self.acse_timeout = ae.acse_timeout
        self.network_timeout = ae.network_timeout

    @property
    def is_busy(self) -> bool:
        """Whether a message has begun and is not answered."""
        return self.begun != self.answered

    @property
    def application_context_name(self) -> str:
        """As requested; "" where there was none."""
        return str(getattr(self.requestor.primitive, "application_context_name", None) or "")

    def run_reactor(self) -> None:
        """Run to the end. The base class leaves an exception to `threading`, with its values."""
        self.service.began(self)
        try:
            super().run_reactor()
        except Exception as error:  # noqa: BLE001 - told as an event, without its message
            self.service.failed(error)
            self.abort_now()
            self.kill()
        finally:
            self.service.ended(self)

    def _serve_request(self, msg: Any, context_id: int) -> None:  # noqa: ARG002 - in the message
        """Serve every request by ourselves.

        The base class chooses the service by the SOP class that the *message* names, answers
        nothing to an incomplete request, and knows no private SOP class unless it is registered
        for the whole process.
        """
        try:
            self.service.serve(self, cast(Message, msg))
        finally:
            self.idle_since_s = time.monotonic()
            self.answered += 1
            # A slow store is our silence, not the peer's.
            self.dul._idle_timer.restart()  # noqa: SLF001 - no public way to restart it

    def sop_class_and_syntax(self, context_id: int) -> tuple[str, str] | None:
        """SOP class and transfer syntax of an accepted presentation context; None for others."""
        context = self._accepted_cx.get(context_id)
        if context is None:
            return None
        return str(context.abstract_syntax), str(context.transfer_syntax[0])

    def respond(
        self,
        message: Message,
        *,
        status: int,
        comment: str = "",
        sop_class_uid: str = "",
        sop_instance_uid: str = "",
    ) -> None:
        """Hand the response to `message` over to the thread that sends."""
        command_set = response(
            message,
            status=status,
            comment=comment,
            sop_class_uid=sop_class_uid,
            sop_instance_uid=sop_instance_uid,
        )
        pdu_bytes_max = self.requestor.maximum_length or 0
        for fragment in command_fragments(command_set, pdu_bytes_max=pdu_bytes_max):
            primitive = P_DATA()
            primitive.presentation_data_value_list.append((message.context_id, fragment))
            self.dul.send_pdu(primitive)

    def abort_for(self, violation: Violation) -> None:
        """Abort as provider for an invalid parameter: A-ABORT 2/6 (PS3.8 Table 9-26)."""
        if not self._sent_abort:
            self._sent_abort = True
            self.service.violated(self, violation)
            self.acse.send_ap_abort(_INVALID_PDU_PARAMETER_VALUE)

    def abort_now(self) -> None:
        """Abort as user, after what is already on its way out; returns at once."""
        if not self._sent_abort:
            self._sent_abort = True
            self.acse.send_abort(0x00)

    @property
    def was_aborted_here(self) -> bool:
        """Whether an A-ABORT of ours was sent or is about to be."""
        return self._sent_abort

    def set_receive_timeout(self, seconds: float) -> None:
        """Bound each wait for bytes within a PDU, and for room to send."""
        connection = self.dul.socket.socket if self.dul.socket else None
        if connection is not None:
            set_timeouts(connection, seconds)


class _Dimse(DIMSEServiceProvider):
    """Assembles messages by our own rules; see `gateway.dicom.message`."""

    def __init__(self, association: GatewayAssociation) -> None:
        super().__init__(association)
        self._association = association
        self._assembler = Assembler(data_set_bytes_max=association.service.instance_size_max_bytes)

    def receive_primitive(self, primitive: P_DATA) -> None:
        association = self._association
        for context_id, data in primitive.presentation_data_value_list:
            if association.was_aborted_here:
                return
            if not self._assembler.in_progress:
                if not association.service.may_begin():
                    association.abort_now()
                    return
                association.begun += 1
            result = self._assembler.feed(context_id, memoryview(data))
            if isinstance(result, Violation):
                association.abort_for(result)
            elif result is not None:
                self.msg_queue.put((context_id, cast(Any, result)))


class _Dul(DULServiceProvider):
    """Reads PDUs; keeps AE titles that pynetdicom would refuse to decode."""

    def __init__(self, association: GatewayAssociation) -> None:
        super().__init__(association)
        self._association = association

    def run_reactor(self) -> None:
        """Run to the end. The base class leaves an exception to `threading`, with its values."""
        try:
            super().run_reactor()
        except Exception as error:  # noqa: BLE001 - told as an event, without its message
            self._association.service.failed(error)
        finally:
            if self.socket is not None:
                self.socket.close()

    def _send(self, pdu: _PDUType) -> None:
        super()._send(pdu)
        if isinstance(pdu, A_ABORT_RQ | A_ASSOCIATE_RJ | A_RELEASE_RP):
            # What still comes is only read to be thrown away, and not waited for.
            self._association.set_receive_timeout(_PARTING_S)

    def _decode_pdu(self, bytestream: bytearray) -> tuple[_PDUType, str]:
        # Blank titles, control bytes and non-ASCII make the base class abort; PS3.8 9.3.4 has
        # 1/1/7 and 1/1/3 for them, which our access check gives.
        if bytestream[0] == _A_ASSOCIATE_RQ and len(bytestream) >= _CALLING.stop:
            called = bytestream[_CALLED].decode("latin_1")
            calling = bytestream[_CALLING].decode("latin_1")
            self._association.titles = (called, calling)
            for title, field in ((called, _CALLED), (calling, _CALLING)):
                if not is_ae_title(title.strip(" ")):
                    bytestream[field] = _STAND_IN_TITLE
        return super()._decode_pdu(bytestream)


def set_timeouts(connection: socket.socket, seconds: float) -> None:
    """Bound, in seconds, how long a read or a write may wait in the kernel."""
    # Not settimeout: Python would then poll before each read and write.
    whole = int(seconds)
    value = _TIMEVAL.pack(whole, int((seconds - whole) * 1_000_000))
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)
