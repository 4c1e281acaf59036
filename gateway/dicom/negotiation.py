"""Which presentation contexts are accepted (PS3.8 9.3.2, PS3.4 B.3 and B.4).

Every object is kept as received, so any transfer syntax will do of which we can find the end of
each element. pynetdicom's acceptor takes, of the syntaxes in one proposed context, the first in
our order: so the order alone makes a lossy syntax be chosen only where it is proposed alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from pynetdicom import AllStoragePresentationContexts
from pynetdicom.presentation import PresentationContext, build_context

from gateway.dicom.encoding import (
    DEFLATED_UID,
    EXPLICIT_BIG_UID,
    EXPLICIT_LITTLE_UID,
    IMPLICIT_LITTLE_UID,
)

VERIFICATION_UID = "1.2.840.10008.1.1"
APPLICATION_CONTEXT_UID = "1.2.840.10008.3.1.1.1"

UNCOMPRESSED = (
    EXPLICIT_LITTLE_UID,
    IMPLICIT_LITTLE_UID,
    EXPLICIT_BIG_UID,
)
_JPEG = "1.2.840.10008.1.2.4."
LOSSLESS = (
    "1.2.840.10008.1.2.1.98",  # Encapsulated Uncompressed Explicit VR Little Endian
    "1.2.840.10008.1.2.5",  # RLE Lossless
    f"{_JPEG}70",  # JPEG Lossless, first-order prediction
    f"{_JPEG}57",  # JPEG Lossless, process 14
    f"{_JPEG}58",  # JPEG Lossless, process 15 (retired)
    f"{_JPEG}65",  # JPEG Lossless, process 28 (retired)
    f"{_JPEG}66",  # JPEG Lossless, process 29 (retired)
    f"{_JPEG}80",  # JPEG-LS Lossless
    f"{_JPEG}90",  # JPEG 2000 Lossless Only
    f"{_JPEG}92",  # JPEG 2000 Part 2 Lossless Only
    f"{_JPEG}201",  # HTJ2K Lossless Only
    f"{_JPEG}202",  # HTJ2K RPCL Lossless Only
    f"{_JPEG}110",  # JPEG XL Lossless
    "1.2.840.10008.1.2.8.1",  # Deflated Image Frame Compression
)
PERHAPS_LOSSY = (
    f"{_JPEG}91",  # JPEG 2000
    f"{_JPEG}93",  # JPEG 2000 Part 2
    f"{_JPEG}203",  # HTJ2K
    f"{_JPEG}112",  # JPEG XL
    f"{_JPEG}81",  # JPEG-LS Near-Lossless
)
LOSSY = (
    f"{_JPEG}111",  # JPEG XL JPEG Recompression
    f"{_JPEG}51",  # JPEG Extended, 12 bits
    f"{_JPEG}50",  # JPEG Baseline, 8 bits
    # JPEG processes 3 to 13 and 16 to 27 (retired).
    *(f"{_JPEG}{process}" for process in (52, 53, 54, 55, 56, 59, 60, 61, 62, 63, 64)),
    # MPEG-2, MPEG-4 AVC/H.264, each plain and fragmentable, and HEVC/H.265.
    *(f"{_JPEG}{video}{form}" for video in range(100, 107) for form in ("", ".1")),
    *(f"{_JPEG}107", f"{_JPEG}108"),
)
"""Not among them: JPIP (the pixels are elsewhere), SMPTE ST 2110 (no stored object), XML and MIME
(no data set), Papyrus 3 (private file format)."""

_RETIRED_STORAGE = (
    *("1.2.840.10008.5.1.1.27", "1.2.840.10008.5.1.1.29", "1.2.840.10008.5.1.1.30"),
    *(
        f"1.2.840.10008.5.1.4.1.1.{suffix}"
        for suffix in (
            *("3", "5", "6", "8", "9", "9.1", "10", "11", "12.3", "77.1", "77.2"),
            *("88.1", "88.2", "88.3", "88.4", "129"),
        )
    ),
    "1.2.840.10008.5.1.4.34.1",
)
"""Retired in the standard, but not in hospitals: ultrasound and nuclear medicine before 1996, hard
copies, curves, overlays and trial classes of old archives that are being migrated."""


def transfer_syntaxes(*, offer_deflated: bool = False) -> tuple[str, ...]:
    """The transfer syntaxes of every storage context, most preferred first.

    Deflated (PS3.5 A.5) comes last and only by setting: a small object can inflate to a huge one.
    """
    deflated = (DEFLATED_UID,) if offer_deflated else ()
    return (*UNCOMPRESSED, *LOSSLESS, *PERHAPS_LOSSY, *LOSSY, *deflated)


def storage_sop_classes() -> tuple[str, ...]:
    """Every Storage SOP class of patients' objects, current and retired (PS3.4 B.5).

    Hanging protocols, palettes, templates and defined protocols belong to no study (PS3.4 GG) and
    are left out.
    """
    known = (str(context.abstract_syntax) for context in AllStoragePresentationContexts)
    return (*known, *_RETIRED_STORAGE)


@lru_cache(maxsize=256)
def accepted_contexts(
    private_sop_classes: tuple[str, ...] = (), *, offer_deflated: bool = False
) -> tuple[PresentationContext, ...]:
    """What we accept from a device with `private_sop_classes`: Verification and storage contexts.

    The contexts are shared between associations; the acceptor only reads them. The first call
    takes 60 ms, for pydicom looks at every UID: best before anybody waits, and before a fork.
    """
    if private_sop_classes:
        standard = accepted_contexts(offer_deflated=offer_deflated)
        known = {str(context.abstract_syntax) for context in standard}
        private = dict.fromkeys(one for one in private_sop_classes if one not in known)
        return (*standard, *_storage_contexts(private, offer_deflated=offer_deflated))
    storage = _storage_contexts(storage_sop_classes(), offer_deflated=offer_deflated)
    return (build_context(VERIFICATION_UID, list(UNCOMPRESSED)), *storage)


def _storage_contexts(
    sop_classes: Iterable[str], *, offer_deflated: bool
) -> Iterator[PresentationContext]:
    syntaxes = list(transfer_syntaxes(offer_deflated=offer_deflated))
    return (build_context(sop_class, syntaxes) for sop_class in sop_classes)
