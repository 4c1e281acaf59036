"""The listening socket, and connections that read whole PDUs of bounded length.

Uses internals of pynetdicom 3.0: `RequestHandler._create_association`, `AssociationSocket.recv`,
`Association._server`.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any, cast

from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

from gateway.dicom.upper_layer import GatewayAssociation, Service, set_timeouts

ASSOCIATE_PDU_BYTES_MAX = 1_048_576
"""128 contexts with every transfer syntax there is take a quarter of it."""
_BACKLOG = 128


class _Connection(AssociationSocket):
    """Reads whole PDUs, of bounded length, and acknowledges at once."""

    def recv(self, nr_bytes: int) -> bytearray:
        """Read `nr_bytes`, or less if the connection ends.

        Raises ValueError, upon which the base class aborts, for a PDU of more than the cap; it
        would buffer any length that a peer declares. OSError if nothing comes in time.
        """
        association = cast(GatewayAssociation, self.assoc)
        cap = max(association.service.pdu_length_max_bytes, ASSOCIATE_PDU_BYTES_MAX)
        if nr_bytes > cap:
            raise ValueError("PDU length beyond the cap")
        connection = cast(socket.socket, self.socket)
        buffer = bytearray(nr_bytes)
        received = 0
        with memoryview(buffer) as view:
            while received < nr_bytes:
                count = connection.recv_into(view[received:])
                if not count:
                    break
                received += count
                _acknowledge_at_once(connection)
        return buffer[:received]


class _Handler(RequestHandler):
    """Makes a `GatewayAssociation` of a connection, as the base class makes an `Association`."""

    server: GatewayServer

    def _create_association(self) -> GatewayAssociation:
        ae = self.server.ae
        association = GatewayAssociation(ae, self.server.service)
        association._server = self.server  # noqa: SLF001 - as the base class does
        association.name = "AcceptorThread@gateway"
        association.set_socket(_Connection(association, client_socket=self.request))
        association.acceptor.maximum_length = ae.maximum_pdu_size
        association.acceptor.ae_title = ae.ae_title
        association.acceptor.address_info = self.local
        association.acceptor.implementation_class_uid = ae.implementation_class_uid
        association.acceptor.implementation_version_name = ae.implementation_version_name
        association.requestor.address_info = self.remote
        association.bind(evt.EVT_REQUESTED, _on_requested)
        return association


def _on_requested(event: evt.Event) -> None:
    association = cast(GatewayAssociation, event.assoc)
    association.service.requested(association)


class GatewayServer(ThreadedAssociationServer):
    """Accepts connections for one service."""

    request_queue_size = _BACKLOG

    def __init__(self, ae: ApplicationEntity, address: tuple[str, int], service: Service) -> None:
        self.service = service
        super().__init__(ae, address, ae.ae_title, [], request_handler=_Handler)

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        """Accept a connection that neither waits with small packets nor for ever."""
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        set_timeouts(connection, self.service.associate_timeout_s)
        return connection, address

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002 - theirs
        """Whether there is room for one more connection; if not it is closed at once."""
        return self.service.connections() < self.service.connections_max

    def service_actions(self) -> None:
        """Nothing: the base class runs a full garbage collection every minute."""

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - theirs
        """Tell that a connection could not be served; the base class prints a traceback."""
        self.service.failed(ConnectionError())


def _acknowledge_at_once(connection: socket.socket) -> None:
    # Senders with Nagle's algorithm on (DCMTK's default) otherwise wait 40 ms for our delayed
    # acknowledgement, twice per instance. The option does not last, hence after every read.
    with suppress(OSError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
