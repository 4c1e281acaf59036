"""What a peer may do to the upper layer, and what it hears (PS3.8 9.2); black box, by sockets."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from gateway.dicom.listener import listen
from gateway.dicom.violation import Violation
from tests.gateway.dicom.raw import (
    ABORT,
    ASSOCIATE_AC,
    ASSOCIATE_RJ,
    COMMAND,
    COMMAND_LAST,
    DATA,
    DATA_LAST,
    P_DATA,
    RELEASE_RP,
    RawRequestor,
    associate_rq,
    item,
    pdu,
    pdv,
    store_command,
)
from tests.gateway.dicom.support import ct_image, encoded, open_gate

IMAGE = encoded(ct_image())
RELEASE_RQ = pdu(5, bytes(4))
BY_USER = (ABORT, bytes(4))


def by_provider(reason: int) -> tuple[int, bytes]:
    """An A-ABORT of the service provider."""
    return ABORT, bytes((0, 0, 2, reason))


@pytest.mark.parametrize(
    "sent",
    [
        pdv(COMMAND_LAST, store_command()),
        RELEASE_RQ,
        pdu(RELEASE_RP, bytes(4)),
        pdu(ASSOCIATE_AC, bytes(68)),
        pdu(ASSOCIATE_RJ, bytes(4)),
        pdu(0x99, b"abcd"),
        pdu(0, b""),
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x01\0\xff\xff\xff\xff",
        b"\x01\0\x00\x10\x00\x01",
        pdu(1, bytes(67)),
        pdu(1, b"\0\x01" + bytes(66) + b"\x10\0\xff\xff1.2"),
        pdu(1, b"\0\x01" + bytes(66) + item(0x50, b"\x51\0\xff\xff")),
    ],
)
def test_before_the_association_everything_but_a_request_is_aborted(sent: bytes) -> None:
    """AA-1: source 0, reason 0; also a request that can't be read."""
    with open_gate() as gate, RawRequestor(gate.port) as requestor:
        requestor.send(sent)
        assert requestor.receive() == BY_USER
        assert gate.observed.wait_for("violated")
        assert requestor.receive() is None
        assert not gate.observed.failures


def test_an_abort_before_the_association_is_met_with_an_end() -> None:
    """AA-2: nothing is sent."""
    with open_gate() as gate, RawRequestor(gate.port) as requestor:
        requestor.send(pdu(ABORT, bytes(4)))
        assert requestor.receive() is None


@pytest.mark.parametrize(
    "sent, reason, violation",
    [
        (pdu(0x99, b"abcd"), 1, Violation.PDU_UNRECOGNIZED),
        (pdu(0, b""), 1, Violation.PDU_UNRECOGNIZED),
        (associate_rq(), 2, Violation.PDU_UNEXPECTED),
        (pdu(ASSOCIATE_AC, bytes(68)), 2, Violation.PDU_UNEXPECTED),
        (pdu(ASSOCIATE_RJ, bytes(4)), 2, Violation.PDU_UNEXPECTED),
        (pdu(RELEASE_RP, bytes(4)), 2, Violation.PDU_UNEXPECTED),
        (b"\x04\0\xff\xff\xff\xff", 6, Violation.PDU_TOO_LONG),
        (b"\x04\0\0\x04\0\x01", 6, Violation.PDU_TOO_LONG),
        (pdu(P_DATA, b""), 6, Violation.PDU_INVALID),
        (b"\x05\0\xff\xff\xff\xff", 6, Violation.PDU_INVALID),
        (pdu(P_DATA, bytes(5)), 6, Violation.PDV_BEYOND_PDU),
        (pdu(P_DATA, struct.pack(">LBB", 0, 1, 3)), 6, Violation.PDV_EMPTY),
        (pdu(P_DATA, struct.pack(">LBB", 1, 1, 3)), 6, Violation.PDV_EMPTY),
        (pdu(P_DATA, struct.pack(">LBB", 9, 1, 3)), 6, Violation.PDV_BEYOND_PDU),
        (pdu(P_DATA, struct.pack(">LBB", 0xFFFFFFFF, 1, 3)), 6, Violation.PDV_BEYOND_PDU),
        (pdv(COMMAND, bytes(65_537)), 6, Violation.COMMAND_SET_TOO_LONG),
    ],
)
def test_within_the_association_a_violation_is_aborted_with_its_reason(
    sent: bytes, reason: int, violation: Violation
) -> None:
    """AA-8: source 2, and at once, whatever length was announced."""
    with open_gate() as gate, RawRequestor(gate.port) as requestor:
        requestor.associate()
        requestor.send(sent)
        assert requestor.receive() == by_provider(reason)
        assert gate.observed.wait_for("violated") is violation
        gate.observed.wait_for("aborted")
        assert not gate.observed.failures


