"""The upper layer of an acceptor (PS3.8 9): PDUs in and out, and the states between them.

What PS3.8 Table 9-10 has for an acceptor that asks for no release itself, as a program: Sta2 is
`request`, Sta3 is between it and `accept` or `reject`, Sta6 is `next_pdv`, Sta13 is `part`. Nothing
is read while something is answered, so that what a peer sends ahead stays in the kernel's buffers,
bounded by TCP, and is served in order.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

from gateway.dicom.command import COMMAND_SET_BYTES_MAX, fragments
from gateway.dicom.connection import Connection, ConnectionEnded
from gateway.dicom.violation import Violation

ASSOCIATE_PDU_BYTES_MAX = 1_048_576
"""128 contexts with every transfer syntax there is take a quarter of it."""
_RATE_BYTES_PER_S_MIN = 1_024
"""A message may take as long as it likes as long as it comes faster than this."""

_ASSOCIATE_RQ, _ASSOCIATE_AC, _ASSOCIATE_RJ, _P_DATA, _RELEASE_RQ, _RELEASE_RP, _ABORT = range(1, 8)
_FIXED_LENGTH = 4
"""Of A-ASSOCIATE-RJ, A-RELEASE-RQ and -RP, and A-ABORT."""
_REQUEST_BYTES_MIN = 68
_HEADER = Struct(">BxL")
_PDV = Struct(">LBB")
_P_DATA_HEADER = Struct(">BxLLB")
_RELEASE_ANSWER = _HEADER.pack(_RELEASE_RP, _FIXED_LENGTH) + bytes(4)
IS_COMMAND, IS_LAST = 0x01, 0x02
"""Bits of a PDV's message control header (PS3.8 E.2)."""


def abort_pdu(*, source: int = 0, reason: int = 0) -> bytes:
    """An A-ABORT: source 0 is the service user, 2 the provider (PS3.8 9.3.8)."""
    return _HEADER.pack(_ABORT, _FIXED_LENGTH) + bytes((0, 0, source, reason))


class ProtocolViolated(Exception):
    """The peer broke the protocol, and is to be aborted."""

    def __init__(self, violation: Violation) -> None:
        super().__init__()
        self.violation = violation


class Released(Exception):
    """The peer has asked for release, and got it."""


class Aborted(Exception):
    """The peer has aborted."""


