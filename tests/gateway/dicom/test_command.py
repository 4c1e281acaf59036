"""Command sets: read and written as pynetdicom does, and in microseconds."""

from __future__ import annotations

import time
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID
from pynetdicom.dimse_messages import C_ECHO_RSP, C_STORE_RQ, C_STORE_RSP, DIMSEMessage
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.pdu_primitives import P_DATA

from gateway.dicom.command import Command, fragments, read_command, response
from tests.gateway.dicom.raw import command, store_command
from tests.gateway.dicom.support import CT_IMAGE_STORAGE

NUMBERS = st.integers(0, 0xFFFF)
UIDS = st.from_regex(r"\A[1-9][0-9]{0,9}(\.[1-9][0-9]{0,9}){0,5}\Z").filter(
    lambda uid: len(uid) <= 64
)
COMMENTS = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\\"))


def read(encoded: bytes) -> Command:
    """Read a command set of context 1 that can be read."""
    found = read_command(1, encoded)
    assert found is not None
    return found


def theirs(message: DIMSEMessage, primitive: Any) -> bytes:
    """The command set as pynetdicom encodes it."""
    message.primitive_to_message(primitive)
    (pdata, *_) = list(message.encode_msg(1, 0))
    return bytes(pdata.presentation_data_value_list[0][1][1:])


@given(
    message_id=NUMBERS,
    sop_class=UIDS,
    sop_instance=UIDS,
    priority=st.sampled_from([0, 1, 2]),
    originator=st.none() | st.tuples(st.just("MOVER"), NUMBERS),
)
def test_a_request_is_read_as_pynetdicom_wrote_it(
    message_id: int,
    sop_class: str,
    sop_instance: str,
    priority: int,
    originator: tuple[str, int] | None,
) -> None:
    """Field by field, with and without the optional ones."""
    request = C_STORE()
    request.MessageID = message_id
    request.AffectedSOPClassUID = UID(sop_class)
    request.AffectedSOPInstanceUID = UID(sop_instance)
    request.Priority = priority
    request.DataSet = BytesIO(b"x")
    if originator is not None:
        request.MoveOriginatorApplicationEntityTitle, request.MoveOriginatorMessageID = originator

    found = read(theirs(C_STORE_RQ(), request))

    assert (found.command_field, found.message_id, found.has_data_set) == (1, message_id, True)
    assert found.affected_sop_class_uid == sop_class
    assert found.affected_sop_instance_uid == sop_instance


@given(message_id=NUMBERS, status=NUMBERS, comment=COMMENTS, sop_instance=UIDS)
def test_a_store_response_is_pynetdicoms_byte_by_byte(
    message_id: int, status: int, comment: str, sop_instance: str
) -> None:
    """Order, padding and group length included."""
    answer = C_STORE()
    answer.MessageIDBeingRespondedTo = message_id
    answer.AffectedSOPClassUID = UID(CT_IMAGE_STORAGE)
    answer.AffectedSOPInstanceUID = UID(sop_instance)
    answer.Status = status
    if comment[:64]:
        setattr(answer, "ErrorComment", comment[:64])  # noqa: B010 - typed as None by pynetdicom

    ours = response(
        read(store_command(message_id=message_id)),
        status=status,
        comment=comment[:64],
        sop_class_uid=CT_IMAGE_STORAGE,
        sop_instance_uid=sop_instance,
    )

    assert ours == theirs(C_STORE_RSP(), answer)


@given(message_id=NUMBERS)
def test_an_echo_response_is_pynetdicoms_byte_by_byte(message_id: int) -> None:
    """Without an instance."""
    answer = C_ECHO()
    answer.MessageIDBeingRespondedTo = message_id
    answer.AffectedSOPClassUID = UID("1.2.840.10008.1.1")
    answer.Status = 0
    request = read(store_command(message_id=message_id, field=0x0030))
    ours = response(request, status=0, sop_class_uid="1.2.840.10008.1.1", sop_instance_uid="")
    assert ours == theirs(C_ECHO_RSP(), answer)


def test_values_come_as_they_were_sent() -> None:
    """Several values, too long ones and missing ones are for the checks to judge."""
    odd = "1.2\\1.3" + "4" * 80
    found = read(store_command(sop_instance=odd, sop_class=None, data_set_type=0x0101))
    assert found.affected_sop_instance_uid == odd
    assert found.affected_sop_class_uid == ""
    assert not found.has_data_set


def test_a_missing_message_id_is_seen() -> None:
    """pynetdicom would say nothing at all to such a request."""
    assert read(store_command(message_id=None)).message_id is None


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"\0\0\0",
        b"\x08\0\0\0\0\0\0\0",
        store_command()[:-1],
        command({0x0110: 1}),
        command({0x0100: b"\x01"}),
    ],
)
def test_what_is_no_command_set_is_not_read(encoded: bytes) -> None:
    """Another group, a length beyond the end, no Command Field."""
    assert read_command(1, encoded) is None


@given(noise=st.binary(max_size=200), at=st.integers(0, 200))
def test_noise_never_raises(noise: bytes, at: int) -> None:
    """Alone, and over a command set that was in order."""
    for encoded in (noise, store_command()[:at] + noise):
        assert isinstance(read_command(1, encoded), Command | None)


@pytest.mark.parametrize("pdu_bytes_max", [0, 7, 64, 16_384])
def test_pynetdicom_reads_our_responses_in_fragments(pdu_bytes_max: int) -> None:
    """Of any size that a peer may ask for."""
    encoded = response(
        read(store_command()),
        status=0xA700,
        comment="Refused: odd",
        sop_class_uid=CT_IMAGE_STORAGE,
        sop_instance_uid="1.2.3.4",
    )
    message, primitive = DIMSEMessage(), P_DATA()
    for is_last, piece in fragments(encoded, pdu_bytes_max=pdu_bytes_max):
        assert not pdu_bytes_max or len(piece) + 6 <= max(pdu_bytes_max, 7)
        control = b"\x03" if is_last else b"\x01"
        primitive.presentation_data_value_list.append((1, control + piece))
    assert message.decode_msg(primitive)
    fields = message.command_set
    assert (fields.CommandField, fields.Status) == (0x8001, 0xA700)
    assert fields.ErrorComment == "Refused: odd"
    assert fields.CommandGroupLength == len(encoded) - 12


def test_reading_and_answering_takes_microseconds() -> None:
    """A tenth of a millisecond here would be a fifth of what a small instance may cost."""
    encoded = store_command()
    began_s = time.thread_time()
    for _ in range(200):
        response(
            read(encoded), status=0, sop_class_uid=CT_IMAGE_STORAGE, sop_instance_uid="1.2.3.4"
        )
    assert (time.thread_time() - began_s) / 200 < 100e-6
