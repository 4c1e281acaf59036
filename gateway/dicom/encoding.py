"""The three ways to write elements (PS3.5 7.1), and which transfer syntax uses which."""

from __future__ import annotations

from enum import Enum
from struct import Struct

from pydicom.datadict import DicomDictionary

EXPLICIT_LITTLE_UID = "1.2.840.10008.1.2.1"
IMPLICIT_LITTLE_UID = "1.2.840.10008.1.2"
EXPLICIT_BIG_UID = "1.2.840.10008.1.2.2"
DEFLATED_UID = "1.2.840.10008.1.2.1.99"

VRS_LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
"""VRs with a 32-bit length (PS3.5 Table 7.1-1)."""
VRS_SHORT = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
"""VRs with a 16-bit length (PS3.5 Table 7.1-2)."""
VRS_ENCAPSULATING = frozenset((b"OB", b"OW"))
SEQUENCE_TAGS = frozenset(tag for tag, entry in DicomDictionary.items() if entry[0] == "SQ")
"""In implicit VR only the dictionary tells that an element of defined length holds items."""


class Encoding(Enum):
    """How elements are written: explicit or implicit VR, little or big endian."""

    EXPLICIT_LITTLE = "explicit_little"
    IMPLICIT_LITTLE = "implicit_little"
    EXPLICIT_BIG = "explicit_big"

    @property
    def implicit(self) -> bool:
        """Whether elements carry no VR."""
        return self is Encoding.IMPLICIT_LITTLE

    @property
    def little(self) -> bool:
        """Whether numbers have their lowest byte first."""
        return self is not Encoding.EXPLICIT_BIG


def encoding_of(transfer_syntax_uid: str) -> Encoding:
    """How a data set in `transfer_syntax_uid` is written, once inflated.

    All but two are explicit little endian (PS3.5 A.4), and so is what is not known here.
    """
    if transfer_syntax_uid == IMPLICIT_LITTLE_UID:
        return Encoding.IMPLICIT_LITTLE
    if transfer_syntax_uid == EXPLICIT_BIG_UID:
        return Encoding.EXPLICIT_BIG
    return Encoding.EXPLICIT_LITTLE


class Layout:
    """Readers of the fixed parts of one encoding, as `(buffer, offset) -> tuple`."""

    def __init__(self, encoding: Encoding) -> None:
        order = "<" if encoding.little else ">"
        self.implicit = encoding.implicit
        self.header = Struct(order + ("HHL" if encoding.implicit else "HH2sH")).unpack_from
        self.long_length = Struct(order + "L").unpack_from
        self.item = Struct(order + "HHL").unpack_from


LAYOUTS = {encoding: Layout(encoding) for encoding in Encoding}
