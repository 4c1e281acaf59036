"""The acceptor: Verification and Storage on one port, for the devices of a registry."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from pynetdicom.ae import ApplicationEntity

from config.settings import DicomSettings
from gateway.dicom import message as dimse
from gateway.dicom.access import Accepted, Registry, Rejected, Rejection, check_access
from gateway.dicom.associations import Associations, DrainReport
from gateway.dicom.listener import GatewayServer
from gateway.dicom.message import Message, Violation
from gateway.dicom.negotiation import APPLICATION_CONTEXT_UID, VERIFICATION_UID, accepted_contexts
from gateway.dicom.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from gateway.dicom.ports import ScpObserver, StoreHandler
from gateway.dicom.quiet import silence_libraries
from gateway.dicom.request import StoreRequest, is_uid
from gateway.dicom.status import (
    SUCCESS,
    TABLE,
    UNRECOGNIZED_OPERATION,
    Failure,
    StoreAnswer,
    answer_for,
)
from gateway.dicom.upper_layer import GatewayAssociation

_POLL_S = 0.05
__all__ = ["DrainReport", "StorageScp"]

_CONNECTIONS_BEYOND_ASSOCIATIONS = 64
"""Room for connections that are still asking, or silent."""


def _admits_all() -> Rejection | None:
    return None


class StorageScp:
    """One acceptor. Start it once; `stop_listening` and `drain` may be called from any thread."""

    def __init__(
        self,
        *,
        settings: DicomSettings,
        registry: Callable[[], Registry],
        store: StoreHandler,
        observer: ScpObserver,
        admits_associations: Callable[[], Rejection | None] = _admits_all,
    ) -> None:
        """Prepare to listen; of `settings` host and port are left to `start`.

        `registry` is asked at every association and must be cheap. `admits_associations` may
        reject new associations for load, whoever asks (2/3/1).
        """
        silence_libraries()
        self.pdu_length_max_bytes = settings.pdu_length_max_bytes
        self.instance_size_max_bytes = settings.instance_size_max_bytes
        self.associate_timeout_s = settings.associate_timeout_s
        self.dimse_timeout_s = settings.dimse_timeout_s
        self.connections_max = settings.associations_max + _CONNECTIONS_BEYOND_ASSOCIATIONS
        self._settings = settings
        self._registry = registry
        self._handler = store
        self._observer = observer
        self._admits_associations = admits_associations
        self._ae = _application_entity(settings)
        self._server: GatewayServer | None = None
        self._stopping = threading.Lock()
        self._associations = Associations(associations_max=settings.associations_max)

    # -- operation ---------------------------------------------------------------------------------

    def start(self, host: str, port: int) -> None:
        """Listen on `host`, an address or name, and `port`; 0 takes any free one.

        Raises OSError if that is not possible.
        """
        self._server = GatewayServer(self._ae, (host, port), self)
        self._ae._servers.append(self._server)  # noqa: SLF001 - its shutdown removes it from there
        threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": _POLL_S},
            name="dicom-listener",
            daemon=True,
        ).start()

    @property
    def port(self) -> int:
        """The port that is listened on; raises RuntimeError unless listening."""
        if self._server is None:
            raise RuntimeError("not listening")
        return int(self._server.server_address[1])

    @property
    def associations_open(self) -> int:
        """How many associations are accepted and have not ended."""
        return self._associations.open_count

    def stop_listening(self) -> None:
        """Close the listening socket; associations go on."""
        with self._stopping:
            if self._server is not None:
                self._server.shutdown()
                self._server = None

    def drain(self, timeout_s: float) -> DrainReport:
        """End all associations within about `timeout_s`; see `Associations.drain`.

        From now on no store begins, and new associations are rejected with 2/3/1.
        """
        return self._associations.drain(timeout_s)

    # -- what associations ask and tell ------------------------------------------------------------

    def connections(self) -> int:
        """How many connections are open, associated or not."""
        return self._associations.connected_count

    def may_begin(self) -> bool:
        """Whether another message may begin."""
        return not self._associations.is_draining

    def began(self, association: GatewayAssociation) -> None:
        """A connection's thread begins."""
        self._associations.began(association)

    def ended(self, association: GatewayAssociation) -> None:
        """A connection's thread ends, whether an association ever came of it or not."""
        self._associations.ended(association)
        if association.accepted is not None:
            self._observer.association_ended(association.accepted, released=association.is_released)

    def violated(self, association: GatewayAssociation, violation: Violation) -> None:
        """The peer broke the protocol, and is being aborted."""
        self._observer.association_violated(association.accepted, violation)

    def failed(self, error: Exception) -> None:
        """Something of ours raised."""
        self._observer.acceptor_failed(error)

    def requested(self, association: GatewayAssociation) -> None:
        """Judge an A-ASSOCIATE-RQ, before anything of it is negotiated."""
        try:
            verdict = self._judge(association)
        except Exception as error:  # noqa: BLE001 - pynetdicom would go on and accept
            self.failed(error)
            verdict = Rejected(rejection=Rejection.CONGESTION)
        if isinstance(verdict, Accepted):
            association.accepted = verdict
            association.set_receive_timeout(self.dimse_timeout_s)
            self._observer.association_accepted(verdict)
            return
        self._reject(association, verdict.rejection)

    def _judge(self, association: GatewayAssociation) -> Accepted | Rejected:
        called, calling = association.titles
        if association.application_context_name != APPLICATION_CONTEXT_UID:
            return Rejected(rejection=Rejection.APPLICATION_CONTEXT_UNKNOWN)
        verdict = check_access(
            called_ae_title=called,
            calling_ae_title=calling,
            source=association.requestor.address,
            common_ae_title=self._settings.ae_title,
            registry=self._registry(),
        )
        if isinstance(verdict, Rejected):
            return verdict
        association.acceptor.supported_contexts = list(
            accepted_contexts(
                verdict.device.private_sop_classes, offer_deflated=self._settings.offer_deflated
            )
        )
        rejection = self._admits_associations() or self._associations.take_place(association)
        return verdict if rejection is None else Rejected(rejection=rejection)

    def _reject(self, association: GatewayAssociation, rejection: Rejection) -> None:
        called, calling = association.titles
        self._observer.association_rejected(
            rejection,
            called_ae_title=called.strip(),
            calling_ae_title=calling.strip(),
            source=association.requestor.address,
        )
        association.acse.send_reject(*rejection.value)
        association.is_rejected = True
        association.kill()

    def serve(self, association: GatewayAssociation, message: Message) -> None:
        """Answer one request, or abort where no answer is possible (PS3.7 9.3)."""
        context = association.sop_class_and_syntax(message.context_id)
        if context is None or association.accepted is None:
            association.abort_for(Violation.CONTEXT_NOT_ACCEPTED)
        elif message.command_field & dimse.RESPONSE_BIT:
            association.abort_for(Violation.RESPONSE_UNEXPECTED)
        elif message.command_field == dimse.C_CANCEL_RQ:
            # It has no response; what it would cancel is never under way here (PS3.7 9.3.2.3).
            return
        elif message.message_id is None:
            association.abort_for(Violation.MESSAGE_ID_MISSING)
        elif message.command_field == dimse.C_STORE_RQ:
            self._store(association, association.accepted, message, context)
        elif message.command_field == dimse.C_ECHO_RQ:
            self._echo(association, message, context)
        else:
            association.respond(message, status=UNRECOGNIZED_OPERATION)

    def _echo(
        self, association: GatewayAssociation, message: Message, context: tuple[str, str]
    ) -> None:
        right = message.affected_sop_class_uid == context[0] == VERIFICATION_UID
        association.respond(
            message,
            status=SUCCESS if right else TABLE[Failure.SOP_CLASS_MISMATCH].status,
            sop_class_uid=VERIFICATION_UID,
        )

    def _store(
        self,
        association: GatewayAssociation,
        accepted: Accepted,
        message: Message,
        context: tuple[str, str],
    ) -> None:
        began_s = time.monotonic()
        answer = self._answer(accepted, message, context)
        association.respond(
            message,
            status=answer.status,
            comment=answer.comment,
            sop_class_uid=_echoed(message.affected_sop_class_uid),
            sop_instance_uid=_echoed(message.affected_sop_instance_uid),
        )
        self._observer.store_answered(
            accepted,
            answer,
            size_bytes=len(message.data_set),
            seconds=time.monotonic() - began_s,
        )

    def _answer(
        self, accepted: Accepted, message: Message, context: tuple[str, str]
    ) -> StoreAnswer:
        sop_class_uid, transfer_syntax_uid = context
        assert message.message_id is not None
        request = StoreRequest(
            message_id=message.message_id,
            affected_sop_class_uid=message.affected_sop_class_uid,
            affected_sop_instance_uid=message.affected_sop_instance_uid,
            context_sop_class_uid=sop_class_uid,
            transfer_syntax_uid=transfer_syntax_uid,
            data_set=memoryview(message.data_set).toreadonly(),
            too_large=message.too_large,
        )
        try:
            return self._handler.handle(accepted, request)
        except Exception as error:  # noqa: BLE001 - the device is waiting, and gets an answer
            self.failed(error)
            return answer_for(Failure.INTERNAL)


def _echoed(uid: str) -> str:
    """A UID of the request as it goes into the response: left out if it is none."""
    return uid if is_uid(uid, tolerates_leading_zeros=True) else ""


def _application_entity(settings: DicomSettings) -> ApplicationEntity:
    entity = ApplicationEntity(settings.ae_title)
    entity.maximum_pdu_size = settings.pdu_length_max_bytes
    entity.acse_timeout = settings.associate_timeout_s
    entity.network_timeout = settings.network_timeout_s
    entity.dimse_timeout = settings.dimse_timeout_s
    # Counted by ourselves: pynetdicom counts connections that never asked for anything as well.
    entity.maximum_associations = 1_000_000
    entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    return entity
