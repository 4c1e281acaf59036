"""What the acceptor needs, and whom it tells."""

from __future__ import annotations

from typing import Protocol

from gateway.dicom.access import Accepted, Rejection
from gateway.dicom.message import Violation
from gateway.dicom.request import StoreRequest
from gateway.dicom.status import StoreAnswer


class StoreHandler(Protocol):
    """Stores one instance, from the checks to the answer."""

    def handle(self, accepted: Accepted, request: StoreRequest) -> StoreAnswer:
        """Store `request` for `accepted`; called from many threads.

        Whatever it raises is answered with `Failure.INTERNAL`.
        """


class ScpObserver(Protocol):
    """What the acceptor tells: past-tense facts without patient data. Called from many threads.

    AE titles are as sent, and may hold any bytes as Latin-1 characters.
    """

    def association_accepted(self, accepted: Accepted) -> None:
        """A known requestor was let in; `association_ended` will follow."""

    def association_rejected(
        self, rejection: Rejection, *, called_ae_title: str, calling_ae_title: str, source: str
    ) -> None:
        """An A-ASSOCIATE-RJ was sent to the address `source`."""

    def association_ended(self, accepted: Accepted, *, released: bool) -> None:
        """An accepted association was released, or else aborted by either side or lost."""

    def association_violated(self, accepted: Accepted | None, violation: Violation) -> None:
        """A requestor broke the protocol and is being aborted; its end is told as well."""

    def store_answered(
        self, accepted: Accepted, answer: StoreAnswer, *, size_bytes: int, seconds: float
    ) -> None:
        """A C-STORE was answered, `seconds` after its data set of `size_bytes` was whole."""

    def acceptor_failed(self, error: Exception) -> None:
        """Something of ours raised; tell its type and place only, its message may quote values."""
