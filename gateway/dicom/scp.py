"""The acceptor: Verification and Storage on one port, for the devices of a registry."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable

from config.settings import DicomSettings
from gateway.dicom import listener
from gateway.dicom.access import Accepted, Registry, Rejected, Rejection, check_access
from gateway.dicom.associate import Request
from gateway.dicom.association import Admission, Association, Limits
from gateway.dicom.associations import Associations, DrainReport
from gateway.dicom.command import Command
from gateway.dicom.listener import Listener
from gateway.dicom.negotiation import APPLICATION_CONTEXT_UID, accepted_contexts
from gateway.dicom.places import LocalPlaces
from gateway.dicom.ports import Places, ScpObserver, StoreLane
from gateway.dicom.quiet import silence_libraries
from gateway.dicom.services import Service, Services
from gateway.dicom.serving import Serving
from gateway.dicom.violation import Violation
from gateway.dicom.watchdog import watch

__all__ = ["DrainReport", "StorageScp"]


def _admits_all() -> Rejection | None:
    return None


class StorageScp:
    """One acceptor. Start it once; `stop_listening` and `drain` may be called from any thread."""

    def __init__(
        self,
        *,
        settings: DicomSettings,
        registry: Callable[[], Registry],
        lane: StoreLane,
        observer: ScpObserver,
        admits_associations: Callable[[], Rejection | None] = _admits_all,
        services: Iterable[Service] = (),
        places: Places | None = None,
    ) -> None:
        """Prepare to listen; of `settings` host and port are left to `start`.

        `registry` is asked at every association and must be cheap. `admits_associations` may
        reject new associations for load, whoever asks (2/3/1). `services` are offered besides.
        `places` counts the associations of several processes; without it those of this one
        are counted.
        """
        silence_libraries()
        self._settings = settings
        self._limits = Limits(
            pdu_bytes_max=settings.pdu_length_max_bytes,
            associate_timeout_s=settings.associate_timeout_s,
            idle_timeout_s=settings.network_timeout_s,
            message_timeout_s=settings.dimse_timeout_s,
        )
        self._registry = registry
        self._lane = lane
        self._observer = observer
        self._admits_associations = admits_associations
        self._services = Services(services, ae_title=settings.ae_title)
        self._listener: Listener | None = None
        self._stopping = threading.Lock()
        self._associations = Associations(
            places
            or LocalPlaces(
                associations_max=settings.associations_max,
                per_source_max=settings.associations_per_source_max,
            )
        )
        self._serving = Serving(
            lane=lane,
            observer=observer,
            services=self._services,
            stored=self._associations.stored,
            instance_size_max_bytes=settings.instance_size_max_bytes,
        )

    # -- operation ---------------------------------------------------------------------------------

    def start(self, host: str, port: int) -> None:
        """Listen on `host`, an address or name, and `port`; 0 takes any free one.

        Raises OSError if that is not possible.
        """
        self.start_on(listener.listen(host, port))

    def start_on(self, listening: socket.socket) -> None:
        """Accept from a socket that listens already, and may be shared with other processes."""
        limits = self._limits
        watch(
            self._associations,
            shortest_timeout_s=min(
                limits.associate_timeout_s, limits.idle_timeout_s, limits.message_timeout_s
            ),
        )
        self._listener = Listener(listening, connected=self._connected, failed=self.failed)

    @property
    def port(self) -> int:
        """The port that is listened on; raises RuntimeError unless listening."""
        if self._listener is None:
            raise RuntimeError("not listening")
        return self._listener.port

    @property
    def associations_open(self) -> int:
        """How many associations are accepted and have not ended."""
        return self._associations.open_count

    def stop_listening(self) -> None:
        """Accept no more connections; associations go on."""
        with self._stopping:
            if self._listener is not None:
                self._listener.stop()
                self._listener = None

    def drain(self, timeout_s: float) -> DrainReport:
        """End all associations within about `timeout_s`; see `Associations.drain`.

        From now on no store begins, and new associations are rejected with 2/3/1.
        """
        return self._associations.drain(timeout_s)

    def _connected(self, connection: socket.socket, source: str) -> None:
        association = Association(connection, source, acceptor=self, limits=self._limits)
        thread = threading.Thread(target=association.run, name="dicom-association", daemon=True)
        self._associations.connected(association)
        try:
            thread.start()
        except RuntimeError:
            self._associations.ended(association)
            self._associations.closed(association)
            raise

    # -- what associations ask and tell ------------------------------------------------------------

    def judge(self, association: Association, request: Request) -> Admission | Rejection:
        """Judge an A-ASSOCIATE-RQ, before anything of it is negotiated."""
        try:
            verdict = self._judge(association, request)
        except Exception as error:  # noqa: BLE001 - a registry that fails lets nobody in
            self.failed(error)
            verdict = Rejection.CONGESTION
        if isinstance(verdict, Rejection):
            self._observer.association_rejected(
                verdict,
                called_ae_title=request.called_ae_title.strip(),
                calling_ae_title=request.calling_ae_title.strip(),
                source=association.source,
            )
            return verdict
        self._observer.association_accepted(verdict)
        supported = accepted_contexts(
            verdict.device.private_sop_classes, offer_deflated=self._settings.offer_deflated
        )
        return Admission(accepted=verdict, supported=(*supported, *self._services.contexts))

    def _judge(self, association: Association, request: Request) -> Accepted | Rejection:
        if not request.version_is_known:
            return Rejection.PROTOCOL_VERSION_UNKNOWN
        if request.application_context_name != APPLICATION_CONTEXT_UID:
            return Rejection.APPLICATION_CONTEXT_UNKNOWN
        verdict = check_access(
            called_ae_title=request.called_ae_title,
            calling_ae_title=request.calling_ae_title,
            source=association.source,
            common_ae_title=self._settings.ae_title,
            registry=self._registry(),
        )
        if isinstance(verdict, Rejected):
            return verdict.rejection
        rejection = self._admits_associations() or self._associations.take_place(
            association, verdict, called_ae_title=request.called_ae_title.strip()
        )
        return rejection or verdict

    def may_begin(self) -> bool:
        """Whether another message may begin."""
        return not self._associations.is_draining

    def serve(self, association: Association, command: Command) -> None:
        """Answer one request."""
        self._serving.serve(association, command)

    def violated(self, association: Association, violation: Violation) -> None:
        """The peer broke the protocol, and is being aborted."""
        self._observer.association_violated(association.accepted, violation)

    def failed(self, error: Exception) -> None:
        """Something of ours raised."""
        self._observer.acceptor_failed(error)

    def ended(self, association: Association) -> None:
        """No more is read of a connection, whether an association ever came of it or not."""
        self._associations.ended(association)
        if association.accepted is None:
            return
        try:
            self._lane.association_ended(association.accepted)
        except Exception as error:  # noqa: BLE001 - told as an event, without its message
            self.failed(error)
        self._observer.association_ended(association.accepted, released=association.is_released)

    def closed(self, association: Association) -> None:
        """A connection is closed."""
        self._associations.closed(association)
