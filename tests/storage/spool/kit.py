"""What the spool's tests share: headers, bodies, a spool in a directory."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from storage.records import Incoming, StudyDescription
from storage.spool import Lease, RecordHeader, RecordRef, Spool

SEGMENT_BYTES = 256 << 10
FILL_MAX_BYTES = 64 << 20
ID = "0d8f3f5e-6d0c-4c52-9a53-6f1f3c0b8a11"

HEADER = RecordHeader(
    incoming=Incoming(
        institution_id=3,
        device_id=7,
        calling_ae_title="CT1",
        examination_key="k:1",
        study_instance_uid="1.2.826.0.1.1",
        series_instance_uid="1.2.826.0.1.1.1",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        sop_instance_uid="1.2.826.0.1.1.1.1",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        patient_id_raw=b"P\xc41\x00",
        description=StudyDescription(
            accession="A1",
            patient_id="P1",
            patient_name="\u738b^\u5c0f\u4e1c",
            modality="CT",
            study_date="20260102",
            study_description="Head \u2014 plain",
        ),
    ),
    examination_id="01900000-0000-7000-8000-000000000001",
    generation=2,
    provisional=False,
    received_at=1_780_000_000_000_000,
    data_set_offset=132,
)


def header(received_at: int = HEADER.received_at, *, examination_id: str = "") -> RecordHeader:
    """A header, of that time and examination."""
    return replace(
        HEADER,
        received_at=received_at,
        examination_id=examination_id or HEADER.examination_id,
    )


def described(text: str) -> RecordHeader:
    """A header whose study description is `text`."""
    incoming = HEADER.incoming
    description = replace(incoming.description, study_description=text)
    return replace(HEADER, incoming=replace(incoming, description=description))


def open_spool(root: Path, **options: Any) -> Spool:
    """A spool with small segments; the test's folder may be on any file system."""
    settings = {
        "segment_bytes": SEGMENT_BYTES,
        "fill_max_bytes": FILL_MAX_BYTES,
        "any_file_system": True,
        **options,
    }
    return Spool.open(root / ID, **settings)


def put(lease: Lease, body: bytes, received_at: int = HEADER.received_at) -> RecordRef:
    """Commit one record."""
    reception = lease.begin()
    reception.write(body)
    return reception.commit(header(received_at))


def bodies(spool: Spool, limit: int = 10_000) -> list[bytes]:
    """What is to be filed, whole and checked."""
    return [b"".join(record.chunks()) for record in spool.unfiled(limit)]


def release_all(spool: Spool) -> None:
    """Everything was filed."""
    spool.release([record.ref for record in spool.unfiled(1_000_000)])


def body(number: int, size: int) -> bytes:
    """Some bytes that differ from record to record and from page to page."""
    pattern = b"".join(b"%d/%d;" % (number, page) for page in range(size // 512 + 1))
    return (pattern * (size // len(pattern) + 1))[:size]


def segment_files(root: Path) -> list[Path]:
    """The segments on the disk."""
    return sorted((root / ID).glob("*.segment"))


def overwrite(path: Path, offset: int, content: bytes) -> None:
    """Change bytes of a file behind the spool's back."""
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def fresh_directory(root: Path) -> Path:
    """Where another spool may be."""
    return root / str(uuid.uuid4())


def joined(chunks: Iterable[bytes]) -> bytes:
    """All of it."""
    return b"".join(chunks)