class UpperLayer:
    """The PDUs of one connection. One thread; raises ConnectionEnded wherever it reads or sends.

    Reading also raises `ProtocolViolated`, `Released` and `Aborted`: each ends the association.
    """

    def __init__(
        self, connection: Connection, *, pdu_bytes_max: int, message_timeout_s: float
    ) -> None:
        self._connection = connection
        self._pdu_bytes_max = pdu_bytes_max
        self._message_timeout_s = message_timeout_s
        self._peer_pdu_bytes_max = 0
        self._pdu_left = 0
        self._pdv_left = 0
        self._idle = False

    # -- before and at the association -------------------------------------------------------------

    def request(self, timeout_s: float) -> bytes:
        """The A-ASSOCIATE-RQ, header included, within `timeout_s` after the connection."""
        self._connection.patience_s = timeout_s
        kind, length = _HEADER.unpack(self._connection.take(_HEADER.size))
        if kind == _ABORT:
            raise Aborted
        if kind != _ASSOCIATE_RQ:
            known = kind in range(_ASSOCIATE_RQ, _ABORT + 1)
            raise ProtocolViolated(
                Violation.PDU_UNEXPECTED if known else Violation.PDU_UNRECOGNIZED
            )
        if not _REQUEST_BYTES_MIN <= length <= ASSOCIATE_PDU_BYTES_MAX:
            raise ProtocolViolated(Violation.PDU_TOO_LONG)
        return _HEADER.pack(kind, length) + self._connection.take(length)

    def accept(self, answer: bytes, *, peer_pdu_bytes_max: int) -> None:
        """Send the A-ASSOCIATE-AC. `peer_pdu_bytes_max` is what we may send; 0 is no limit."""
        self._peer_pdu_bytes_max = peer_pdu_bytes_max
        self._connection.send(answer)

    def reject(self, result: int, source: int, reason: int) -> None:
        """Send an A-ASSOCIATE-RJ (PS3.8 9.3.4)."""
        header = _HEADER.pack(_ASSOCIATE_RJ, _FIXED_LENGTH)
        self._connection.send(header + bytes((0, result, source, reason)))

    # -- messages in -------------------------------------------------------------------------------

    def rest(self, idle_timeout_s: float | None = None) -> None:
        """Let the peer be silent for so long before its next message begins.

        None: as long as within a message, since one is waited for.
        """
        timeout_s = self._message_timeout_s if idle_timeout_s is None else idle_timeout_s
        self._connection.patience_s = timeout_s
        self._idle = True

    def next_pdv(self) -> tuple[int, int]:
        """Begin the next PDV, of this PDU or the next: its context id and control header."""
        while not self._pdu_left:
            self._next_pdu()
        if self._pdu_left < _PDV.size:
            raise ProtocolViolated(Violation.PDV_BEYOND_PDU)
        length, context_id, control = _PDV.unpack(self._connection.take(_PDV.size))
        self._pdu_left -= length + 4
        self._pdv_left = length - 2
        if self._pdv_left < 0:
            raise ProtocolViolated(Violation.PDV_EMPTY)
        if self._pdu_left < 0:
            raise ProtocolViolated(Violation.PDV_BEYOND_PDU)
        return context_id, control

    def fragment(self) -> bytes:
        """The whole of a command's PDV; raises ProtocolViolated if it is too long for one."""
        if self._pdv_left > COMMAND_SET_BYTES_MAX:
            raise ProtocolViolated(Violation.COMMAND_SET_TOO_LONG)
        count, self._pdv_left = self._pdv_left, 0
        return bytes(self._connection.take(count))

    def data_set(self, context_id: int) -> Iterator[memoryview]:
        """The data set that follows a command, as it arrives; each piece valid until the next."""
        connection = self._connection
        while True:
            found_id, control = self.next_pdv()
            if found_id != context_id:
                raise ProtocolViolated(Violation.CONTEXT_CHANGED)
            if control & IS_COMMAND:
                raise ProtocolViolated(Violation.COMMAND_WITHIN_DATA_SET)
            left = self._pdv_left
            while left:
                piece = connection.some(left)
                left -= len(piece)
                yield piece
            if control & IS_LAST:
                return

    def has_arrived(self) -> bool:
        """Whether something of the peer is there to be read, or its end."""
        return bool(self._pdu_left) or self._connection.has_arrived()

    def _next_pdu(self) -> None:
        """Read PDUs up to the header of a P-DATA-TF (PS3.8 Table 9-10, Sta6)."""
        kind, length = _HEADER.unpack(self._connection.take(_HEADER.size))
        if kind == _P_DATA:
            if length > self._pdu_bytes_max:
                raise ProtocolViolated(Violation.PDU_TOO_LONG)
            if not length:
                raise ProtocolViolated(Violation.PDU_INVALID)
            self._pdu_left = length
            self._grant(length)
            return
        if kind == _RELEASE_RQ and length == _FIXED_LENGTH:
            self._connection.take(length)
            self._connection.send(_RELEASE_ANSWER)
            raise Released
        if kind == _ABORT:
            raise Aborted
        if kind == _RELEASE_RQ:
            raise ProtocolViolated(Violation.PDU_INVALID)
        known = kind in (_ASSOCIATE_RQ, _ASSOCIATE_AC, _ASSOCIATE_RJ, _RELEASE_RP)
        raise ProtocolViolated(Violation.PDU_UNEXPECTED if known else Violation.PDU_UNRECOGNIZED)

    def _grant(self, length: int) -> None:
        """Wait for the rest of a message as long as it makes progress, byte by byte it does not."""
        connection = self._connection
        if self._idle:
            self._idle = False
            connection.patience_s = self._message_timeout_s
        else:
            patience_s = connection.patience_s + length / _RATE_BYTES_PER_S_MIN
            connection.patience_s = min(patience_s, self._message_timeout_s)

    # -- messages out ------------------------------------------------------------------------------

    def send_message(self, context_id: int, command_set: bytes, data_set: bytes = b"") -> None:
        """Send a message in PDUs that the peer can take (PS3.8 D.1), in one write if it is one."""
        out = []
        for control, whole in ((IS_COMMAND, command_set), (0, data_set)):
            for is_last, piece in fragments(whole, pdu_bytes_max=self._peer_pdu_bytes_max):
                length = len(piece) + 2
                out.append(_P_DATA_HEADER.pack(_P_DATA, length + 4, length, context_id))
                out.append(bytes((control | (IS_LAST if is_last else 0),)))
                out.append(piece)
        self._connection.send(b"".join(out))

    def abort(self, *, source: int, reason: int) -> None:
        """Send an A-ABORT, whether or not anybody takes it."""
        try:
            self._connection.send(abort_pdu(source=source, reason=reason))
        except ConnectionEnded:
            return
