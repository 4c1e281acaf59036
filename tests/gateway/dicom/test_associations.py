"""Associations: who gets in, how many, and how they end."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pynetdicom.association import Association

from gateway.dicom.access import Registry, Rejection
from gateway.dicom.negotiation import VERIFICATION_UID
from gateway.dicom.status import STORED
from gateway.dicom.violation import Violation
from tests.gateway.dicom.raw import (
    ABORT,
    ASSOCIATE_AC,
    ASSOCIATE_RJ,
    DATA,
    RawRequestor,
    associate_rq,
    pdu,
    pdv,
    store_command,
)
from tests.gateway.dicom.support import (
    ACCEPTED,
    DEVICE,
    EXPLICIT_LITTLE,
    INSTITUTION,
    REGISTRY,
    open_gate,
    sendable,
)

UNKNOWN_SOP_CLASS = "1.2.3.4.5.6.7.8.9"


def rejection(association: Association) -> tuple[int, int, int]:
    """Result, source and reason that the requestor was given."""
    assert association.is_rejected
    answer = association.acceptor.primitive
    assert answer is not None
    assert answer.result is not None
    assert answer.result_source is not None
    assert answer.diagnostic is not None
    return answer.result, answer.result_source, answer.diagnostic


def test_a_registered_device_may_echo() -> None:
    """Verification never depends on anything but access."""
    with open_gate() as gate:
        association = gate.associate((VERIFICATION_UID, [EXPLICIT_LITTLE]))
        assert association.send_c_echo().Status == 0x0000
        association.release()
        assert gate.observed.wait_for("accepted") == ACCEPTED
        assert gate.observed.wait_for("released") == ACCEPTED


@pytest.mark.parametrize(
    "called, calling, expected",
    [
        ("OTHER", "CT1", Rejection.CALLED_AE_UNKNOWN),
        ("TOLLGATE", "NOBODY", Rejection.CALLING_AE_UNKNOWN),
        ("OTHER", "NOBODY", Rejection.CALLED_AE_UNKNOWN),
    ],
)
def test_a_stranger_is_rejected_with_the_reason(
    called: str, calling: str, expected: Rejection
) -> None:
    """1/1/7 and 1/1/3; the next association is unaffected."""
    with open_gate() as gate:
        association = gate.associate(called=called, calling=calling)
        assert rejection(association) == expected.value
        assert gate.observed.wait_for("rejected") == (expected, called, calling, "127.0.0.1")
        assert gate.associate().is_established


@pytest.mark.parametrize(
    "called, calling, expected",
    [
        (b"    ", b"CT1", (1, 1, 7)),
        (b"\0\0", b"CT1", (1, 1, 7)),
        (b"TOLL\x07GATE", b"CT1", (1, 1, 7)),
        (b"T\xc3\x96LLGATE", b"CT1", (1, 1, 7)),
        (b"TOLLGATE", b"    ", (1, 1, 3)),
        (b"TOLLGATE", b"CT1\x1b[2J", (1, 1, 3)),
        (b"TOLLGATE", b"\xff\xfe", (1, 1, 3)),
        (b"TOLLGATE", b"CT\\1", (1, 1, 3)),
    ],
)
def test_titles_that_are_none_are_rejected_and_not_aborted(
    called: bytes, calling: bytes, expected: tuple[int, int, int]
) -> None:
    """Blank, control bytes, non-ASCII: PS3.8 9.3.4 has a reason for them."""
    with open_gate() as gate, RawRequestor(gate.port) as requestor:
        requestor.send(associate_rq(called=called, calling=calling))
        assert requestor.receive() == (ASSOCIATE_RJ, bytes((0, *expected)))


def test_the_answer_bears_the_titles_of_the_request() -> None:
    """PS3.8 9.3.3: some requestors compare them."""
    with open_gate() as gate, RawRequestor(gate.port) as requestor:
        requestor.send(associate_rq(called=b" TOLLGATE", calling=b" CT1"))
        answer = requestor.receive()
        assert answer is not None
        assert answer[0] == ASSOCIATE_AC
        assert answer[1][4:20].strip() == b"TOLLGATE"
        assert answer[1][20:36].strip() == b"CT1"


def test_an_unknown_application_context_is_rejected() -> None:
    """1/1/2: this is not DICOM."""
    with open_gate() as gate, RawRequestor(gate.port) as requestor:
        requestor.send(associate_rq(application_context="1.2.3"))
        assert requestor.receive() == (ASSOCIATE_RJ, bytes((0, 1, 1, 2)))


def test_without_an_acceptable_context_the_association_is_accepted_all_the_same() -> None:
    """The results say what is not supported; never a rejection (PS3.8 9.3.3)."""
    with open_gate() as gate, RawRequestor(gate.port) as requestor:
        requestor.send(associate_rq(sop_class=UNKNOWN_SOP_CLASS))
        answer = requestor.receive()
        assert answer is not None
        assert answer[0] == ASSOCIATE_AC
        assert b"\x21\0\0" in answer[1]


def test_one_association_too_many_is_rejected_until_another_ends() -> None:
    """2/3/2, and the place is free again after a release."""
    with open_gate(associations_max=1) as gate:
        first = gate.associate()
        assert first.is_established
        assert rejection(gate.associate()) == (2, 3, 2)
        first.release()
        gate.observed.wait_for("released")
        assert gate.associate().is_established


def test_a_gateway_under_load_rejects_with_congestion() -> None:
    """2/3/1 is temporary: the device may ask again. A stranger still hears that he is one."""
    with open_gate(admits_associations=lambda: Rejection.CONGESTION) as gate:
        assert rejection(gate.associate()) == (2, 3, 1)
        assert rejection(gate.associate(calling="NOBODY")) == (1, 1, 3)


def test_a_registry_that_fails_lets_nobody_in() -> None:
    """pynetdicom goes on and accepts when a handler raises; we don't."""

    def broken() -> Registry:
        raise RuntimeError("no registry")

    with open_gate(registry=broken) as gate:
        assert rejection(gate.associate()) == (2, 3, 1)
        assert isinstance(gate.observed.wait_for("failed"), RuntimeError)


