"""One association, from the connection's first byte to its last, on a thread of its own."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from socket import socket
from typing import Protocol

from pynetdicom.presentation import PresentationContext

from gateway.dicom import associate
from gateway.dicom.access import Accepted, Rejection
from gateway.dicom.associate import Request
from gateway.dicom.command import COMMAND_SET_BYTES_MAX, Command, read_command, response
from gateway.dicom.connection import Connection, ConnectionEnded
from gateway.dicom.upper_layer import (
    IS_COMMAND,
    IS_LAST,
    Aborted,
    ProtocolViolated,
    Released,
    UpperLayer,
    abort_pdu,
)
from gateway.dicom.violation import Violation

_BY_PROVIDER = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How much and how long: the part of the settings that every association keeps to."""

    pdu_bytes_max: int
    associate_timeout_s: float
    idle_timeout_s: float
    message_timeout_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Admission:
    """A requestor is let in, with what is supported for it."""

    accepted: Accepted
    supported: Sequence[PresentationContext]


class Acceptor(Protocol):
    """What associations ask and tell. Called from their own threads."""

    def judge(self, association: Association, request: Request) -> Admission | Rejection:
        """Let the requestor in, or say why not."""

    def may_begin(self) -> bool:
        """Whether another message may begin."""

    def serve(self, association: Association, command: Command) -> None:
        """Answer one request, its data set included."""

    def violated(self, association: Association, violation: Violation) -> None:
        """The peer broke the protocol, and is being aborted."""

    def failed(self, error: Exception) -> None:
        """Something of ours raised."""

    def ended(self, association: Association) -> None:
        """No more is read of this connection, whether it was ever accepted or not."""

    def closed(self, association: Association) -> None:
        """The connection is closed."""


