"""The Part 10 wrapping of a stored data set (PS3.10 7.1). The data set itself is never touched."""

from __future__ import annotations

import hashlib

from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID

from storage.records import Incoming

IMPLEMENTATION_CLASS_UID = "2.25.320149637914083374187349012838160541297"
IMPLEMENTATION_VERSION_NAME = "TOLLGATE_0"

# PS3.10 7.1: content of the preamble is free; zeros, since a device could hide a program in it.
_PREAMBLE = bytes(128) + b"DICM"


def header(incoming: Incoming) -> bytes:
    """Preamble, prefix and file meta information.

    It depends on the instance alone, not on who sent it: the same instance from another device is
    the same object, byte for byte.
    """
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = UID(incoming.sop_class_uid)
    meta.MediaStorageSOPInstanceUID = UID(incoming.sop_instance_uid)
    meta.TransferSyntaxUID = UID(incoming.transfer_syntax_uid)
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    buffer = DicomBytesIO()
    write_file_meta_info(buffer, meta)
    return _PREAMBLE + buffer.getvalue()


def digest(transfer_syntax_uid: str, data_set: bytes | memoryview) -> str:
    """SHA-256, hex, over transfer syntax and data set: what makes two instances the same."""
    digest = hashlib.sha256(transfer_syntax_uid.encode("ascii"))
    digest.update(b"\0")
    digest.update(data_set)
    return digest.hexdigest()
