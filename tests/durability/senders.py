"""Devices that send without a pause, and remember what they were promised, until something ends it.

What counts is what was answered before the accident; what was under way when it happened may be
there or not, and is sent again.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from tests.durability.scu import STORED, Image, associate, end, image, store

IMAGES_PER_STUDY = 3
_STUDIES_PER_ROUND = 2_000
_WAIT_S = 60


@dataclass(kw_only=True)
class Promises:
    """What was acknowledged over all accidents so far, by SOP Instance UID."""

    digest: dict[str, str] = field(default_factory=dict)
    """SHA-256 of the data set."""
    study: dict[str, str] = field(default_factory=dict)

    def add(self, images: Sequence[Image]) -> None:
        """These are owed from now on."""
        for each in images:
            self.digest[each.sop_instance_uid] = sha256(each.encoded).hexdigest()
            self.study[each.sop_instance_uid] = each.study_instance_uid


class Senders:
    """Some devices at one gateway, each with an association of its own."""

    def __init__(self, port: int, work: Sequence[Iterator[Image]]) -> None:
        self._port = port
        self._threads = [threading.Thread(target=self._send, args=(each,)) for each in work]
        self._changed = threading.Condition()
        self._over = False
        self.acknowledged: list[Image] = []
        """Answered 0x0000 before the accident."""
        self.late: list[Image] = []
        """Answered 0x0000 while it happened."""
        self.unanswered: list[Image] = []
        self.refused: list[int] = []
        """Other answers before the accident."""

    def start(self) -> None:
        """Begin to send."""
        for thread in self._threads:
            thread.start()

    def await_answers(self, count: int) -> None:
        """Until so many were acknowledged, or nobody sends any more."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: len(self.acknowledged) >= count or not self._sending(), _WAIT_S
            )

    def accident(self) -> None:
        """What is answered from here on is no promise."""
        with self._changed:
            self._over = True

    def join(self) -> None:
        """Wait until every device has noticed."""
        self.accident()
        for thread in self._threads:
            thread.join(_WAIT_S)
            assert not thread.is_alive()

    def _sending(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def _send(self, images: Iterator[Image]) -> None:
        opened = associate(self._port)
        try:
            for each in images:
                if self._over or not self._is_stored(each, store(opened, each)):
                    break
        finally:
            end(opened)
            with self._changed:
                self._changed.notify_all()

    def _is_stored(self, each: Image, status: int | None) -> bool:
        with self._changed:
            if status == STORED:
                (self.late if self._over else self.acknowledged).append(each)
            else:
                self.unanswered.append(each)
                if status is not None and not self._over:
                    self.refused.append(status)
            self._changed.notify_all()
        return status == STORED


def studies(round_number: int, sender: int) -> Iterator[Image]:
    """Studies for ever, some of them shared with the neighbour, a resend now and then."""
    chance = random.Random(f"{round_number}/{sender}")
    while True:
        study = round_number * 10_000 + chance.randrange(_STUDIES_PER_ROUND)
        for number in range(1, IMAGES_PER_STUDY + 1):
            each = image(study, number, size_bytes=_size_of(study, number))
            yield each
            if chance.random() < 0.1:
                yield each


def _size_of(study: int, number: int) -> int:
    """Of the names only, so that a neighbour's copy has the same bytes."""
    return random.Random(study * 100 + number).choice((600, 2_048, 5_000, 40_000, 300_000))
