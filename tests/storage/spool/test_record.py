"""The header of a record comes back as it was written, whatever was written before."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest

from storage.records import Incoming, StudyDescription
from storage.spool.record import RecordHeader, decode_metadata, encode_metadata

FIRST = RecordHeader(
    incoming=Incoming(
        institution_id=1,
        device_id=2,
        calling_ae_title="CT1",
        examination_key="study:1.2.3",
        study_instance_uid="1.2.3",
        series_instance_uid="1.2.3.4",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
        sop_instance_uid="1.2.3.4.5",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        patient_id_raw=b"\xb2\xfa\x00",
        description=StudyDescription(
            accession='A"1\\',
            patient_id="P1",
            patient_name="王^小",
            modality="MR",
            study_date="20260102",
            study_description="head",
        ),
    ),
    examination_id="0198d6a0-0000-7000-8000-000000000001",
    generation=1,
    provisional=False,
    received_at=1_700_000_000_000_000,
    data_set_offset=300,
)


def _another(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str():
            return value + '"x'
        case bytes():
            return value + b"\xff"
    raise AssertionError(value)


def _variants() -> list[tuple[str, RecordHeader]]:
    """The first header with one field changed, for each field that is a plain value."""
    incoming, description = FIRST.incoming, FIRST.incoming.description
    found = []
    for field in fields(FIRST):
        if field.name != "incoming":
            changed: Any = {field.name: _another(getattr(FIRST, field.name))}
            found.append((field.name, replace(FIRST, **changed)))
    for field in fields(incoming):
        if field.name != "description":
            changed = {field.name: _another(getattr(incoming, field.name))}
            found.append((field.name, replace(FIRST, incoming=replace(incoming, **changed))))
    for field in fields(description):
        changed = {field.name: _another(getattr(description, field.name))}
        study = replace(description, **changed)
        header = replace(FIRST, incoming=replace(incoming, description=study))
        found.append((f"of the study: {field.name}", header))
    return found


@pytest.mark.parametrize("header", [pytest.param(header, id=name) for name, header in _variants()])
def test_a_header_is_its_own_though_the_one_before_differs_in_one_field(
    header: RecordHeader,
) -> None:
    """What instances share is encoded once: nothing that they do not share may come with it."""
    assert decode_metadata(encode_metadata(FIRST)) == FIRST
    assert decode_metadata(encode_metadata(header)) == header
    assert decode_metadata(encode_metadata(FIRST)) == FIRST


def test_the_header_is_plain_json() -> None:
    """A record must be readable without this program."""
    document = json.loads(encode_metadata(FIRST))
    assert document["incoming"]["sop_instance_uid"] == "1.2.3.4.5"
    assert document["description"]["patient_name"] == "王^小"
