"""KEY-2: to which examination an instance belongs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.dicom.examination import examination_key
from gateway.dicom.header import Identity
from storage.records import Grouping, StudyDescription

IDENTITY = Identity(
    sop_class_uid="1.2",
    sop_instance_uid="1.2.3.4",
    study_instance_uid="1.2.3",
    series_instance_uid="1.2.3.1",
    accession_number_raw=b"A1",
    accession_issuer_raw=b"",
    patient_id_raw=b"P1",
    study_date_raw=b"20260102",
    description=StudyDescription(
        accession="A1",
        patient_id="P1",
        patient_name="",
        modality="OP",
        study_date="20260102",
        study_description="",
    ),
)


def key(**changes: Any) -> str:
    """The key of a device that groups by accession."""
    return examination_key(replace(IDENTITY, **changes), Grouping.ACCESSION)


def test_a_device_that_groups_by_study_goes_by_the_study_instance_uid() -> None:
    """Accession numbers are of no interest then."""
    assert examination_key(IDENTITY, Grouping.STUDY) == "study:1.2.3"


def test_images_with_studies_of_their_own_share_one_accession_key() -> None:
    """The fundus camera: two studies, one accession, one examination."""
    assert key() == key(study_instance_uid="1.2.99")
    assert key().startswith("accession:")
    assert len(key()) == len("accession:") + 64


@pytest.mark.parametrize(
    "changes",
    [
        {"accession_number_raw": b"A2"},
        {"accession_issuer_raw": b"1:X0:0:"},
        {"patient_id_raw": b"P2"},
        {"study_date_raw": b"20260103"},
        {"patient_id_raw": b"p1"},
    ],
)
def test_every_field_counts_byte_by_byte(changes: dict[str, bytes]) -> None:
    """Another accession, issuer, patient or day is another examination."""
    assert key(**changes) != key()


def test_no_field_borrows_bytes_from_its_neighbour() -> None:
    """AB + C and A + BC are two examinations."""
    one = key(accession_number_raw=b"AB", accession_issuer_raw=b"C")
    assert one != key(accession_number_raw=b"A", accession_issuer_raw=b"BC")


@pytest.mark.parametrize(
    "placeholder",
    [b"", b"0", b"0000", b"NA", b"na", b"N/A", b"None", b"UNKNOWN", b"unknown", b"-", b"NULL"],
)
def test_a_placeholder_accession_falls_back_to_the_study(placeholder: bytes) -> None:
    """Else a hospital's whole day would be one examination."""
    assert key(accession_number_raw=placeholder) == "study:1.2.3"


def test_an_empty_patient_id_falls_back_to_the_study() -> None:
    """An accession number alone is no proof that two images belong together."""
    assert key(patient_id_raw=b"") == "study:1.2.3"


def test_the_decoded_text_decides_nothing() -> None:
    """The same bytes under another character set are the same examination."""
    described = replace(IDENTITY.description, accession="0", patient_id="")
    assert key(description=described) == key()
