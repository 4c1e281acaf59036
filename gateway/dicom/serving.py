"""Requests and their answers: C-ECHO, C-STORE on the lane, and a status for everything else."""

from __future__ import annotations

import time
from collections.abc import Callable

from gateway.dicom import command as dimse
from gateway.dicom.access import Accepted
from gateway.dicom.association import Association
from gateway.dicom.command import Command
from gateway.dicom.negotiation import VERIFICATION_UID
from gateway.dicom.ports import Receiving, ScpObserver, StoreLane
from gateway.dicom.request import StoreCommand, check_command, is_uid
from gateway.dicom.services import Services
from gateway.dicom.status import (
    SUCCESS,
    TABLE,
    UNRECOGNIZED_OPERATION,
    Failure,
    StoreAnswer,
    answer_for,
)
from gateway.dicom.upper_layer import ProtocolViolated
from gateway.dicom.violation import Violation


class Serving:
    """Answers requests. Each call is on the thread of its association."""

    def __init__(
        self,
        *,
        lane: StoreLane,
        observer: ScpObserver,
        services: Services,
        stored: Callable[[Association, int], None],
        instance_size_max_bytes: int,
    ) -> None:
        """`stored` is told each data set, with its bytes, that was answered with success."""
        self._services = services
        self._lane = lane
        self._observer = observer
        self._stored = stored
        self._instance_size_max_bytes = instance_size_max_bytes

    def serve(self, association: Association, command: Command) -> None:
        """Answer one request; raises ProtocolViolated where no answer is possible (PS3.7 9.3)."""
        context = association.sop_class_and_syntax(command.context_id)
        accepted = association.accepted
        if context is None or accepted is None:
            raise ProtocolViolated(Violation.CONTEXT_NOT_ACCEPTED)
        if command.command_field & dimse.RESPONSE_BIT:
            raise ProtocolViolated(Violation.RESPONSE_UNEXPECTED)
        if command.command_field == dimse.C_CANCEL_RQ:
            # It has no response; what it would cancel is never under way here (PS3.7 9.3.2.3).
            _swallow(association, command)
            return
        if command.message_id is None:
            raise ProtocolViolated(Violation.MESSAGE_ID_MISSING)
        if command.command_field == dimse.C_STORE_RQ:
            store = StoreCommand(
                message_id=command.message_id,
                affected_sop_class_uid=command.affected_sop_class_uid,
                affected_sop_instance_uid=command.affected_sop_instance_uid,
                context_sop_class_uid=context[0],
                transfer_syntax_uid=context[1],
            )
            self._store(association, accepted, command, store)
            return
        if self._services.offers(context[0]):
            self._services.serve(association, command)
            return
        _swallow(association, command)
        if command.command_field == dimse.C_ECHO_RQ:
            right = command.affected_sop_class_uid == context[0] == VERIFICATION_UID
            status = SUCCESS if right else TABLE[Failure.SOP_CLASS_MISMATCH].status
            association.respond(command, status=status, sop_class_uid=VERIFICATION_UID)
        else:
            association.respond(command, status=UNRECOGNIZED_OPERATION)

    def _store(
        self,
        association: Association,
        accepted: Accepted,
        command: Command,
        store: StoreCommand,
    ) -> None:
        arriving = _Arriving(self._lane, accepted, store, self._instance_size_max_bytes)
        try:
            if command.has_data_set:
                for chunk in association.layer.data_set(command.context_id):
                    arriving.write(chunk)
            whole_s = time.monotonic()
            answer = arriving.finish()
        finally:
            arriving.abandon()
        if arriving.error is not None:
            self._observer.acceptor_failed(arriving.error)
        elif arriving.failure is not None:
            self._observer.store_rejected(accepted, arriving.failure)
        association.respond(
            command,
            status=answer.status,
            comment=answer.comment,
            sop_class_uid=_echoed(store.affected_sop_class_uid),
            sop_instance_uid=_echoed(store.affected_sop_instance_uid),
        )
        if answer.status == SUCCESS:
            self._stored(association, arriving.size_bytes)
        self._observer.store_answered(
            accepted,
            answer,
            size_bytes=arriving.size_bytes,
            seconds=time.monotonic() - whole_s,
        )


class _Arriving:
    """One data set on its way to the lane, swallowed from where it can't be stored any more."""

    def __init__(
        self, lane: StoreLane, accepted: Accepted, command: StoreCommand, size_max_bytes: int
    ) -> None:
        self.size_bytes = 0
        self.failure = check_command(command, accepted=accepted)
        self.error: Exception | None = None
        self._lane = lane
        self._accepted = accepted
        self._command = command
        self._size_max_bytes = size_max_bytes
        self._receiving: Receiving | None = None

    def write(self, chunk: memoryview) -> None:
        self.size_bytes += len(chunk)
        if self.failure is not None:
            return
        if self.size_bytes > self._size_max_bytes:
            self.failure = Failure.INSTANCE_TOO_LARGE
            self.abandon()
            return
        try:
            if self._receiving is None:
                self._receiving = self._lane.begin(self._accepted, self._command)
            self._receiving.write(chunk)
        except Exception as error:  # noqa: BLE001 - the device is waiting, and gets an answer
            self._fail(error)

    def finish(self) -> StoreAnswer:
        if self.failure is None and self._receiving is None:
            self.failure = Failure.DATA_SET_MISSING
        if self.failure is not None or self._receiving is None:
            return answer_for(self.failure or Failure.INTERNAL)
        receiving, self._receiving = self._receiving, None
        try:
            return receiving.finish()
        except Exception as error:  # noqa: BLE001 - the device is waiting, and gets an answer
            self._fail(error)
            return answer_for(Failure.INTERNAL)

    def abandon(self) -> None:
        """Let the lane forget what it has, unless it has finished it."""
        receiving, self._receiving = self._receiving, None
        if receiving is None:
            return
        try:
            receiving.abort()
        except Exception as error:  # noqa: BLE001 - nothing was promised; told as an event
            self.error = self.error or error

    def _fail(self, error: Exception) -> None:
        self.error = error
        self.failure = Failure.INTERNAL
        self.abandon()


def _swallow(association: Association, command: Command) -> None:
    if command.has_data_set:
        for _ in association.layer.data_set(command.context_id):
            pass


def _echoed(uid: str) -> str:
    """A UID of the request as it goes into the response: left out if it is none."""
    # The strict question first: the command's check has asked it, and the answer is remembered.
    strict = is_uid(uid, tolerates_leading_zeros=False)
    return uid if strict or is_uid(uid, tolerates_leading_zeros=True) else ""
