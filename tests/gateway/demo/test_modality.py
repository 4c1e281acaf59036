"""The simulated devices, on a real acceptor: what they count is what was answered."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from pynetdicom.association import Association

from gateway.demo import modality
from gateway.demo.errors import Unmet
from gateway.demo.images import CT
from gateway.demo.modality import Modality
from gateway.dicom.status import Failure, answer_for
from quota.admission import RefusalReason
from tests.gateway.dicom.support import WAIT_S, Recorder, open_gate


def device(port: int, *, ae_title: str = "CT1", associations_max: int = 2) -> Modality:
    """A CT that nobody has asked to stop."""
    return Modality(
        kind=CT,
        ae_title=ae_title,
        port=port,
        associations_max=associations_max,
        study_date="20260102",
        stopping=threading.Event(),
    )


def send(sender: Modality, examinations: int) -> modality.Batch:
    """Have a device send so many new examinations, and wait for all answers."""
    sender.begin([(one, one.images) for one in sender.worklist.take(examinations)])
    return sender.finish()


@pytest.mark.slow
def test_every_image_is_sent_once_over_several_associations() -> None:
    """Two associations share the work; nothing is sent twice."""
    with open_gate() as gate:
        batch = send(device(gate.port), 10)
    assert (batch.examinations_done, batch.stored, batch.refused) == (10, 20, 0)
    assert len({incoming.sop_instance_uid for incoming, _ in gate.store.stored}) == 20


@pytest.mark.slow
def test_a_refusal_is_counted_and_any_other_failure_is_a_problem() -> None:
    """0xA700 is part of the story; another status breaks it off, as does a rejection."""
    refusal = answer_for(RefusalReason.GRACE_OVER)
    with open_gate(store=Recorder(answer=lambda _: refusal)) as gate:
        batch = send(device(gate.port), 1)
        assert (batch.stored, batch.refused, batch.comments) == (0, 2, {refusal.comment})
        with pytest.raises(Unmet, match="STRANGER: the association was not accepted"):
            send(device(gate.port, ae_title="STRANGER"), 1)
    malformed = answer_for(Failure.MALFORMED)
    with (
        open_gate(store=Recorder(answer=lambda _: malformed)) as gate,
        pytest.raises(Unmet, match="CT1: status 0xC002"),
    ):
        send(device(gate.port), 1)


class HardlyPaused(threading.Event):
    """A checkpoint that lets pynetdicom's own loop pass until it has taken a response."""

    def __init__(self, taken: threading.Event) -> None:
        super().__init__()
        self.set()
        self._taken = taken

    def wait(self, timeout: float | None = None) -> bool:
        """Wait to the end only once the race is over; a moment is enough to seem paused."""
        return super().wait(timeout if self._taken.is_set() else 0.02)


@pytest.mark.slow
def test_no_response_is_lost_to_the_librarys_own_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where that loop takes a response first, it still reaches who waits for it."""
    keep_responses = modality._keep_responses  # noqa: SLF001 - the one place to stage the race
    taken = threading.Event()

    def with_the_race(association: Association) -> None:
        keep_responses(association)
        give_back = association._serve_request  # noqa: SLF001 - noticed on its way
        get = association.dimse.get_msg

        def notice(msg: Any, context_id: int) -> None:
            taken.set()
            give_back(msg, context_id)

        def get_second(*, block: bool = False) -> tuple[Any, Any]:
            """Let the loop be first, once."""
            assert not block or taken.wait(WAIT_S)
            return get(block=block)

        monkeypatch.setattr(association, "_serve_request", notice)
        monkeypatch.setattr(association, "_reactor_checkpoint", HardlyPaused(taken))
        monkeypatch.setattr(association.dimse, "get_msg", get_second)

    monkeypatch.setattr(modality, "_keep_responses", with_the_race)
    with open_gate() as gate:
        batch = send(device(gate.port, associations_max=1), 1)
    assert taken.is_set()
    assert batch.stored == 2
