"""C-STORE over real associations: what is handed to the store, and what the device hears."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace

import pytest
from pydicom.dataset import Dataset
from pynetdicom.association import Association

from gateway.dicom.access import Accepted, Registry
from gateway.dicom.request import StoreRequest
from gateway.dicom.status import TABLE, Failure, StoreAnswer, answer_for
from gateway.dicom.violation import Violation
from quota.admission import RefusalReason
from tests.gateway.dicom.raw import (
    ABORT,
    COMMAND,
    COMMAND_LAST,
    DATA,
    DATA_LAST,
    RawRequestor,
    command,
    pdv,
    store_command,
)
from tests.gateway.dicom.support import (
    CT_IMAGE_STORAGE,
    DEVICE,
    EXPLICIT_LITTLE,
    INSTITUTION,
    WAIT_S,
    Gate,
    Recorder,
    ct_image,
    encoded,
    open_gate,
    sendable,
)

MR_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.4"
IMAGE = encoded(ct_image())


def send(association: Association, **changes: str) -> Dataset:
    """Store one image; the response's status elements."""
    return association.send_c_store(sendable(**changes))


def raw_status(gate: Gate, command_set: bytes, data_set: bytes | None = IMAGE) -> int:
    """The status of one request made of bytes; the association is good for a second one."""
    with RawRequestor(gate.port) as requestor:
        requestor.associate()
        requestor.send(pdv(COMMAND_LAST, command_set))
        if data_set is not None:
            requestor.send(pdv(DATA_LAST, data_set))
        status = requestor.status()
        requestor.send(pdv(COMMAND_LAST, store_command()), pdv(DATA_LAST, IMAGE))
        assert requestor.status() == 0x0000
        return status


def test_a_stored_instance_is_handed_over_byte_by_byte() -> None:
    """The data set is what was sent, and the answer is 0x0000."""
    with open_gate() as gate:
        response = send(gate.associate())
        assert response.Status == 0x0000
        assert "ErrorComment" not in response
        ((incoming, data_set),) = gate.store.stored
        assert data_set == IMAGE
        assert incoming.sop_instance_uid == "1.2.3.4"
        answer, size_bytes = gate.observed.wait_for("answered")
        assert (answer.status, size_bytes) == (0, len(IMAGE))


@pytest.mark.parametrize("size", [4_096, 65_536, 262_144])
def test_a_large_instance_arrives_whole_with_any_pdu_size(size: int) -> None:
    """Fragments of every size are put together in order."""
    pixels = bytes(range(256)) * 8_000
    big = sendable()
    big.add_new(0x7FE00010, "OW", pixels)
    with open_gate(pdu_length_max_bytes=size) as gate:
        assert gate.associate().send_c_store(big).Status == 0x0000
        assert gate.store.stored[0][1].endswith(pixels)


@pytest.mark.parametrize("outcome", [*RefusalReason, *Failure])
def test_every_outcome_of_the_store_reaches_the_device(outcome: RefusalReason | Failure) -> None:
    """Status and comment as in the table, and the association goes on."""
    with open_gate(store=Recorder(answer=lambda _: answer_for(outcome))) as gate:
        association = gate.associate()
        for _ in range(2):
            response = send(association)
            assert response.Status == TABLE[outcome].status
            assert response.ErrorComment == TABLE[outcome].comment
        assert association.is_established


def test_a_refused_examination_does_not_stop_another_on_the_same_association() -> None:
    """Others may be admitted: never abort for quota (ADM-6)."""

    def admits_one(study: str) -> StoreAnswer:
        return answer_for(RefusalReason.GRACE_OVER) if study == "1.2.3" else StoreAnswer(status=0)

    store = Recorder(answer=lambda incoming: admits_one(incoming.study_instance_uid))
    with open_gate(store=store) as gate:
        association = gate.associate()
        assert send(association).Status == 0xA700
        assert send(association, StudyInstanceUID="1.2.9").Status == 0x0000
        assert [incoming.study_instance_uid for incoming, _ in store.stored] == ["1.2.9"]