def test_a_protocol_version_without_bit_0_is_rejected() -> None:
    """1/2/2; other bits are not to be tested."""
    with open_gate() as gate:
        with RawRequestor(gate.port) as requestor:
            requestor.send(associate_rq(version=2))
            assert requestor.receive() == (ASSOCIATE_RJ, bytes((0, 1, 2, 2)))
        with RawRequestor(gate.port) as requestor:
            requestor.associate(version=3)


def test_items_of_unknown_type_are_skipped() -> None:
    """PS3.8 9.3.1: a later edition may bring new ones."""
    with open_gate() as gate, RawRequestor(gate.port) as requestor:
        requestor.associate(more_items=item(0x77, b"?"), more_user_items=item(0x7F, b"??"))


def test_an_asynchronous_window_becomes_one_and_one() -> None:
    """PS3.7 D.3.3.3: whatever is asked for."""
    with open_gate() as gate, RawRequestor(gate.port) as requestor:
        requestor.send(associate_rq(more_user_items=item(0x53, struct.pack(">HH", 8, 0))))
        answer = requestor.receive()
        assert answer is not None
        assert item(0x53, struct.pack(">HH", 1, 1)) in answer[1]


@pytest.mark.parametrize("before", [b"", pdv(COMMAND_LAST, store_command()) + pdv(DATA, b"x")])
def test_a_release_is_answered_also_within_a_message(before: bytes) -> None:
    """AR-2, AR-4; half a message is forgotten."""
    with open_gate() as gate, RawRequestor(gate.port) as requestor:
        requestor.associate()
        requestor.send(before, RELEASE_RQ)
        assert requestor.receive() == (RELEASE_RP, bytes(4))
        assert requestor.receive() is None
        gate.observed.wait_for("released")
        assert not gate.store.asked


def test_an_abort_by_the_peer_ends_the_association_without_an_answer() -> None:
    """AA-3."""
    with open_gate() as gate, RawRequestor(gate.port) as requestor:
        requestor.associate()
        requestor.send(pdu(ABORT, bytes(4)))
        assert requestor.receive() is None
        gate.observed.wait_for("aborted")


def test_what_comes_after_our_abort_is_thrown_away() -> None:
    """Sta13: the peer reads our reason, though it went on sending."""
    with open_gate() as gate, RawRequestor(gate.port) as requestor:
        requestor.associate()
        requestor.send(pdu(0x99, b""), pdv(COMMAND_LAST, store_command()), pdv(DATA_LAST, IMAGE))
        assert requestor.receive() == by_provider(1)
        assert not gate.store.asked


@pytest.mark.parametrize("maximum_length", [0, 8, 32, 100, 16_384])
def test_answers_keep_to_the_peers_maximum_length(maximum_length: int) -> None:
    """PS3.8 D.1: in as many PDUs as it takes."""
    with open_gate() as gate, RawRequestor(gate.port) as requestor:
        requestor.associate(maximum_length=maximum_length)
        requestor.send(pdv(COMMAND_LAST, store_command()), pdv(DATA_LAST, IMAGE))
        command_set, control = b"", 0
        while not control & 2:
            answer = requestor.receive()
            assert answer is not None
            assert not maximum_length or len(answer[1]) <= maximum_length
            control = answer[1][5]
            command_set += answer[1][6:]
        assert b"\0\0\x00\x09\x02\0\0\0\0\0" in command_set  # Status 0x0000


