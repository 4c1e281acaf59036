"""Associations and requests encoded beforehand, by pynetdicom's codecs."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pynetdicom import build_context
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu import A_ASSOCIATE_RQ, A_RELEASE_RQ, P_DATA_TF
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    A_RELEASE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
)

from tests.benchmarks.peers.data import SOP_CLASSES

_PDU_LENGTH_MAX = 131_072
_MAXIMUM_LENGTH_ITEM = 0x51
_STATUS = b"\x00\x00\x00\x09"  # (0000,0900), US, implicit VR, little endian
_PDV_HEADER_BYTES = 6
_ASSOCIATE_AC = 2
_PREFIX_BYTES = 144  # PS3.10 7.1: preamble, DICM, the group length element


class NotStored(Exception):
    """The receiver did not answer 0x0000."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A C-STORE-RQ with its data set: PDUs, one after another; `size_bytes` of its data set."""

    pdus: bytes
    size_bytes: int


class Association:
    """An association of a bare requestor on a blocking socket."""

    def __init__(self, port: int, *, called: str, calling: str, nagle: bool = False) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, int(not nagle))
        self._socket.sendall(_associate_rq(called=called, calling=calling))
        kind, body = self._receive()
        if kind != _ASSOCIATE_AC:
            raise NotStored(f"the association was answered with a PDU of type {kind}")
        self.pdu_length_max = min(_maximum_length(body) or _PDU_LENGTH_MAX, _PDU_LENGTH_MAX)

    def store(self, request: Request) -> None:
        """Send one and wait for its answer. Raises NotStored."""
        self._socket.sendall(request.pdus)
        _, body = self._receive()
        if (status := _status(body)) != 0:
            raise NotStored("no status" if status is None else f"status {status:04X}")

    def release(self) -> None:
        """End it in good order."""
        pdu = A_RELEASE_RQ()
        pdu.from_primitive(A_RELEASE())
        self._socket.sendall(pdu.encode())
        self._receive()
        self._socket.close()

    def _receive(self) -> tuple[int, bytes]:
        head = self._exactly(6)
        return head[0], self._exactly(int.from_bytes(head[2:6], "big"))

    def _exactly(self, size: int) -> bytes:
        received = bytearray()
        while len(received) < size:
            chunk = self._socket.recv(size - len(received))
            if not chunk:
                raise NotStored("the receiver closed the connection")
            received += chunk
        return bytes(received)


def data_set_of(path: Path) -> tuple[bytes, str, str]:
    """Data set as stored, SOP Class UID and SOP Instance UID."""
    whole = path.read_bytes()
    meta = pydicom.filereader.read_file_meta_info(path)
    begin = _PREFIX_BYTES + meta.FileMetaInformationGroupLength
    return whole[begin:], meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID


def requests(folder: Path, *, pdu_length_max: int) -> Iterator[Request]:
    """The files of a folder as requests."""
    for number, path in enumerate(sorted(folder.iterdir())):
        data_set, sop_class_uid, sop_instance_uid = data_set_of(path)
        yield request_of(
            data_set,
            sop_class_uid=sop_class_uid,
            sop_instance_uid=sop_instance_uid,
            message_id=number % 65_535 + 1,
            pdu_length_max=pdu_length_max,
        )


def request_of(
    data_set: bytes,
    *,
    sop_class_uid: str,
    sop_instance_uid: str,
    message_id: int,
    pdu_length_max: int,
) -> Request:
    """An encoded data set as a request on the presentation context of its SOP class."""
    primitive = C_STORE()
    primitive.MessageID = message_id
    primitive.AffectedSOPClassUID = sop_class_uid
    primitive.AffectedSOPInstanceUID = sop_instance_uid
    primitive.Priority = 0
    primitive.DataSet = io.BytesIO(data_set)
    message = C_STORE_RQ()
    message.primitive_to_message(primitive)
    context_id = 2 * SOP_CLASSES.index(sop_class_uid) + 1
    encoded = []
    for part in message.encode_msg(context_id, pdu_length_max):
        pdu = P_DATA_TF()
        pdu.from_primitive(part)
        encoded.append(pdu.encode())
    return Request(pdus=b"".join(encoded), size_bytes=len(data_set))


def _associate_rq(*, called: str, calling: str) -> bytes:
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received = _PDU_LENGTH_MAX
    implementation.implementation_class_uid = pydicom.uid.UID("1.2.826.0.1.3680043.9.9999.1")
    primitive = A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title, primitive.called_ae_title = calling, called
    primitive.user_information = [length, implementation]
    contexts = []
    for index, uid in enumerate(SOP_CLASSES):
        context = build_context(uid, pydicom.uid.ExplicitVRLittleEndian)
        context.context_id = 2 * index + 1
        contexts.append(context)
    primitive.presentation_context_definition_list = contexts
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(primitive)
    return pdu.encode()


def _status(body: bytes) -> int | None:
    """The status in a command set of one PDV: its elements are walked, not searched."""
    place = _PDV_HEADER_BYTES
    while place + 8 <= len(body):
        length = int.from_bytes(body[place + 4 : place + 8], "little")
        if body[place : place + 4] == _STATUS:
            return int.from_bytes(body[place + 8 : place + 10], "little")
        place += 8 + length
    return None


def _maximum_length(body: bytes) -> int:
    """The acceptor's maximum (PS3.8 D.1), 0 for none: the items are walked, not searched."""
    place = 68
    while place + 4 <= len(body):
        kind, length = body[place], int.from_bytes(body[place + 2 : place + 4], "big")
        if kind == 0x50:  # user information: its items follow
            place += 4
            continue
        if kind == _MAXIMUM_LENGTH_ITEM:
            return int.from_bytes(body[place + 4 : place + 8], "big")
        place += 4 + length
    return 0
