"""The identity of an instance, from its complete data set: UIDs, key fields, text for the index."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from gateway.dicom.charset import decode_person_name, decode_text
from gateway.dicom.encoding import DEFLATED_UID, encoding_of
from gateway.dicom.second_opinion import read_with_pydicom
from gateway.dicom.structure import Malformed, Path, Reason, Uncertain
from gateway.dicom.walker import walk
from storage.records import StudyDescription

INFLATED_BYTES_MAX = 268_435_456
"""Largest data set that a deflated one may become: 256 MiB, against bombs."""

_CHARACTER_SET: Path = (0x00080005,)
_SOP_CLASS_UID: Path = (0x00080016,)
_SOP_INSTANCE_UID: Path = (0x00080018,)
_STUDY_DATE: Path = (0x00080020,)
_ACCESSION_NUMBER: Path = (0x00080050,)
_MODALITY: Path = (0x00080060,)
_STUDY_DESCRIPTION: Path = (0x00081030,)
_PATIENT_NAME: Path = (0x00100010,)
_PATIENT_ID: Path = (0x00100020,)
_STUDY_INSTANCE_UID: Path = (0x0020000D,)
_SERIES_INSTANCE_UID: Path = (0x0020000E,)
# Issuer of Accession Number Sequence > HL7v2 Hierarchic Designator (PS3.3 Table 10-17).
_ISSUER: tuple[Path, ...] = (
    (0x00080051, 0x00400031),  # Local Namespace Entity ID
    (0x00080051, 0x00400032),  # Universal Entity ID
    (0x00080051, 0x00400033),  # Universal Entity ID Type
)
WANTED = frozenset(
    (
        *(_CHARACTER_SET, _SOP_CLASS_UID, _SOP_INSTANCE_UID, _STUDY_DATE, _ACCESSION_NUMBER),
        *(_MODALITY, _STUDY_DESCRIPTION, _PATIENT_NAME, _PATIENT_ID),
        *(_STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID, *_ISSUER),
    )
)
_PADDING = b" \0"


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """What a data set says of itself; a missing or empty element is an empty value.

    UIDs are stripped of their padding and otherwise as sent, not checked. The raw fields are bytes
    as sent without padding (KEY-2), at most `structure.VALUE_BYTES_MAX` of them.
    `accession_issuer_raw` joins the parts of the issuer, each after its length.
    """

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    accession_number_raw: bytes
    accession_issuer_raw: bytes
    patient_id_raw: bytes
    study_date_raw: bytes
    description: StudyDescription


def identify(data_set: bytes | memoryview, transfer_syntax_uid: str) -> Identity | Malformed:
    """Check the structure of a complete data set (without preamble and file meta) and identify it.

    Never raises; at most about 2 s of processor time, and no copy of `data_set` unless deflated.
    """
    data = memoryview(data_set)
    if transfer_syntax_uid == DEFLATED_UID:
        inflated = _inflate(data)
        if isinstance(inflated, Malformed):
            return inflated
        data = memoryview(inflated)
    encoding = encoding_of(transfer_syntax_uid)
    outcome = walk(data, encoding, WANTED)
    if isinstance(outcome, Uncertain):
        outcome = read_with_pydicom(data, encoding, WANTED)
    if isinstance(outcome, Malformed):
        return outcome
    return identity_of(outcome.elements)


def _inflate(data: memoryview) -> bytes | Malformed:
    """Undo PS3.5 A.5 (RFC 1951, no header), up to `INFLATED_BYTES_MAX`."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = inflater.decompress(data, INFLATED_BYTES_MAX)
    except zlib.error:
        return Malformed(reason=Reason.INFLATE_FAILED)
    if inflater.eof:
        return inflated
    whole = len(inflated) < INFLATED_BYTES_MAX
    return Malformed(reason=Reason.TRUNCATED if whole else Reason.INFLATED_TOO_LARGE)


def identity_of(elements: Mapping[Path, bytes]) -> Identity:
    """The identity from the raw values that a walk has found."""

    def raw(path: Path) -> bytes:
        return elements.get(path, b"").strip(_PADDING)

    def uid(path: Path) -> str:
        # Latin-1 keeps every byte apart, so that no two UIDs become equal by decoding.
        return raw(path).decode("latin_1")

    return Identity(
        sop_class_uid=uid(_SOP_CLASS_UID),
        sop_instance_uid=uid(_SOP_INSTANCE_UID),
        study_instance_uid=uid(_STUDY_INSTANCE_UID),
        series_instance_uid=uid(_SERIES_INSTANCE_UID),
        accession_number_raw=raw(_ACCESSION_NUMBER),
        accession_issuer_raw=_issuer([raw(path) for path in _ISSUER]),
        patient_id_raw=raw(_PATIENT_ID),
        study_date_raw=raw(_STUDY_DATE),
        description=_description(
            character_set=raw(_CHARACTER_SET),
            accession=raw(_ACCESSION_NUMBER),
            patient_id=raw(_PATIENT_ID),
            patient_name=raw(_PATIENT_NAME),
            modality=raw(_MODALITY),
            study_date=raw(_STUDY_DATE),
            study_description=raw(_STUDY_DESCRIPTION),
        ),
    )


def _issuer(parts: list[bytes]) -> bytes:
    if not any(parts):
        return b""
    return b"".join(b"%d:%s" % (len(part), part) for part in parts)


# All instances of a study say the same; as many studies as arrive at the same time.
@lru_cache(maxsize=64)
def _description(
    *,
    character_set: bytes,
    accession: bytes,
    patient_id: bytes,
    patient_name: bytes,
    modality: bytes,
    study_date: bytes,
    study_description: bytes,
) -> StudyDescription:
    return StudyDescription(
        accession=decode_text(accession, character_set),
        patient_id=decode_text(patient_id, character_set),
        patient_name=decode_person_name(patient_name, character_set),
        modality=decode_text(modality, character_set),
        study_date=decode_text(study_date, character_set),
        study_description=decode_text(study_description, character_set),
    )
