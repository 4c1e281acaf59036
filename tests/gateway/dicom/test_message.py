"""DIMSE messages from PDVs, and responses into them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.pdu_primitives import P_DATA

from gateway.dicom.message import (
    COMMAND_SET_BYTES_MAX,
    Assembler,
    Message,
    Violation,
    command_fragments,
    response,
)
from tests.gateway.dicom.raw import COMMAND, COMMAND_LAST, DATA, DATA_LAST, command, store_command
from tests.gateway.dicom.support import CT_IMAGE_STORAGE


def feed(*pdvs: tuple[int, bytes], limit: int = 1_000) -> Message | Violation | None:
    """Feed PDVs of context 1; the last result."""
    assembler = Assembler(data_set_bytes_max=limit)
    result = None
    for control, data in pdvs:
        assert result is None
        result = assembler.feed(1, memoryview(bytes((control,)) + data))
    return result


def complete(*pdvs: tuple[int, bytes], limit: int = 1_000) -> Message:
    """Feed PDVs that make a message."""
    message = feed(*pdvs, limit=limit)
    assert isinstance(message, Message)
    return message


@given(cuts=st.lists(st.integers(0, 10**4), max_size=8), data=st.binary(max_size=300))
def test_a_message_is_the_same_however_it_is_cut(cuts: list[int], data: bytes) -> None:
    """Command set and data set may come in any number of PDVs."""

    def pieces(whole: bytes, more: int, last: int) -> list[tuple[int, bytes]]:
        edges = sorted({0, *(cut % (len(whole) + 1) for cut in cuts), len(whole)})
        parts = [whole[a:b] for a, b in pairwise(edges)] or [b""]
        return [*((more, part) for part in parts[:-1]), (last, parts[-1])]

    message = complete(
        *pieces(store_command(), COMMAND, COMMAND_LAST), *pieces(data, DATA, DATA_LAST)
    )
    assert (message.command_field, message.message_id) == (1, 7)
    assert message.affected_sop_class_uid == CT_IMAGE_STORAGE
    assert message.affected_sop_instance_uid == "1.2.3.4"
    assert bytes(message.data_set) == data


def test_values_come_as_they_were_sent() -> None:
    """Several values, too long ones and missing ones are for the checks to judge."""
    odd = "1.2\\1.3" + "4" * 80
    message = complete(
        (COMMAND_LAST, store_command(sop_instance=odd, sop_class=None, data_set_type=0x0101))
    )
    assert message.affected_sop_instance_uid == odd
    assert message.affected_sop_class_uid == ""
    assert not message.data_set


def test_a_missing_message_id_is_seen() -> None:
    """pynetdicom would say nothing at all to such a request."""
    assert (
        complete((COMMAND_LAST, store_command(message_id=None)), (DATA_LAST, b"")).message_id
        is None
    )


def test_a_data_set_beyond_the_limit_is_dropped_and_the_message_completed() -> None:
    """The request can be answered, and the association goes on."""
    first = (COMMAND_LAST, store_command())
    message = complete(first, (DATA, bytes(600)), (DATA, bytes(600)), (DATA_LAST, b"x"))
    assert message.too_large
    assert not message.data_set
    assert not complete(first, (DATA_LAST, bytes(1_000))).too_large


@pytest.mark.parametrize(
    "pdvs, violation",
    [
        ([(DATA, b"x")], Violation.DATA_BEFORE_COMMAND),
        ([(COMMAND_LAST, store_command()), (COMMAND, b"x")], Violation.COMMAND_WITHIN_DATA_SET),
        ([(COMMAND_LAST, b"\0\0\0")], Violation.COMMAND_SET_UNREADABLE),
        ([(COMMAND_LAST, b"\x08\0\0\0\0\0\0\0")], Violation.COMMAND_SET_UNREADABLE),
        ([(COMMAND_LAST, store_command()[:-1])], Violation.COMMAND_SET_UNREADABLE),
        ([(COMMAND_LAST, command({0x0110: 1}))], Violation.COMMAND_SET_UNREADABLE),
        ([(COMMAND, bytes(COMMAND_SET_BYTES_MAX + 1))], Violation.COMMAND_SET_TOO_LONG),
    ],
)
def test_what_no_answer_can_be_given_to_is_a_violation(
    pdvs: list[tuple[int, bytes]], violation: Violation
) -> None:
    """The association is aborted for these, and never left in silence."""
    assert feed(*pdvs) is violation


def test_a_message_stays_in_one_context() -> None:
    """A PDV of another context within a message, or an empty one, is a violation."""
    assembler = Assembler(data_set_bytes_max=10)
    assert assembler.feed(1, memoryview(b"\x01a")) is None
    assert assembler.feed(3, memoryview(b"\x01a")) is Violation.CONTEXT_CHANGED
    assert assembler.feed(1, memoryview(b"")) is Violation.PDV_EMPTY


@given(pdvs=st.lists(st.tuples(st.sampled_from([0, 1, 2, 3, 0xFF]), st.binary(max_size=60))))
def test_noise_gives_a_message_a_violation_or_more_to_come(pdvs: list[tuple[int, bytes]]) -> None:
    """No PDV raises."""
    assembler = Assembler(data_set_bytes_max=100)
    for control, data in pdvs:
        result = assembler.feed(1, memoryview(bytes((control,)) + data))
        if isinstance(result, Violation):
            return


@pytest.mark.parametrize("pdu_bytes_max", [0, 7, 64, 16_384])
def test_pynetdicom_reads_our_responses(pdu_bytes_max: int) -> None:
    """Field by field, in fragments of any size."""
    request = complete((COMMAND_LAST, store_command(data_set_type=0x0101)))
    encoded = response(
        request,
        status=0xA700,
        comment="Refused: odd",
        sop_class_uid=CT_IMAGE_STORAGE,
        sop_instance_uid="1.2.3.4",
    )
    theirs = DIMSEMessage()
    primitive = P_DATA()
    for fragment in command_fragments(encoded, pdu_bytes_max=pdu_bytes_max):
        assert not pdu_bytes_max or len(fragment) + 5 <= max(pdu_bytes_max, 7)
        primitive.presentation_data_value_list.append((1, fragment))
    assert theirs.decode_msg(primitive)

    fields = theirs.command_set
    assert fields.CommandField == 0x8001
    assert fields.MessageIDBeingRespondedTo == 7
    assert fields.Status == 0xA700
    assert fields.ErrorComment == "Refused: odd"
    assert fields.AffectedSOPInstanceUID == "1.2.3.4"
    assert fields.AffectedSOPClassUID == CT_IMAGE_STORAGE
    assert fields.CommandGroupLength == len(encoded) - 12