def test_a_handler_that_raises_is_answered_and_told_without_its_message(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Never silence, never a traceback with a patient in it."""

    class Broken(Recorder):
        def handle(self, accepted: Accepted, request: StoreRequest) -> StoreAnswer:
            raise RuntimeError(f"CANARY {accepted.device.id} {request.message_id}")

    caplog.set_level(logging.DEBUG)
    with open_gate(store=Broken()) as gate:
        response = send(gate.associate())
        assert response.Status == TABLE[Failure.INTERNAL].status
        assert response.ErrorComment == TABLE[Failure.INTERNAL].comment
        assert isinstance(gate.observed.wait_for("failed"), RuntimeError)
        answer, _ = gate.observed.wait_for("answered")
        assert answer.outcome is Failure.INTERNAL
    assert "CANARY" not in caplog.text
    assert "CANARY" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    "command_set, data_set, status",
    [
        (store_command(data_set_type=0x0101), None, 0xC001),
        (store_command(), b"", 0xC001),
        (store_command(sop_instance=""), IMAGE, 0x0117),
        (store_command(sop_instance=None), IMAGE, 0x0117),
        (store_command(sop_instance="1.2.x"), IMAGE, 0x0117),
        (store_command(sop_instance="1.2.3.4\\1.2.3.4"), IMAGE, 0x0117),
        (store_command(sop_instance="1." + "2" * 80), IMAGE, 0x0117),
        (store_command(sop_instance=b"1.2\xff\xfe"), IMAGE, 0x0117),
        (store_command(sop_instance="../../etc/passwd"), IMAGE, 0x0117),
        (store_command(sop_class=""), IMAGE, 0x0117),
        (store_command(sop_class=None), IMAGE, 0x0117),
        (store_command(sop_class=MR_IMAGE_STORAGE), IMAGE, 0x0122),
        (store_command(sop_class="1.2.840.10008.1.1"), IMAGE, 0x0122),
        (store_command(sop_class="1.2.840.10008.5.1.4.1.2.1.1"), IMAGE, 0x0122),
        (store_command(sop_instance="1.2.3.5"), IMAGE, 0xA900),
        (store_command(), encoded(ct_image(StudyInstanceUID=None)), 0xA900),
        (store_command(), encoded(ct_image(SOPClassUID=MR_IMAGE_STORAGE)), 0xA900),
        (store_command(), IMAGE[:-1], 0xC002),
        (store_command(), encoded(ct_image(), "1.2.840.10008.1.2.2"), 0xC002),
        (store_command(field=0x0020), IMAGE, 0x0211),
        (store_command(field=0x0140, data_set_type=0x0101), None, 0x0211),
        (store_command(field=0x0666), IMAGE, 0x0211),
        (store_command(field=0x0030, data_set_type=0x0101), None, 0x0122),
        (store_command(priority=None), IMAGE, 0x0000),
    ],
)
def test_bad_input_gets_its_status_and_harms_nothing(
    command_set: bytes, data_set: bytes | None, status: int
) -> None:
    """Answered, not stored, and the association goes on."""
    with open_gate() as gate:
        assert raw_status(gate, command_set, data_set) == status
        assert len(gate.store.stored) == (2 if status == 0 else 1)
        assert not gate.observed.failures


@pytest.mark.parametrize(
    "pdvs, violation",
    [
        ([pdv(DATA_LAST, IMAGE)], Violation.DATA_BEFORE_COMMAND),
        ([pdv(COMMAND_LAST, b"\xff" * 20)], Violation.COMMAND_SET_UNREADABLE),
        (
            [pdv(COMMAND_LAST, store_command(message_id=None)), pdv(DATA_LAST, IMAGE)],
            Violation.MESSAGE_ID_MISSING,
        ),
        (
            [pdv(COMMAND_LAST, store_command(field=0x8001, data_set_type=0x0101))],
            Violation.RESPONSE_UNEXPECTED,
        ),
        (
            [pdv(COMMAND_LAST, store_command()), pdv(DATA_LAST, IMAGE, context_id=3)],
            Violation.CONTEXT_CHANGED,
        ),
        ([pdv(COMMAND, bytes(16_000))] * 5, Violation.COMMAND_SET_TOO_LONG),
    ],
)
def test_what_can_not_be_answered_is_aborted_and_never_met_with_silence(
    pdvs: list[bytes], violation: Violation
) -> None:
    """A-ABORT, an event, and nothing stored; the next association is unaffected."""
    with open_gate() as gate, RawRequestor(gate.port) as requestor:
        requestor.associate()
        requestor.send(*pdvs)
        assert requestor.receive() == (ABORT, bytes((0, 0, 2, 6)))
        assert gate.observed.wait_for("violated") is violation
        assert not gate.store.asked
        assert send(gate.associate()).Status == 0x0000


def test_a_cancel_is_ignored_as_there_is_nothing_to_cancel() -> None:
    """It has no response (PS3.7 9.3.2.3); the next request is served."""
    cancel = command({0x0100: 0x0FFF, 0x0120: 1, 0x0800: 0x0101})
    with open_gate() as gate, RawRequestor(gate.port) as requestor:
        requestor.associate()
        requestor.send(pdv(COMMAND_LAST, cancel))
        requestor.send(pdv(COMMAND_LAST, store_command()), pdv(DATA_LAST, IMAGE))
        assert requestor.status() == 0x0000


def test_requests_sent_ahead_are_served_in_order() -> None:
    """Without waiting for answers, though a window of one was negotiated."""
    with open_gate() as gate, RawRequestor(gate.port) as requestor:
        requestor.associate()
        for number in range(20):
            uid = f"1.2.3.{number}"
            requestor.send(
                pdv(COMMAND_LAST, store_command(message_id=number, sop_instance=uid)),
                pdv(DATA_LAST, encoded(ct_image(SOPInstanceUID=uid))),
            )
        answers = [requestor.response() for _ in range(20)]
        assert [int.from_bytes(answer[0x0120], "little") for answer in answers] == [*range(20)]
        assert all(answer[0x0900] == b"\0\0" for answer in answers)


def test_an_instance_beyond_the_size_limit_is_refused_and_not_kept_in_memory() -> None:
    """0xA700, and the association goes on with smaller ones."""
    with open_gate(instance_size_max_bytes=len(IMAGE)) as gate, RawRequestor(gate.port) as peer:
        peer.associate()
        peer.send(pdv(COMMAND_LAST, store_command()), pdv(DATA, IMAGE), pdv(DATA_LAST, b"x"))
        answer = peer.response()
        assert answer[0x0900] == (0xA700).to_bytes(2, "little")
        assert answer[0x0902].strip().decode() == TABLE[Failure.INSTANCE_TOO_LARGE].comment
        peer.send(pdv(COMMAND_LAST, store_command()), pdv(DATA_LAST, IMAGE))
        assert peer.status() == 0x0000


def test_a_response_names_the_instance_unless_its_uid_is_none() -> None:
    """Affected SOP Instance UID is echoed if it is one (PS3.7 9.3.1.2)."""
    with open_gate() as gate, RawRequestor(gate.port) as requestor:
        requestor.associate()
        requestor.send(pdv(COMMAND_LAST, store_command()), pdv(DATA_LAST, IMAGE))
        assert requestor.response()[0x1000] == b"1.2.3.4\0"
        requestor.send(pdv(COMMAND_LAST, store_command(sop_instance="x")), pdv(DATA_LAST, IMAGE))
        assert 0x1000 not in requestor.response()


def test_a_device_may_be_forgiven_its_leading_zeros() -> None:
    """The switch of the device that is associated counts."""
    tolerant = replace(DEVICE, tolerates_leading_zeros=True)
    registry = Registry(institutions=(INSTITUTION,), devices=(tolerant,))
    with open_gate(registry=lambda: registry) as gate, RawRequestor(gate.port) as requestor:
        requestor.associate()
        requestor.send(pdv(COMMAND_LAST, store_command(sop_instance="1.2.03")))
        requestor.send(pdv(DATA_LAST, encoded(ct_image(SOPInstanceUID="1.2.03"))))
        assert requestor.status() == 0x0000


@pytest.mark.slow
def test_several_associations_store_at_the_same_time() -> None:
    """Each instance arrives once, for the device that sent it."""
    with open_gate() as gate:

        def send_some(first: int) -> None:
            association = gate.associate((CT_IMAGE_STORAGE, [EXPLICIT_LITTLE]))
            for number in range(first, first + 10):
                assert send(association, SOPInstanceUID=f"1.2.{number}").Status == 0x0000
            association.release()

        senders = [threading.Thread(target=send_some, args=(n * 100,)) for n in range(1, 6)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join(WAIT_S)
        stored = sorted(int(incoming.sop_instance_uid[4:]) for incoming, _ in gate.store.stored)
        assert stored == [n * 100 + number for n in range(1, 6) for number in range(10)]


def test_the_announced_pdu_length_is_the_setting() -> None:
    """Large PDUs are what makes large studies quick."""
    with open_gate(pdu_length_max_bytes=1_048_576) as gate:
        assert gate.associate().acceptor.maximum_length == 1_048_576
