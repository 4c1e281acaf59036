"""Hostile bytes: 3,000 seeded mutations; nothing unhandled, nothing kept, nobody left waiting."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.gateway.dicom import mutator
from tests.gateway.dicom.raw import (
    COMMAND_LAST,
    DATA_LAST,
    P_DATA,
    RawRequestor,
    associate_rq,
    pdv,
    store_command,
)
from tests.gateway.dicom.support import Gate, ct_image, encoded, open_gate

CASES = 1_000
GROWTH_BYTES_MAX = 16 * 2**20
ANSWER_S_MAX = 10.0
IMAGE = encoded(ct_image())


def resident_bytes() -> int:
    """Resident set size of this process, gateway and sender together."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4_096


def exchanged(port: int, sent: bytes) -> bytes:
    """Send, hang up the sending half, and read to the end; TimeoutError if there is none."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_S_MAX) as connection:
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            while data := connection.recv(4_096):
                received += data
        except (ConnectionResetError, BrokenPipeError):
            pass
    return received


def still_serves(gate: Gate) -> bool:
    """Whether a proper store is answered 0x0000."""
    with RawRequestor(gate.port) as requestor:
        requestor.associate()
        requestor.send(pdv(COMMAND_LAST, store_command()), pdv(DATA_LAST, IMAGE))
        return requestor.status() == 0x0000


@pytest.mark.slow
@pytest.mark.parametrize(
    "mutated",
    [mutator.association, lambda random: associate_rq() + mutator.stream(random)],
    ids=["associations", "streams"],
)
def test_mutated_pdus_are_answered_or_ended(mutated: Callable[[Random], bytes]) -> None:
    """Each connection comes to its end, without a fault of ours and without growth."""
    with open_gate() as gate:
        for number in range(20):
            exchanged(gate.port, mutated(Random(number)))
        before = resident_bytes()
        for number in range(CASES):
            exchanged(gate.port, mutated(Random(number)))
            gate.store.asked.clear()
            gate.store.stored.clear()
        assert gate.observed.failures == []
        assert resident_bytes() - before < GROWTH_BYTES_MAX
        assert still_serves(gate)


@pytest.mark.slow
def test_mutated_data_sets_are_answered_on_one_association() -> None:
    """A bad data set is no reason to end an association, let alone to be silent."""
    with open_gate() as gate, RawRequestor(gate.port) as requestor:
        requestor.associate()
        before = resident_bytes()
        for number in range(CASES):
            requestor.send(
                pdv(COMMAND_LAST, store_command()),
                pdv(DATA_LAST, mutator.data_set(Random(number))),
            )
            answer = requestor.receive()
            assert answer is not None
            assert answer[0] == P_DATA, number
            gate.store.asked.clear()
            gate.store.stored.clear()
        assert gate.observed.failures == []
        assert resident_bytes() - before < GROWTH_BYTES_MAX
        assert still_serves(gate)
