"""SIGKILL at any moment under load: four associations send, and lose nothing that was answered.

The moments are counted in answers, not in time: a seeded number of them, then the kill.
"""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.durability.evidence import check, query
from tests.durability.scu import STORED, Image, associate, association, end, image, store
from tests.durability.site import ready
from tests.harness import RunningGateway

ROUNDS = 100 if os.environ.get("TOLLGATE_TEST_PROFILE") == "full" else 4
SENDERS = 4
IMAGES_PER_STUDY = 3
_ANSWERS_MAX = 60
_SEED = 20_260_102


@dataclass
class Load:
    """Four senders at one gateway, until it is killed upon a certain answer."""

    gateway: RunningGateway
    answers_left: int
    acknowledged: list[Image] = field(default_factory=list)
    unanswered: list[Image] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, work: list[Iterator[Image]]) -> None:
        """Send until the kill; every sender then knows what it got no answer to."""
        senders = [threading.Thread(target=self._send, args=(images,)) for images in work]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        assert self.gateway.process is not None
        assert self.gateway.process.wait(60) == -signal.SIGKILL

    def _send(self, images: Iterator[Image]) -> None:
        opened = associate(self.gateway.dicom_port)
        for each in images:
            status = store(opened, each)
            with self._lock:
                if status != STORED:
                    assert status is None
                    self.unanswered.append(each)
                    break
                self.acknowledged.append(each)
                self.answers_left -= 1
                last = self.answers_left == 0
            if last:
                assert self.gateway.process is not None
                self.gateway.process.kill()
        end(opened)


def studies(round_number: int, sender: int) -> Iterator[Image]:
    """New studies for ever, some of them shared with the neighbour, a resend now and then."""
    chance = random.Random(f"{_SEED}/{round_number}/{sender}")
    while True:
        study = round_number * 10_000 + chance.randrange(2_000)
        for number in range(IMAGES_PER_STUDY):
            each = image(study, number)
            yield each
            if chance.random() < 0.1:
                yield each


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_random_kills_under_load_lose_nothing_and_charge_nothing_twice(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Every round: load, kill, restart, compare; what had no answer is sent again."""
    data_dir = ready(tmp_path / "data")
    chance = random.Random(_SEED)
    acknowledged: list[Image] = []
    for number in range(ROUNDS):
        with RunningGateway(data_dir) as gateway:
            load = Load(gateway, answers_left=chance.randrange(1, _ANSWERS_MAX))
            load.run([studies(number, sender) for sender in range(SENDERS)])
        acknowledged += load.acknowledged
        with RunningGateway(data_dir) as gateway:
            check(data_dir, acknowledged)
            with association(gateway.dicom_port) as opened:
                for each in load.unanswered:
                    assert store(opened, each) == STORED
            acknowledged += load.unanswered
            check(data_dir, acknowledged)
    charges = query(data_dir, "SELECT count(*) FROM charges")[0][0]
    assert charges == len({each.study_instance_uid for each in acknowledged})
    counts = {"kills": ROUNDS, "acknowledged": len(acknowledged), "charges": charges}
    request.node.user_properties.extend(counts.items())
