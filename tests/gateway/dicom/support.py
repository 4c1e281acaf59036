"""What the DICOM tests share: registered parties, a gate on port 0, data sets."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import UID
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association

from config.settings import DicomSettings
from gateway.dicom.access import Accepted, Registry, Rejection
from gateway.dicom.request import Checked, StoreRequest, check_request
from gateway.dicom.scp import StorageScp
from gateway.dicom.services import Service
from gateway.dicom.status import STORED, Failure, StoreAnswer, answer_for
from storage.records import Device, Grouping, Incoming, Institution
from tests.gateway.dicom.collecting import CollectingLane
from tests.requestor import associate

WAIT_S = 20.0
"""No test waits this long unless something is broken."""
CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"

INSTITUTION = Institution(
    id=1, name="North", account_id=1, called_ae_title=None, created_at=0, closed_at=None
)
DEVICE = Device(
    id=1,
    ae_title="CT1",
    institution_id=1,
    networks=(),
    grouping=Grouping.STUDY,
    private_sop_classes=(),
    tolerates_leading_zeros=False,
    created_at=0,
    closed_at=None,
)
ACCEPTED = Accepted(institution=INSTITUTION, device=DEVICE)
REGISTRY = Registry(institutions=(INSTITUTION,), devices=(DEVICE,))


def encoded(data_set: Dataset, transfer_syntax_uid: str = EXPLICIT_LITTLE) -> bytes:
    """Encode without preamble and file meta."""
    buffer = DicomBytesIO()
    buffer.is_little_endian = transfer_syntax_uid != EXPLICIT_BIG
    buffer.is_implicit_VR = transfer_syntax_uid == IMPLICIT_LITTLE
    write_dataset(buffer, data_set)
    return buffer.getvalue()


def ct_image(**changes: Any) -> Dataset:
    """A small CT image by keyword; None leaves an element out."""
    elements = {
        "SOPClassUID": CT_IMAGE_STORAGE,
        "SOPInstanceUID": "1.2.3.4",
        "StudyDate": "20260102",
        "AccessionNumber": "A1",
        "Modality": "CT",
        "PatientName": "Doe^Jane",
        "PatientID": "P1",
        "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": "1.2.3.1",
    } | changes
    data_set = Dataset()
    for keyword, value in elements.items():
        if value is not None:
            setattr(data_set, keyword, value)
    return data_set


def sendable(**changes: Any) -> Dataset:
    """A small CT image that pynetdicom's requestor can send."""
    data_set = ct_image(**changes)
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.MediaStorageSOPClassUID = UID(data_set.SOPClassUID)
    data_set.file_meta.TransferSyntaxUID = UID(EXPLICIT_LITTLE)
    return data_set


def store_request(data_set: bytes, /, **changes: Any) -> StoreRequest:
    """A request that fits `ct_image()`."""
    request = StoreRequest(
        message_id=1,
        affected_sop_class_uid=CT_IMAGE_STORAGE,
        affected_sop_instance_uid="1.2.3.4",
        context_sop_class_uid=CT_IMAGE_STORAGE,
        transfer_syntax_uid=EXPLICIT_LITTLE,
        data_set=memoryview(data_set),
    )
    return replace(request, **changes)


@dataclass
class Recorder:
    """A store in memory: checks as the real one does, keeps what it got, answers as told."""

    answer: Callable[[Incoming], StoreAnswer] = lambda _: STORED
    stored: list[tuple[Incoming, bytes]] = field(default_factory=list)
    asked: list[tuple[StoreRequest, bytes]] = field(default_factory=list)

    def handle(self, accepted: Accepted, request: StoreRequest) -> StoreAnswer:
        """Keep the data set if the request is in order and the answer is 0x0000."""
        data_set = bytes(request.data_set)
        self.asked.append((request, data_set))
        checked = check_request(request, accepted=accepted)
        if isinstance(checked, Failure):
            return answer_for(checked)
        assert isinstance(checked, Checked)
        answer = self.answer(checked.incoming)
        if answer == STORED:
            self.stored.append((checked.incoming, data_set))
        return answer


