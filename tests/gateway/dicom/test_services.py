"""Further services by pynetdicom's service classes, beside C-STORE on the same association."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import evt

from gateway.dicom.services import Service
from tests.gateway.dicom.raw import (
    COMMAND_LAST,
    DATA_LAST,
    RELEASE_RP,
    RawRequestor,
    command,
    pdu,
    pdv,
    store_command,
)
from tests.gateway.dicom.support import (
    CT_IMAGE_STORAGE,
    EXPLICIT_LITTLE,
    WAIT_S,
    encoded,
    open_gate,
    sendable,
)

FIND = "1.2.840.10008.5.1.4.1.2.2.1"
"""Study Root Query/Retrieve: FIND."""


def query(**elements: str) -> Dataset:
    """An identifier at the level of studies."""
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "STUDY"
    for keyword, value in elements.items():
        setattr(identifier, keyword, value)
    return identifier


def matches(event: evt.Event) -> Iterator[tuple[int, Dataset]]:
    """Three studies for whoever asks."""
    for number in range(3):
        yield 0xFF00, query(PatientID=event.identifier.PatientID, StudyID=str(number))


def service(handler: Callable[[evt.Event], Any]) -> tuple[Service, ...]:
    """C-FIND by `handler`."""
    return (Service(sop_class_uids=(FIND,), handlers=((evt.EVT_C_FIND, handler),)),)


def find_command(**changes: bytes | int | str | None) -> bytes:
    """A C-FIND-RQ with an identifier."""
    return store_command(**{"sop_class": FIND, "field": 0x0020, "sop_instance": None, **changes})


def test_a_find_is_served_between_two_stores_on_one_association() -> None:
    """A modality proposes them together."""
    contexts = ((CT_IMAGE_STORAGE, [EXPLICIT_LITTLE]), (FIND, [EXPLICIT_LITTLE]))
    with open_gate(services=service(matches)) as gate:
        association = gate.associate(*contexts)
        assert association.send_c_store(sendable()).Status == 0x0000
        answers = list(association.send_c_find(query(PatientID="P1"), FIND))
        assert [status.Status for status, _ in answers] == [0xFF00] * 3 + [0x0000]
        found = [identifier.StudyID for _, identifier in answers if identifier is not None]
        assert found == ["0", "1", "2"]
        assert association.send_c_store(sendable(SOPInstanceUID="1.2.9")).Status == 0x0000
        association.release()
        gate.observed.wait_for("released")
        assert not gate.observed.failures


@pytest.mark.parametrize(
    "handler_ends, status", [("raises", 0xC311), ("returns", 0x0000)], ids=["raises", "returns"]
)
def test_a_handler_always_leads_to_an_answer(handler_ends: str, status: int) -> None:
    """Also one that fails, or finds nothing."""

    def handler(_: evt.Event) -> Iterator[tuple[int, Dataset]]:
        if handler_ends == "raises":
            raise RuntimeError
        return iter(())

    with open_gate(services=service(handler)) as gate, RawRequestor(gate.port) as requestor:
        requestor.associate(sop_class=FIND)
        requestor.send(pdv(COMMAND_LAST, find_command()), pdv(DATA_LAST, encoded(query())))
        assert requestor.status() == status


def test_a_cancel_reaches_the_handler_and_a_request_sent_ahead_waits_its_turn() -> None:
    """PS3.7 9.3.2.3; both were sent before anything was answered."""
    may_go_on = threading.Event()

    def until_cancelled(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        assert may_go_on.wait(WAIT_S)
        if event.is_cancelled:
            yield 0xFE00, None
        else:
            yield 0xFF00, query(StudyID="1")

    cancel = command({0x0100: 0x0FFF, 0x0120: 7, 0x0800: 0x0101})
    ask = pdv(DATA_LAST, encoded(query()))
    with (
        open_gate(services=service(until_cancelled)) as gate,
        RawRequestor(gate.port) as requestor,
    ):
        requestor.associate(sop_class=FIND)
        requestor.send(pdv(COMMAND_LAST, find_command()), ask, pdv(COMMAND_LAST, cancel))
        requestor.send(pdv(COMMAND_LAST, find_command(message_id=8)), ask)
        may_go_on.set()
        assert requestor.status() == 0xFE00
        second = requestor.response()
        assert second[0x0120] == b"\x08\0"
        assert second[0x0900] == b"\x00\xff"


def test_a_release_during_a_request_ends_it() -> None:
    """The handler's answers have nobody to go to any more."""

    def endless(event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        while not event.is_cancelled:
            yield 0xFF00, query(StudyID="1")

    with open_gate(services=service(endless)) as gate, RawRequestor(gate.port) as requestor:
        requestor.associate(sop_class=FIND)
        requestor.send(pdv(COMMAND_LAST, find_command()), pdv(DATA_LAST, encoded(query())))
        requestor.send(pdu(5, bytes(4)))
        while (answer := requestor.receive()) is not None and answer[0] != RELEASE_RP:
            pass
        assert answer is not None
        gate.observed.wait_for("released")


@pytest.mark.parametrize(
    "sent",
    [
        pdv(COMMAND_LAST, find_command(field=0x0140, data_set_type=0x0101)),
        pdv(COMMAND_LAST, find_command(sop_class=None)) + pdv(DATA_LAST, b"x"),
        pdv(COMMAND_LAST, find_command(field=0x0666, data_set_type=0x0101)),
    ],
)
def test_what_no_service_class_can_answer_is_never_met_with_silence(sent: bytes) -> None:
    """A status or an abort."""
    with open_gate(services=service(matches)) as gate, RawRequestor(gate.port) as requestor:
        requestor.associate(sop_class=FIND)
        requestor.send(sent)
        assert requestor.receive() is not None
