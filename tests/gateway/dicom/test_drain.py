"""The end of an acceptor: what is under way is finished, what is idle is not waited for."""

from __future__ import annotations

import threading

import pytest

from gateway.dicom.associations import DrainReport
from tests.gateway.dicom.raw import ABORT, COMMAND_LAST, DATA_LAST, RawRequestor, pdv, store_command
from tests.gateway.dicom.support import ACCEPTED, WAIT_S, Held, open_gate, sendable


@pytest.mark.slow
def test_a_drain_lets_the_store_in_flight_end_with_its_answer() -> None:
    """Stop listening, finish what is under way, answer it, then abort."""
    store = Held()
    with open_gate(store=store) as gate:
        association = gate.associate()
        statuses: list[int] = []
        sender = threading.Thread(
            target=lambda: statuses.append(association.send_c_store(sendable()).Status)
        )
        sender.start()
        assert store.entered.wait(WAIT_S)
        gate.scp.stop_listening()
        reports: list[DrainReport] = []
        drain = threading.Thread(target=lambda: reports.append(gate.scp.drain(WAIT_S)))
        drain.start()
        store.may_end.set()
        sender.join(WAIT_S)
        drain.join(WAIT_S)

        assert statuses == [0x0000]
        assert len(store.stored) == 1
        (report,) = reports
        assert (report.aborted, report.stores_unanswered) == (1, 0)
        assert gate.observed.wait_for("aborted") == ACCEPTED


@pytest.mark.slow
def test_a_drain_does_not_wait_for_a_store_that_hangs() -> None:
    """It returns in time, and says what it left unanswered."""
    store = Held()
    with open_gate(store=store) as gate, RawRequestor(gate.port) as requestor:
        requestor.associate()
        requestor.send(pdv(COMMAND_LAST, store_command()), pdv(DATA_LAST, b"x"))
        assert store.entered.wait(WAIT_S)
        gate.scp.stop_listening()
        report = gate.scp.drain(0.1)
        assert (report.aborted, report.stores_unanswered) == (1, 1)
        answer = requestor.receive()
        assert answer is not None
        assert answer[0] == ABORT
        store.may_end.set()


@pytest.mark.slow
def test_no_store_begins_and_nobody_gets_in_during_a_drain() -> None:
    """A new association is rejected with 2/3/1, a new store aborts its association."""
    with open_gate() as gate, RawRequestor(gate.port) as requestor:
        requestor.associate()
        gate.scp.drain(0)
        answer = requestor.receive()
        assert answer is not None
        assert answer[0] == ABORT
        assert gate.associate().is_rejected
        assert not gate.store.asked


def test_a_release_with_nothing_stored_is_a_release() -> None:
    """An empty drain afterwards has nothing to report."""
    with open_gate() as gate:
        association = gate.associate()
        association.release()
        gate.observed.wait_for("released")
        report = gate.scp.drain(1)
        assert (report.ended_themselves, report.aborted, report.stores_unanswered) == (0, 0, 0)
