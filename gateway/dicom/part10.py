"""The Part 10 wrapping of a stored data set (PS3.10 7.1). The data set itself is never touched."""

from __future__ import annotations

from struct import Struct

IMPLEMENTATION_CLASS_UID = "2.25.320149637914083374187349012838160541297"
IMPLEMENTATION_VERSION_NAME = "TOLLGATE_0"

# PS3.10 7.1: content of the preamble is free; zeros, since a device could hide a program in it.
_PREAMBLE = bytes(128) + b"DICM"
_SHORT = Struct("<HH2sH")
_LONG = Struct("<HH2sHL")
_VERSION = _LONG.pack(2, 0x0001, b"OB", 0, 2) + b"\x00\x01"


def _text(element: int, vr: bytes, text: str, padding: bytes) -> bytes:
    raw = text.encode("ascii")
    if len(raw) % 2:
        raw += padding
    return _SHORT.pack(2, element, vr, len(raw)) + raw


_IMPLEMENTATION = _text(0x0012, b"UI", IMPLEMENTATION_CLASS_UID, b"\0") + _text(
    0x0013, b"SH", IMPLEMENTATION_VERSION_NAME, b" "
)


def header(*, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Preamble, prefix and file meta information, in explicit VR little endian.

    It depends on the instance alone, not on who sent it: the same instance from another device is
    the same object, byte for byte. Written by hand: pydicom takes longer for it than the disk for
    the whole instance.
    """
    elements = b"".join(
        (
            _VERSION,
            _text(0x0002, b"UI", sop_class_uid, b"\0"),
            _text(0x0003, b"UI", sop_instance_uid, b"\0"),
            _text(0x0010, b"UI", transfer_syntax_uid, b"\0"),
            _IMPLEMENTATION,
        )
    )
    return _PREAMBLE + _SHORT.pack(2, 0, b"UL", 4) + len(elements).to_bytes(4, "little") + elements