class Observations:
    """An observer that keeps what it is told, to be waited for."""

    def __init__(self) -> None:
        self.told: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.failures: list[Exception] = []

    def association_accepted(self, accepted: Accepted) -> None:
        """Keep it."""
        self.told.put(("accepted", accepted))

    def association_rejected(
        self, rejection: Rejection, *, called_ae_title: str, calling_ae_title: str, source: str
    ) -> None:
        """Keep it."""
        self.told.put(("rejected", (rejection, called_ae_title, calling_ae_title, source)))

    def association_ended(self, accepted: Accepted, *, released: bool) -> None:
        """Keep it."""
        self.told.put(("released" if released else "aborted", accepted))

    def store_rejected(self, accepted: Accepted, failure: Failure) -> None:
        """Keep it."""
        self.told.put(("refused", failure))

    def association_violated(self, accepted: Accepted | None, violation: Any) -> None:
        """Keep it."""
        self.told.put(("violated", violation))

    def store_answered(
        self, accepted: Accepted, answer: StoreAnswer, *, size_bytes: int, seconds: float
    ) -> None:
        """Keep it."""
        assert seconds >= 0
        self.told.put(("answered", (answer, size_bytes)))

    def acceptor_failed(self, error: Exception) -> None:
        """Keep it."""
        self.failures.append(error)
        self.told.put(("failed", error))

    def wait_for(self, event: str) -> Any:
        """What was told with the next `event`; other events before it are dropped."""
        while True:
            name, value = self.told.get(timeout=WAIT_S)
            if name == event:
                return value


@dataclass
class Gate:
    """A running acceptor, its store and what it tells."""

    scp: StorageScp
    store: Recorder
    observed: Observations

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        return self.scp.port

    def associate(
        self,
        *contexts: tuple[str, list[str]],
        calling: str = "CT1",
        called: str = "TOLLGATE",
        maximum_pdu_size: int = 16_384,
    ) -> Association:
        """Ask for an association with pynetdicom; CT in explicit little endian by default."""
        entity = ApplicationEntity(calling)
        entity.maximum_pdu_size = maximum_pdu_size
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = WAIT_S
        for sop_class, syntaxes in contexts or ((CT_IMAGE_STORAGE, [EXPLICIT_LITTLE]),):
            entity.add_requested_context(sop_class, syntaxes)
        return associate(entity, "127.0.0.1", self.port, ae_title=called)


@contextmanager
def open_gate(
    *,
    registry: Callable[[], Registry] = lambda: REGISTRY,
    store: Any = None,
    admits_associations: Callable[[], Rejection | None] = lambda: None,
    services: tuple[Service, ...] = (),
    **settings: Any,
) -> Iterator[Gate]:
    """Run an acceptor on a free port of 127.0.0.1 and end it, with all associations."""
    observed = Observations()
    handler = store or Recorder()
    scp = StorageScp(
        settings=DicomSettings(**settings),
        registry=registry,
        lane=CollectingLane(handler),
        observer=observed,
        admits_associations=admits_associations,
        services=services,
    )
    scp.start("127.0.0.1", 0)
    try:
        yield Gate(scp=scp, store=handler, observed=observed)
    finally:
        scp.stop_listening()
        scp.drain(0)


@dataclass
class Held(Recorder):
    """A store that begins and does not end before it is told to."""

    entered: threading.Event = field(default_factory=threading.Event)
    may_end: threading.Event = field(default_factory=threading.Event)

    def handle(self, accepted: Accepted, request: StoreRequest) -> StoreAnswer:
        """Wait within the store."""
        self.entered.set()
        assert self.may_end.wait(WAIT_S)
        return super().handle(accepted, request)