class Association:
    """One connection and what is known of it. `accepted` is None until access was granted."""

    def __init__(
        self, connected: socket, source: str, *, acceptor: Acceptor, limits: Limits
    ) -> None:
        self.source = source
        """The peer's IP address as text."""
        self.accepted: Accepted | None = None
        self.contexts: dict[int, PresentationContext] = {}
        """Accepted presentation contexts by id."""
        self._syntaxes: dict[int, tuple[str, str]] = {}
        self.request: Request | None = None
        self.is_released = False
        self.was_aborted_here = False
        """Whether an A-ABORT of ours was sent or is about to be."""
        self.begun = 0
        """Messages begun."""
        self.answered = 0
        """Messages dealt with."""
        self.idle_since_s = time.monotonic()
        """When the last message was dealt with, on the monotonic clock."""
        self.waiting: deque[Command] = deque(maxlen=1)
        """A request that was met while another one was served; at most one is read ahead."""
        self._acceptor = acceptor
        self._limits = limits
        self._expired = False
        self.connection = Connection(connected, send_timeout_s=limits.message_timeout_s)
        self.layer = UpperLayer(
            self.connection,
            pdu_bytes_max=limits.pdu_bytes_max,
            message_timeout_s=limits.message_timeout_s,
        )

    # -- asked and told by other threads -----------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        """Whether a message has begun and is not answered."""
        return self.begun != self.answered

    def abort_now(self) -> None:
        """Abort as service user; returns at once."""
        if not self.was_aborted_here:
            self.was_aborted_here = True
            self.connection.end(abort_pdu())

    def expire(self) -> None:
        """The peer took too long: abort it, or before an association just hang up (AA-2)."""
        self._expired = True
        if self.accepted is None:
            self.connection.end(b"")
        elif not self.was_aborted_here:
            self.was_aborted_here = True
            self.connection.end(abort_pdu(source=_BY_PROVIDER, reason=Violation.TOO_SLOW.reason))

    # -- its own thread ----------------------------------------------------------------------------

    def run(self) -> None:
        """Serve the connection to its end. Never raises."""
        try:
            if self._associate():
                self._serve()
        except Released:
            self.is_released = True
        except (Aborted, ConnectionEnded):
            if self._expired:
                self._acceptor.violated(self, Violation.TOO_SLOW)
        except ProtocolViolated as error:
            self._abort_for(error.violation)
        except Exception as error:  # noqa: BLE001 - told as an event, without its message
            self._acceptor.failed(error)
            self._abort(source=0, reason=0)
        finally:
            self._acceptor.ended(self)
            self.connection.part()
            self._acceptor.closed(self)

    def _associate(self) -> bool:
        layer = self.layer
        request = associate.read_request(layer.request(self._limits.associate_timeout_s))
        if isinstance(request, Violation):
            raise ProtocolViolated(request)
        self.request = request
        verdict = self._acceptor.judge(self, request)
        if isinstance(verdict, Rejection):
            layer.reject(*verdict.value)
            return False
        self.accepted = verdict.accepted
        answer, self.contexts = associate.accept(
            request, verdict.supported, pdu_bytes_max=self._limits.pdu_bytes_max
        )
        self._syntaxes = {
            context_id: (str(context.abstract_syntax), str(context.transfer_syntax[0]))
            for context_id, context in self.contexts.items()
        }
        layer.accept(answer, peer_pdu_bytes_max=request.pdu_bytes_max)
        return True

    def _serve(self) -> None:
        while True:
            self.layer.rest(self._limits.idle_timeout_s)
            command = self.next_command()
            if command is None:
                return
            try:
                self._acceptor.serve(self, command)
            finally:
                self.idle_since_s = time.monotonic()
                self.answered += 1

    def next_command(self) -> Command | None:
        """The next message's command set; None if none may begin any more, and it is aborted."""
        if self.waiting:
            return self.waiting.popleft()
        layer = self.layer
        context_id, control = layer.next_pdv()
        if not self._acceptor.may_begin():
            self.abort_now()
            return None
        self.begun += 1
        encoded = self._command_fragment(control)
        while not control & IS_LAST:
            found_id, control = layer.next_pdv()
            if found_id != context_id:
                raise ProtocolViolated(Violation.CONTEXT_CHANGED)
            encoded += self._command_fragment(control)
            if len(encoded) > COMMAND_SET_BYTES_MAX:
                raise ProtocolViolated(Violation.COMMAND_SET_TOO_LONG)
        command = read_command(context_id, bytes(encoded))
        if command is None:
            raise ProtocolViolated(Violation.COMMAND_SET_UNREADABLE)
        return command

    def _command_fragment(self, control: int) -> bytearray:
        if not control & IS_COMMAND:
            raise ProtocolViolated(Violation.DATA_BEFORE_COMMAND)
        return bytearray(self.layer.fragment())

    def sop_class_and_syntax(self, context_id: int) -> tuple[str, str] | None:
        """SOP class and transfer syntax of an accepted presentation context; None for others."""
        return self._syntaxes.get(context_id)

    def respond(
        self,
        command: Command,
        *,
        status: int,
        comment: str = "",
        sop_class_uid: str = "",
        sop_instance_uid: str = "",
    ) -> None:
        """Answer `command`."""
        encoded = response(
            command,
            status=status,
            comment=comment,
            sop_class_uid=sop_class_uid,
            sop_instance_uid=sop_instance_uid,
        )
        self.layer.send_message(command.context_id, encoded)

    def _abort_for(self, violation: Violation) -> None:
        """AA-8 within an association, AA-1 before it (PS3.8 Table 9-10)."""
        self._acceptor.violated(self, violation)
        if self.accepted is None:
            self._abort(source=0, reason=0)
        else:
            self._abort(source=_BY_PROVIDER, reason=violation.reason)

    def _abort(self, *, source: int, reason: int) -> None:
        if not self.was_aborted_here:
            self.was_aborted_here = True
            self.layer.abort(source=source, reason=reason)
