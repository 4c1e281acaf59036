"""What the acceptor needs, and whom it tells."""

from __future__ import annotations

from typing import Protocol

from gateway.dicom.access import Accepted, Rejection
from gateway.dicom.request import StoreCommand
from gateway.dicom.status import Failure, StoreAnswer
from gateway.dicom.violation import Violation


class Receiving(Protocol):
    """One instance on its way in. Ends with exactly one of `finish` and `abort`."""

    def write(self, chunk: memoryview) -> None:
        """Take the next bytes of the data set, at least one; valid only during this call.

        What a lane can not store after all (disk full) it swallows, and says so in `finish`:
        the data set comes to its end in any case.
        """

    def finish(self) -> StoreAnswer:
        """The data set is whole as the wire has it: check, store and answer.

        0x0000 only if instance and charge are durable.
        """

    def abort(self) -> None:
        """Forget it: the peer hung up or broke the protocol, or the data set is too large."""


class StoreLane(Protocol):
    """Stores instances as they arrive.

    All calls for one association come from one thread, its own, and no other association's do. One
    instance at a time. Whatever `begin`, `write` or `finish` raises is answered with
    `Failure.INTERNAL`, and `abort` is called unless `finish` was.
    """

    def begin(self, accepted: Accepted, command: StoreCommand) -> Receiving:
        """The first bytes of a data set are here; `command` has been checked (`check_command`)."""

    def association_ended(self, accepted: Accepted) -> None:
        """No more comes from this thread."""


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

    def store_rejected(self, accepted: Accepted, failure: Failure) -> None:
        """A request was refused for what its command or size says; the lane never saw it."""

    def store_answered(
        self, accepted: Accepted, answer: StoreAnswer, *, size_bytes: int, seconds: float
    ) -> None:
        """A C-STORE was answered, `seconds` after its data set of `size_bytes` was whole."""

    def acceptor_failed(self, error: Exception) -> None:
        """Something of ours raised; tell its type and place only, its message may quote values."""


class Place(Protocol):
    """Where an open association is counted; its own thread uses it."""

    def stored(self, size_bytes: int) -> None:
        """One more instance, of `size_bytes` as sent, was answered with success."""

    def leave(self) -> None:
        """The association has ended."""


class Places(Protocol):
    """How many associations may be open. Safe to use from many threads."""

    def take(self, accepted: Accepted, *, called_ae_title: str, source: str) -> Place | None:
        """A place for one more association from the address `source`; None where there is none."""
