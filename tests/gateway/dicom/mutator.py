"""A mutator that knows the grammar: what it sends is nearly right, in the places that count."""

from __future__ import annotations

import struct
from random import Random

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.gateway.dicom.raw import (
    COMMAND_LAST,
    DATA,
    DATA_LAST,
    associate_rq,
    command,
    item,
    pdu,
    pdv,
    store_command,
)
from tests.gateway.dicom.support import EXPLICIT_LITTLE, IMPLICIT_LITTLE, ct_image, encoded

LENGTHS = (0, 1, 2, 3, 4, 5, 7, 0x7F, 0xFF, 0xFFFF, 0x10000, 0x40001, 0x7FFFFFFF, 0xFFFFFFFF)
ELEMENTS = (0x0000, 0x0002, 0x0100, 0x0110, 0x0120, 0x0800, 0x0900, 0x1000, 0x1030)
TEXTS = ("", "1.2", "1..2", "1.2\\1.3", "9" * 65, "../../x", "\0", "1.2.840.10008.1.1", "\xff")
# Where an explicit little endian header has its parts: tag, VR, length.
PARTS = ((0, 4), (4, 2), (6, 2), (8, 4))


def forged(random: Random, data: bytes, times: int = 2) -> bytes:
    """Overwrite, cut, repeat or insert something, up to `times`."""
    out = bytearray(data)
    for _ in range(random.randint(1, times)):
        at = random.randrange(len(out) + 1)
        match random.randrange(6):
            case 0:
                out[at : at + 1] = bytes((random.choice((0, 1, 0x7F, 0x80, 0xFF)),))
            case 1:
                width = random.choice((2, 4))
                order = random.choice("<>")
                value = random.choice(LENGTHS) & (1 << 8 * width) - 1
                out[at : at + width] = struct.pack(order + "?HL"[width // 2], value)
            case 2:
                del out[at:]
            case 3:
                out[at:at] = random.randbytes(random.randint(1, 8))
            case 4:
                out[at:at] = out[at : at + random.randint(1, 40)]
            case _:
                del out[at : at + random.randint(1, 8)]
    return bytes(out)


def association(random: Random) -> bytes:
    """An A-ASSOCIATE-RQ with something wrong in it."""
    whole = associate_rq(
        called=random.choice((b"TOLLGATE", b"\0", b" ", b"\xff" * 16)),
        calling=random.choice((b"CT1", b"CT1\\", b"", b"\x1b[2J")),
        version=random.choice((1, 1, 1, 0, 2, 3, 0xFFFF)),
        maximum_length=random.choice(LENGTHS),
        more_items=item(random.choice((0x10, 0x20, 0x21, 0x50, 0x77)), random.randbytes(9)),
        more_user_items=b"".join(
            item(kind, random.randbytes(random.choice((0, 2, 4, 12))))
            for kind in random.sample(range(0x50, 0x5C), 3)
        ),
    )
    body = whole[6:] if random.random() < 0.3 else forged(random, whole[6:])
    return pdu(1, body) if random.random() < 0.9 else forged(random, whole)


def command_set(random: Random) -> bytes:
    """A command set with odd fields, or of odd bytes."""
    if random.random() < 0.3:
        return forged(random, store_command())
    fields: dict[int, bytes | int | str] = {
        element: random.choice((0, 1, 0x0101, 0x8001, 0xFFFF, *TEXTS))
        for element in random.sample(ELEMENTS[1:], random.randint(0, 6))
    }
    if random.random() < 0.8:
        fields[0x0100] = random.choice((1, 1, 1, 0x10, 0x20, 0x21, 0x30, 0x130, 0x140, 0xFFF))
        fields[0x0110] = 7
    return command(fields)


def data_set(random: Random) -> bytes:
    """A data set whose headers or structure are forged."""
    inner = Dataset()
    inner.PatientID = "X"
    nested = ct_image(ReferencedImageSequence=Sequence([inner, Dataset()]))
    nested.add_new(0x7FE00010, "OW", bytes(64))
    whole = encoded(nested, random.choice((EXPLICIT_LITTLE, EXPLICIT_LITTLE, IMPLICIT_LITTLE)))
    if random.random() < 0.5:
        return forged(random, whole, 3)
    out = bytearray(whole)
    part, width = random.choice(PARTS)
    at = random.choice(
        [place for place in range(len(out) - 12) if out[place + 4 : place + 6].isupper()]
    )
    value = random.choice(
        (b"\xfe\xff\x00\xe0", b"\xff\xff\xff\xff", b"SQ\0\0", b"UN\0\0", bytes(4))
    )
    out[at + part : at + part + width] = value[:width]
    return bytes(out)


def stream(random: Random) -> bytes:
    """What follows an association: PDUs in an order and of a shape that nobody expects."""
    parts = [
        pdv(COMMAND_LAST, store_command()),
        pdv(random.choice((DATA, DATA_LAST, 0xFF)), data_set(random)),
        pdv(COMMAND_LAST, command_set(random), context_id=random.choice((1, 1, 1, 0, 3, 255))),
        pdv(random.randrange(256), random.randbytes(random.randrange(40))),
        pdu(random.choice((0, 1, 2, 3, 4, 5, 6, 7, 8, 255)), bytes(random.choice((0, 4, 70)))),
        struct.pack(">BBL", random.choice((4, 4, 1, 7)), 0, random.choice(LENGTHS)),
    ]
    chosen = random.choices(parts, k=random.randint(1, 5))
    return b"".join(forged(random, one) if random.random() < 0.4 else one for one in chosen)
