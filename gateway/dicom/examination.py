"""To which examination an instance belongs: the opaque key of KEY-2. Pure."""

from __future__ import annotations

from hashlib import sha256

from gateway.dicom.header import Identity
from storage.records import Grouping

PLACEHOLDER_ACCESSIONS = frozenset(
    (
        *(b"", b"-", b"--", b"---", b".", b"?", b"??", b"*", b"#", b"/", b"X", b"XX", b"XXX"),
        *(b"NA", b"N/A", b"N.A.", b"N.A", b"#N/A", b"NIL", b"NULL", b"NONE", b"NO"),
        *(b"NOT AVAILABLE", b"NOT APPLICABLE", b"UNKNOWN", b"UNDEFINED", b"UNASSIGNED"),
        *(b"EMPTY", b"BLANK", b"ACCESSION", b"ACCESSION NUMBER", b"DEFAULT", b"TBD"),
    )
)
"""What devices send as accession number when they have none, in upper case; so are zeros alone."""


def examination_key(identity: Identity, grouping: Grouping) -> str:
    """The key of the examination that `identity` belongs to (KEY-2).

    `accession:<sha256 hex>` over accession number, issuer, raw patient id and study date, padding
    trimmed and each field after its length, if the device groups by accession and both accession
    and patient id say something; `study:<Study Instance UID>` otherwise.
    """
    if grouping is not Grouping.ACCESSION or not _is_telling(identity):
        return f"study:{identity.study_instance_uid}"
    digest = sha256()
    for raw in (
        identity.accession_number_raw,
        identity.accession_issuer_raw,
        identity.patient_id_raw,
        identity.study_date_raw,
    ):
        # With its length no field can borrow bytes from its neighbour.
        digest.update(len(raw).to_bytes(8, "big"))
        digest.update(raw)
    return f"accession:{digest.hexdigest()}"


def _is_telling(identity: Identity) -> bool:
    accession = identity.accession_number_raw.upper()
    is_placeholder = accession in PLACEHOLDER_ACCESSIONS or not accession.strip(b"0")
    return bool(identity.patient_id_raw) and not is_placeholder
