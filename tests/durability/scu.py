"""A sender in this process, so that each answer is known the moment it was given."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.dsutils import encode

from tests import requestor

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
WAIT_S = 60
STORED = 0x0000
OUT_OF_RESOURCES = 0xA700
_CONNECTIONS: WeakKeyDictionary[Association, socket.socket] = WeakKeyDictionary()


@dataclass(frozen=True, kw_only=True)
class Image:
    """A CT image and the bytes that its data set becomes on the wire."""

    study_instance_uid: str
    sop_instance_uid: str
    data_set: Dataset
    encoded: bytes


def image(study: int, number: int = 1, *, content: int = 0, size_bytes: int = 2_048) -> Image:
    """The image `number` of a study; another `content` gives other bytes under the same UIDs."""
    data_set = Dataset()
    data_set.SOPClassUID = CT_IMAGE_STORAGE
    data_set.StudyInstanceUID = f"1.2.826.0.1.{study}"
    data_set.SeriesInstanceUID = f"{data_set.StudyInstanceUID}.1"
    data_set.SOPInstanceUID = f"{data_set.SeriesInstanceUID}.{number}"
    data_set.StudyDate = "20260102"
    data_set.AccessionNumber = f"A{study}"
    data_set.Modality = "CT"
    data_set.PatientName = "Doe^Jane"
    data_set.PatientID = f"P{study}"
    pattern = f"{study}/{number}/{content};".encode()
    data_set.add_new(0x7FE00010, "OW", (pattern * (size_bytes // len(pattern) + 1))[:size_bytes])
    return of_data_set(data_set)


def of_data_set(data_set: Dataset) -> Image:
    """Any data set with the usual UIDs, as it goes over the wire in explicit little endian."""
    encoded = encode(data_set, is_implicit_vr=False, is_little_endian=True)
    assert encoded is not None
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = UID(EXPLICIT_LITTLE)
    return Image(
        study_instance_uid=str(data_set.StudyInstanceUID),
        sop_instance_uid=str(data_set.SOPInstanceUID),
        data_set=data_set,
        encoded=encoded,
    )


def associate(
    port: int,
    *,
    calling: str = "CT1",
    called: str = "TOLLGATE",
    host: str = "127.0.0.1",
    source: str = "",
    sop_class: str = CT_IMAGE_STORAGE,
) -> Association:
    """Ask for an association; `source` is the local address to call from."""
    entity = ApplicationEntity(calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = WAIT_S
    entity.add_requested_context(sop_class, EXPLICIT_LITTLE)
    opened = requestor.associate(entity, host, port, ae_title=called, bind_address=(source, 0))
    if opened.dul.socket is not None and opened.dul.socket.socket is not None:
        _CONNECTIONS[opened] = opened.dul.socket.socket
    return opened


@contextmanager
def association(port: int, **options: Any) -> Iterator[Association]:
    """An association that must be accepted; released at the end if it is still there."""
    opened = associate(port, **options)
    assert opened.is_established
    try:
        yield opened
    finally:
        end(opened)


def end(opened: Association) -> None:
    """Release the association if it is still there; let go of its socket in any case."""
    if opened.is_established:
        opened.release()
    if opened.is_alive():
        opened.join(WAIT_S)
    # pynetdicom leaves it to the garbage collector where the peer was the one to end.
    if (connection := _CONNECTIONS.pop(opened, None)) is not None:
        connection.close()


def store(opened: Association, what: Image) -> int | None:
    """The status of the answer; None where the peer was gone before it gave one."""
    try:
        answer = opened.send_c_store(what.data_set)
    except RuntimeError:  # the association has ended
        return None
    return int(answer.Status) if "Status" in answer else None