def test_several_pdvs_may_share_a_pdu() -> None:
    """Command and data set in one P-DATA-TF (PS3.8 9.3.5)."""
    both = pdv(COMMAND_LAST, store_command())[6:] + pdv(DATA, IMAGE[:9])[6:]
    with open_gate() as gate, RawRequestor(gate.port) as requestor:
        requestor.associate()
        requestor.send(pdu(P_DATA, both + pdv(DATA_LAST, IMAGE[9:])[6:]))
        assert requestor.status() == 0x0000
        assert gate.store.stored[0][1] == IMAGE


def dripped(kind: str) -> Iterator[bytes]:
    """Bytes that never end, each of them too little to be progress."""
    if kind == "request":
        yield from (bytes((byte,)) for byte in associate_rq())
    elif kind == "header":
        yield from (bytes((byte,)) for byte in pdv(COMMAND_LAST, store_command()))
    else:
        yield pdv(COMMAND_LAST, store_command())
        while True:
            yield pdv(DATA, b"")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["request", "header", "empty fragments"])
def test_a_peer_that_drips_is_ended_like_a_silent_one(kind: str) -> None:
    """Each byte, or each small PDU, would begin a timeout of the socket anew."""
    gateway = open_gate(associate_timeout_s=0.4, network_timeout_s=0.4, dimse_timeout_s=0.4)
    with gateway as gate, RawRequestor(gate.port) as requestor:
        if kind != "request":
            requestor.associate()
        began_s = time.monotonic()
        requestor.socket.settimeout(0.03)
        ended = False
        for piece in dripped(kind):
            try:
                requestor.send(piece)
                requestor.receive()
                ended = True
            except TimeoutError:
                continue
            except OSError:
                ended = True
            break
        assert ended
        assert time.monotonic() - began_s < 5
        assert gate.observed.wait_for("violated") is Violation.TOO_SLOW


def test_one_source_can_not_take_all_places() -> None:
    """2/3/2 for its next one; another source gets in."""
    with open_gate(associations_per_source_max=1) as gate, RawRequestor(gate.port) as first:
        first.associate()
        with RawRequestor(gate.port) as second:
            second.send(associate_rq())
            assert second.receive() == (ASSOCIATE_RJ, bytes((0, 2, 3, 2)))
        with socket.create_connection(
            ("127.0.0.1", gate.port), source_address=("127.0.0.2", 0), timeout=10
        ) as other:
            other.sendall(associate_rq())
            assert other.recv(1) == bytes((ASSOCIATE_AC,))


def test_silent_connections_do_not_keep_a_peer_out() -> None:
    """The oldest silent one goes when there are too many."""
    with open_gate() as gate:
        silent = [socket.create_connection(("127.0.0.1", gate.port)) for _ in range(300)]
        try:
            with RawRequestor(gate.port) as requestor:
                requestor.associate()
            silent[0].settimeout(10)
            assert silent[0].recv(1) == b""
        finally:
            for one in silent:
                one.close()


def test_a_socket_that_listens_already_is_taken_over_and_may_be_shared() -> None:
    """As a supervisor hands it to its workers: one that stops leaves it to the others."""
    with listen("127.0.0.1", 0) as shared, open_gate() as gate, open_gate() as other:
        for one in (gate, other):
            one.scp.stop_listening()
            one.scp.start_on(shared.dup())
        gate.scp.stop_listening()
        threads = threading.active_count()
        for _ in range(5):
            with RawRequestor(other.port) as requestor:
                requestor.associate()
        assert threading.active_count() <= threads + 5
