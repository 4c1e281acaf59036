"""A simulated device: sends examinations over real DICOM associations, several at once."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association

from gateway.demo.errors import Unmet
from gateway.demo.images import Examination, Image, Kind, Worklist, data_set
from gateway.dicom.status import OUT_OF_RESOURCES, SUCCESS

_TIMEOUT_S = 30.0


@dataclass(kw_only=True)
class Batch:
    """What one device was given to send at once, and how it was answered so far."""

    examinations: int
    instances: int
    examinations_done: int = 0
    stored: int = 0
    refused: int = 0
    comments: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    began_s: float = field(default_factory=time.monotonic)
    ended_s: float | None = None

    @property
    def answered(self) -> int:
        """Instances that were stored or refused."""
        return self.stored + self.refused

    @property
    def per_second(self) -> float:
        """Instances answered per second."""
        return self.answered / self.elapsed_s

    @property
    def elapsed_s(self) -> float:
        """Until now, or until the batch was done; never 0."""
        ended_s = time.monotonic() if self.ended_s is None else self.ended_s
        return max(ended_s - self.began_s, 0.001)


class Modality:
    """One device. `begin` a batch, wait until it is no longer `sending`, then `finish` it."""

    def __init__(
        self,
        *,
        kind: Kind,
        ae_title: str,
        port: int,
        associations_max: int,
        study_date: str,
        stopping: threading.Event,
    ) -> None:
        self.kind = kind
        self.ae_title = ae_title
        self.worklist = Worklist(kind, ae_title=ae_title, study_date=study_date)
        self.batch = Batch(examinations=0, instances=0)
        self.instances_stored = 0
        self._port = port
        self._associations_max = associations_max
        self._stopping = stopping
        self._waiting: deque[tuple[Examination, Sequence[Image]]] = deque()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def begin(self, work: Sequence[tuple[Examination, Sequence[Image]]]) -> None:
        """Send these images, none if there are none; returns at once."""
        assert not self.sending, "one batch after the other"
        instances = sum(len(images) for _, images in work)
        self.batch = Batch(examinations=len(work), instances=instances)
        self._waiting.extend(work)
        self._threads = [
            threading.Thread(target=self._send, name=f"{self.ae_title}-{number}", daemon=True)
            for number in range(min(self._associations_max, len(work)))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def sending(self) -> bool:
        """Whether a part of the batch is still on its way."""
        return any(thread.is_alive() for thread in self._threads)

    def finish(self) -> Batch:
        """The batch, all of it answered. Raises Unmet where something else happened."""
        self.join()
        batch = self.batch
        if batch.problems:
            raise Unmet(f"{self.ae_title}: {batch.problems[0]}")
        if batch.answered != batch.instances:
            raise Unmet(f"{self.ae_title}: {batch.answered} of {batch.instances} were answered")
        return batch

    def join(self) -> None:
        """Wait for the associations to end."""
        for thread in self._threads:
            thread.join(_TIMEOUT_S)

    def _send(self) -> None:
        """One association: send whatever examination is next until none is left."""
        try:
            with self._association() as association:
                while not self._stopping.is_set() and self._waiting:
                    self._send_next(association)
        except (Unmet, RuntimeError, ValueError) as error:
            # The last two are what pynetdicom raises for an association that was lost meanwhile.
            with self._lock:
                self.batch.problems.append(str(error))
        with self._lock:
            self.batch.ended_s = time.monotonic()

    def _send_next(self, association: Association) -> None:
        try:
            examination, images = self._waiting.popleft()
        except IndexError:  # another association was quicker
            return
        for image in images:
            if self._stopping.is_set():
                return
            response = association.send_c_store(data_set(examination, image))
            status = response.get("Status")
            with self._lock:
                self._count(status, str(response.get("ErrorComment", "")))
        with self._lock:
            self.batch.examinations_done += 1

    def _count(self, status: int | None, comment: str) -> None:
        if status == SUCCESS:
            self.batch.stored += 1
            self.instances_stored += 1
        elif status == OUT_OF_RESOURCES:
            self.batch.refused += 1
            self.batch.comments.add(comment)
        else:
            shown = "no answer" if status is None else f"status 0x{status:04X}"
            self.batch.problems.append(f"{shown} {comment}".strip())

    @contextmanager
    def _association(self) -> Iterator[Association]:
        entity = ApplicationEntity(self.ae_title)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = _TIMEOUT_S
        entity.add_requested_context(self.kind.sop_class_uid, ExplicitVRLittleEndian)
        association = entity.associate("127.0.0.1", self._port, ae_title="TOLLGATE")
        if not association.is_established:
            raise Unmet("the association was not accepted")
        _keep_responses(association)
        try:
            yield association
        finally:
            if self._stopping.is_set():
                association.abort()
            elif association.is_established:
                association.release()


def _keep_responses(association: Association) -> None:
    """Give a response back that pynetdicom's own loop took from whoever waits for it.

    `send_c_store` pauses that loop, and believes it paused a moment too early: on a busy machine
    one response in some thousands is taken, dropped, and then waited for in vain. A requestor of
    Storage alone gets nothing but responses, so all that comes belongs to `send_c_store`.
    """

    def give_back(msg: Any, context_id: int) -> None:
        association.dimse.msg_queue.put((context_id, msg))

    association._serve_request = give_back  # type: ignore[method-assign]  # noqa: SLF001 - as said