def test_a_device_that_was_just_added_may_associate() -> None:
    """The registry is asked at every association."""
    registry = Registry(institutions=(), devices=())
    with open_gate(registry=lambda: registry) as gate:
        assert rejection(gate.associate()) == (1, 1, 3)
        registry = REGISTRY
        assert gate.associate().is_established


def test_a_private_class_is_accepted_from_its_device_alone() -> None:
    """Contexts are made for the device that asks."""
    private = replace(DEVICE, id=2, ae_title="CT2", private_sop_classes=(UNKNOWN_SOP_CLASS,))
    registry = Registry(institutions=(INSTITUTION,), devices=(DEVICE, private))
    with open_gate(registry=lambda: registry) as gate:
        context = (UNKNOWN_SOP_CLASS, [EXPLICIT_LITTLE])
        assert not gate.associate(context, calling="CT1").accepted_contexts

        association = gate.associate(context, calling="CT2")
        image = sendable(SOPClassUID=UNKNOWN_SOP_CLASS)
        assert association.send_c_store(image).Status == STORED.status
        assert gate.store.stored[0][0].sop_class_uid == UNKNOWN_SOP_CLASS


@pytest.mark.parametrize("sent", [b"", b"\x01\0\0", associate_rq()[:60]])
@pytest.mark.slow
def test_a_connection_that_asks_for_nothing_is_closed(sent: bytes) -> None:
    """Silent, three bytes of a header, half a PDU: closed after the association timeout."""
    with open_gate(associate_timeout_s=0.3) as gate, RawRequestor(gate.port) as requestor:
        requestor.send(sent)
        answer = requestor.receive()
        assert answer is None or answer[0] == ABORT


@pytest.mark.slow
def test_an_association_that_falls_silent_is_aborted() -> None:
    """After the network timeout; its place is free then."""
    with open_gate(network_timeout_s=0.3) as gate, RawRequestor(gate.port) as requestor:
        requestor.associate()
        answer = requestor.receive()
        assert answer is not None
        assert answer[0] == ABORT
        gate.observed.wait_for("aborted")


@pytest.mark.slow
def test_half_a_message_is_not_waited_for_without_end() -> None:
    """A PDU that does not come to its end: the DIMSE timeout."""
    with open_gate(dimse_timeout_s=0.3) as gate, RawRequestor(gate.port) as requestor:
        requestor.associate()
        requestor.send(pdv(3, store_command())[:40])
        assert requestor.receive() == (ABORT, bytes((0, 0, 2, 0)))
        assert gate.observed.wait_for("violated") is Violation.TOO_SLOW
        gate.observed.wait_for("aborted")


@pytest.mark.parametrize(
    "hostile",
    [b"\x04\0\xff\xff\xff\xff", b"\x01\0\x7f\xff\xff\xff", b"\x99\0\0\0\0\x04abcd"],
    ids=["p-data", "associate", "unknown"],
)
def test_a_pdu_of_absurd_length_or_type_ends_the_association(hostile: bytes) -> None:
    """At once, before anything of it is buffered."""
    with open_gate() as gate, RawRequestor(gate.port) as requestor:
        requestor.associate()
        requestor.send(hostile)
        answer = requestor.receive()
        assert answer is None or answer[0] == ABORT
        gate.observed.wait_for("aborted")
        assert gate.associate().is_established


def test_a_violation_is_told_and_aborted_as_provider() -> None:
    """A-ABORT 2/6 for a context that was never accepted."""
    with open_gate() as gate, RawRequestor(gate.port) as requestor:
        requestor.associate()
        requestor.send(pdv(3, store_command(data_set_type=0x0101), context_id=5))
        assert requestor.receive() == (ABORT, bytes((0, 0, 2, 6)))
        assert gate.observed.wait_for("violated") is Violation.CONTEXT_NOT_ACCEPTED
        gate.observed.wait_for("aborted")


def test_a_peer_that_hangs_up_frees_its_place() -> None:
    """Without a release, in the middle of a message."""
    with open_gate(associations_max=1) as gate:
        with RawRequestor(gate.port) as requestor:
            requestor.associate()
            requestor.send(pdv(3, store_command()), pdv(DATA, b"\x08\0"))
        gate.observed.wait_for("aborted")
        assert gate.scp.associations_open == 0
        assert gate.associate().is_established


def test_a_port_that_is_taken_is_an_error_at_start() -> None:
    """Not something that shows later."""
    with open_gate() as gate, pytest.raises(OSError, match="in use"):
        gate.scp.start("127.0.0.1", gate.port)


def test_garbage_before_the_association_gets_no_answer_but_an_end() -> None:
    """HTTP on the DICOM port."""
    with open_gate() as gate, RawRequestor(gate.port) as requestor:
        requestor.send(b"GET / HTTP/1.1\r\n\r\n", pdu(5, b"\0\0\0\0"))
        answer = requestor.receive()
        assert answer is None or answer[0] == ABORT
        assert gate.associate().is_established
