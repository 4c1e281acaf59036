"""One C-STORE, top to bottom: check, receive, observe, answer."""

from __future__ import annotations

from typing import Protocol

from gateway.dicom.access import Accepted
from gateway.dicom.request import StoreRequest, check_request
from gateway.dicom.status import STORED, Failure, StoreAnswer, answer_for
from gateway.receiver import Receipt, Receiver
from quota.admission import Refused
from quota.service import Admitted
from storage.errors import (
    ArchiveFull,
    ArchiveSick,
    ArchiveUnavailable,
    LedgerUnavailable,
    StorageError,
)
from storage.examinations import Same
from storage.filing import Filed, SetAside
from storage.records import Incoming

_FAILURE_OF: tuple[tuple[type[StorageError], Failure], ...] = (
    (ArchiveFull, Failure.DISK_FULL),
    (ArchiveSick, Failure.SYNC_FAILED),
    (ArchiveUnavailable, Failure.ARCHIVE_UNAVAILABLE),
    (LedgerUnavailable, Failure.LEDGER_UNAVAILABLE),
)


class StoreObserver(Protocol):
    """What the store handler tells: past-tense facts with ids."""

    def instance_stored(self, incoming: Incoming, filed: Filed) -> None:
        """An instance is durable and on record."""

    def instance_repeated(self, incoming: Incoming, same: Same) -> None:
        """The instance was on record already."""

    def instance_set_aside(self, incoming: Incoming, set_aside: SetAside) -> None:
        """Another content under a known UID went to quarantine."""

    def examination_admitted(self, incoming: Incoming, admitted: Admitted) -> None:
        """A new examination was admitted and, by the plan, charged."""

    def store_refused(self, incoming: Incoming, refused: Refused) -> None:
        """The quota refused a new examination's instance."""

    def store_rejected(self, accepted: Accepted, failure: Failure) -> None:
        """What was sent can't be stored by anybody."""

    def store_failed(self, incoming: Incoming, failure: Failure, error: StorageError) -> None:
        """We could not store it."""


class StoreHandler:
    """Answers C-STORE requests. Safe to call from many threads."""

    def __init__(self, receiver: Receiver, observer: StoreObserver) -> None:
        self._receiver = receiver
        self._observer = observer

    def handle(self, accepted: Accepted, request: StoreRequest) -> StoreAnswer:
        """Store one instance or say why not. 0x0000 only when it and its charge are durable."""
        checked = check_request(request, accepted=accepted)
        if isinstance(checked, Failure):
            self._observer.store_rejected(accepted, checked)
            return answer_for(checked)
        incoming = checked.incoming
        try:
            receipt = self._receiver.receive(incoming, request.data_set)
        except StorageError as error:
            failure = _failure_of(error)
            self._observer.store_failed(incoming, failure, error)
            return answer_for(failure)
        return self._answer(incoming, receipt)

    def _answer(self, incoming: Incoming, receipt: Receipt) -> StoreAnswer:
        match receipt:
            case Refused():
                self._observer.store_refused(incoming, receipt)
                return answer_for(receipt.reason)
            case Same():
                self._observer.instance_repeated(incoming, receipt)
            case SetAside():
                self._observer.instance_set_aside(incoming, receipt)
            case Filed():
                if receipt.admission is not None:
                    self._observer.examination_admitted(incoming, receipt.admission)
                self._observer.instance_stored(incoming, receipt)
        return STORED


def _failure_of(error: StorageError) -> Failure:
    for kind, failure in _FAILURE_OF:
        if isinstance(error, kind):
            return failure
    raise error  # the acceptor answers what nobody foresaw with an internal failure
