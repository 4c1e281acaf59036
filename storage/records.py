"""The plain values that storage hands out and takes in: frozen, keyword-only, no SQL in sight."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from quota.time import Instant


class Grouping(StrEnum):
    """How a device's instances are grouped into examinations (KEY-1, KEY-2)."""

    STUDY = "study"
    ACCESSION = "accession"


@dataclass(frozen=True, kw_only=True, slots=True)
class Institution:
    """A hospital; `called_ae_title` is its own title at the gateway, or None for the common one."""

    id: int
    name: str
    account_id: int
    called_ae_title: str | None
    created_at: Instant
    closed_at: Instant | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Device:
    """A registered requestor. `networks` are CIDR strings; an empty tuple admits any source."""

    id: int
    ae_title: str
    institution_id: int
    networks: tuple[str, ...]
    grouping: Grouping
    private_sop_classes: tuple[str, ...]
    tolerates_leading_zeros: bool
    created_at: Instant
    closed_at: Instant | None


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyDescription:
    """What staff needs to find a study, decoded for the index only; never logged, never a key."""

    accession: str
    patient_id: str
    patient_name: str
    modality: str
    study_date: str
    study_description: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Incoming:
    """One instance at the gateway's door, before it is stored.

    `examination_key` is the opaque key of KEY-2; `patient_id_raw` the bytes as sent (KEY-4).
    """

    institution_id: int
    device_id: int
    calling_ae_title: str
    examination_key: str
    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    patient_id_raw: bytes
    description: StudyDescription
