"""The checks of one C-STORE request."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.dicom.access import Accepted
from gateway.dicom.negotiation import VERIFICATION_UID
from gateway.dicom.request import Checked, StoreRequest, check_request, is_uid
from gateway.dicom.status import Failure
from storage.records import Grouping
from tests.gateway.dicom.support import (
    ACCEPTED,
    CT_IMAGE_STORAGE,
    DEVICE,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    INSTITUTION,
    ct_image,
    encoded,
    store_request,
)

MR_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.4"


def check(request: StoreRequest, **device: Any) -> Checked | Failure:
    """Check a request of a device with some of its fields changed."""
    accepted = Accepted(institution=INSTITUTION, device=replace(DEVICE, **device))
    return check_request(request, accepted=accepted)


def image_request(changes: dict[str, Any], **command: Any) -> StoreRequest:
    """A request with an image some elements of which are changed, or missing if None."""
    return store_request(encoded(ct_image(**changes)), **command)


def test_a_request_in_order_becomes_an_incoming_instance() -> None:
    """Everything that storing needs, and nothing that was not sent."""
    checked = check_request(image_request({}), accepted=ACCEPTED)

    assert isinstance(checked, Checked)
    incoming = checked.incoming
    assert (incoming.institution_id, incoming.device_id, incoming.calling_ae_title) == (1, 1, "CT1")
    assert incoming.examination_key == "study:1.2.3"
    assert incoming.sop_class_uid == CT_IMAGE_STORAGE
    assert incoming.sop_instance_uid == "1.2.3.4"
    assert incoming.series_instance_uid == "1.2.3.1"
    assert incoming.transfer_syntax_uid == EXPLICIT_LITTLE
    assert incoming.patient_id_raw == b"P1"
    assert incoming.description.patient_name == "Doe^Jane"


def test_a_device_that_groups_by_accession_gets_such_a_key() -> None:
    """The device decides how its instances are grouped."""
    checked = check(image_request({}), grouping=Grouping.ACCESSION)
    assert isinstance(checked, Checked)
    assert checked.incoming.examination_key.startswith("accession:")


@pytest.mark.parametrize(
    "command, failure",
    [
        ({"affected_sop_instance_uid": ""}, Failure.UID_INVALID),
        ({"affected_sop_instance_uid": "1.2.x"}, Failure.UID_INVALID),
        ({"affected_sop_instance_uid": "1." + "2" * 63}, Failure.UID_INVALID),
        ({"affected_sop_instance_uid": "1.2.3.4\\1.2.3.5"}, Failure.UID_INVALID),
        ({"affected_sop_instance_uid": "1.2.3.04"}, Failure.UID_INVALID),
        ({"affected_sop_class_uid": ""}, Failure.UID_INVALID),
        ({"affected_sop_class_uid": MR_IMAGE_STORAGE}, Failure.SOP_CLASS_MISMATCH),
        ({"context_sop_class_uid": MR_IMAGE_STORAGE}, Failure.SOP_CLASS_MISMATCH),
        ({"data_set": memoryview(b"")}, Failure.DATA_SET_MISSING),
        ({"affected_sop_instance_uid": "1.2.3.5"}, Failure.UID_MISMATCH),
        ({"transfer_syntax_uid": EXPLICIT_BIG}, Failure.MALFORMED),
    ],
)
def test_a_command_that_is_not_in_order_fails(command: dict[str, Any], failure: Failure) -> None:
    """UIDs, the context's class, the presence of a data set, and its agreement with all that."""
    assert check(image_request({}, **command)) is failure


@pytest.mark.parametrize(
    "changes, failure",
    [
        ({"SOPClassUID": MR_IMAGE_STORAGE}, Failure.UID_MISMATCH),
        ({"SOPInstanceUID": "1.2.3.5"}, Failure.UID_MISMATCH),
        ({"SOPInstanceUID": None}, Failure.UID_MISMATCH),
        ({"SOPClassUID": None}, Failure.UID_MISMATCH),
        ({"StudyInstanceUID": None}, Failure.UID_MISMATCH),
        ({"StudyInstanceUID": ""}, Failure.UID_MISMATCH),
        ({"StudyInstanceUID": "1.2.03"}, Failure.UID_INVALID),
        ({"SeriesInstanceUID": "1..2"}, Failure.UID_INVALID),
    ],
)
def test_a_data_set_that_does_not_fit_its_command_fails(
    changes: dict[str, Any], failure: Failure
) -> None:
    """The same UIDs in both, and a study to belong to."""
    assert check(image_request(changes)) is failure


def test_a_truncated_data_set_is_malformed() -> None:
    """0x0000 for rubbish is never given."""
    assert check(store_request(encoded(ct_image())[:-1])) is Failure.MALFORMED


def test_a_missing_series_is_let_pass() -> None:
    """Some devices' reports have none, and nothing is filed by it."""
    assert isinstance(check(image_request({"SeriesInstanceUID": None})), Checked)


def test_a_device_may_be_forgiven_its_leading_zeros() -> None:
    """A switch per device; other faults of its UIDs stay faults."""
    changes = {"SOPInstanceUID": "1.2.03", "StudyInstanceUID": "1.02", "SeriesInstanceUID": "01.2"}
    request = image_request(changes, affected_sop_instance_uid="1.2.03")

    assert check(request) is Failure.UID_INVALID
    assert isinstance(check(request, tolerates_leading_zeros=True), Checked)
    bad = image_request({}, affected_sop_instance_uid="1..2")
    assert check(bad, tolerates_leading_zeros=True) is Failure.UID_INVALID


def test_nothing_is_stored_on_a_verification_context() -> None:
    """Though its class equals what command and data set say."""
    request = image_request(
        {"SOPClassUID": VERIFICATION_UID},
        affected_sop_class_uid=VERIFICATION_UID,
        context_sop_class_uid=VERIFICATION_UID,
    )
    assert check(request) is Failure.SOP_CLASS_MISMATCH


@pytest.mark.parametrize("text", ["1.2.840.10008.1.1", "0", "2.25.0", "1" * 64])
def test_a_uid_is_digits_and_dots_within_64_characters(text: str) -> None:
    """PS3.5 9.1."""
    assert is_uid(text)


@pytest.mark.parametrize(
    "text",
    ["1" * 65, "", ".1", "1.", "1..2", "1.01", "1.2 ", "1.2\n", "1.２", "../1", "1.2\\1.3"],
)
def test_anything_else_is_no_uid(text: str) -> None:
    """PS3.5 9.1: also what a regular expression or an integer would take for a number."""
    assert not is_uid(text)
