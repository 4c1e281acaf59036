"""The store lane: one instance from its first bytes to the spool, and the answer.

Order, always: data set whole and checked → its examination pinned → record header and one
fdatasync → 0x0000. Everything else happens behind the answer (`gateway/filing.py`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from gateway.admissions import Admissions, Pin
from gateway.dicom import part10
from gateway.dicom.access import Accepted
from gateway.dicom.header import Identity, identify
from gateway.dicom.request import StoreCommand, check_identity
from gateway.dicom.scan import Scanner
from gateway.dicom.status import STORED, Failure, StoreAnswer, answer_for
from gateway.dicom.structure import Malformed
from quota.admission import Refused
from quota.service import Admitted
from quota.time import Clock
from storage.errors import LedgerUnavailable, StorageError
from storage.records import Incoming
from storage.refusals import RefusedInstance
from storage.spool import (
    HeaderTooLarge,
    Lease,
    Reception,
    RecordHeader,
    RecordRef,
    Spool,
    SpoolFull,
    SpoolSick,
)

_FAILURE_OF: tuple[tuple[type[StorageError], Failure], ...] = (
    (SpoolFull, Failure.DISK_FULL),
    (SpoolSick, Failure.SYNC_FAILED),
    (LedgerUnavailable, Failure.LEDGER_UNAVAILABLE),
    (HeaderTooLarge, Failure.MALFORMED),
)


class IntakeObserver(Protocol):
    """What the intake tells: past-tense facts with ids. Called from many threads."""

    def instance_spooled(self, incoming: Incoming, pin: Pin, *, size_bytes: int) -> None:
        """An instance is durable, and will be acknowledged."""

    def examination_admitted(self, incoming: Incoming, admitted: Admitted) -> None:
        """A new examination was admitted and, by the plan, charged."""

    def examination_let_in(self, incoming: Incoming, pin: Pin) -> None:
        """A new examination entered without the ledger; filing charges it."""

    def store_refused(self, incoming: Incoming, refused: Refused) -> None:
        """The quota refused a new examination's instance."""

    def store_rejected(self, accepted: Accepted, failure: Failure) -> None:
        """What was sent can't be stored by anybody."""

    def store_failed(self, accepted: Accepted, failure: Failure, error: StorageError) -> None:
        """We could not store it."""


class Filing(Protocol):
    """Who knows what has been filed."""

    def wait_filed(self, ref: RecordRef) -> bool:
        """Wait until the record is filed; False if that takes too long."""


class Intake:
    """Implements `gateway.dicom.ports.StoreLane` over one spool."""

    def __init__(
        self,
        *,
        spool: Spool,
        admissions: Admissions,
        observer: IntakeObserver,
        register_refusal: Callable[[RefusedInstance], None],
        clock: Clock,
        sick: Callable[[], bool] = lambda: False,
        wait_for: Filing | None = None,
    ) -> None:
        """`sick`: whether any sync of this process has failed, the filer's included.

        `wait_for`: answer only when an instance is filed as well (`ack = "archive"`).
        """
        self.spool = spool
        self.admissions = admissions
        self.observer = observer
        self.register_refusal = register_refusal
        self.clock = clock
        self.sick = sick
        self.wait_for = wait_for
        self._of_thread = threading.local()

    def begin(self, accepted: Accepted, command: StoreCommand) -> Instance:
        """The first bytes of a data set are here: lease a segment, if need be, and write."""
        instance = Instance(self, accepted, command)
        try:
            instance.open(self._lease())
        except StorageError as error:
            instance.fail(error)
        return instance

    def association_ended(self, accepted: Accepted) -> None:  # noqa: ARG002 - the port's
        """Give the association's segment back."""
        lease, self._of_thread.lease = self._leased(), None
        if lease is not None:
            lease.end()

    def _leased(self) -> Lease | None:
        lease: Lease | None = getattr(self._of_thread, "lease", None)
        return lease

    def _lease(self) -> Lease:
        """This association's segment: all its calls come from its own thread."""
        lease = self._leased()
        if lease is None:
            lease = self._of_thread.lease = self.spool.lease()
        return lease


class Instance:
    """One instance on its way in; implements `gateway.dicom.ports.Receiving`."""

    def __init__(self, intake: Intake, accepted: Accepted, command: StoreCommand) -> None:
        self._intake = intake
        self._accepted = accepted
        self._command = command
        self._scanner = Scanner(command.transfer_syntax_uid)
        self._reception: Reception | None = None
        self._failure: StorageError | None = None
        self._data_set_offset = 0

    def open(self, lease: Lease) -> None:
        """Begin a record with the Part 10 header. Raises SpoolFull, SpoolSick."""
        reception = lease.begin()
        command = self._command
        header = part10.header(
            sop_class_uid=command.affected_sop_class_uid,
            sop_instance_uid=command.affected_sop_instance_uid,
            transfer_syntax_uid=command.transfer_syntax_uid,
        )
        reception.write(header)
        self._reception, self._data_set_offset = reception, len(header)

    def write(self, chunk: memoryview) -> None:
        """Spool the next bytes and scan them; after a failure they are let go by."""
        if self._reception is None:
            return
        self._scanner.feed(chunk)
        try:
            self._reception.write(chunk)
        except StorageError as error:
            self.fail(error)

    def abort(self) -> None:
        """Forget it; nothing of it counts."""
        if self._reception is not None:
            self._reception.rewind()

    def fail(self, error: StorageError) -> None:
        """Remember why it can't be stored, until there may be an answer."""
        self.abort()
        self._reception, self._failure = None, error

    def finish(self) -> StoreAnswer:
        """Check, pin, make durable, answer."""
        try:
            return self._finish()
        except StorageError as error:
            failure = _failure_of(error)
            self._intake.observer.store_failed(self._accepted, failure, error)
            self.abort()
            return answer_for(failure)

    def _finish(self) -> StoreAnswer:
        if self._reception is None:
            assert self._failure is not None
            raise self._failure
        incoming = self._check(self._reception)
        if isinstance(incoming, Failure):
            self.abort()
            self._intake.observer.store_rejected(self._accepted, incoming)
            return answer_for(incoming)
        pin = self._intake.admissions.pin(incoming)
        if isinstance(pin, Refused):
            self.abort()
            return self._refuse(incoming, pin)
        if pin.admission is not None:
            self._intake.observer.examination_admitted(incoming, pin.admission)
        if pin.proposed:
            self._intake.observer.examination_let_in(incoming, pin)
        ref = self._commit(self._reception, incoming, pin)
        if self._intake.sick():
            # Whatever it was that failed, nothing more is acknowledged by this process.
            raise SpoolSick
        self._intake.observer.instance_spooled(incoming, pin, size_bytes=self._reception.body_size)
        if self._intake.wait_for is not None and not self._intake.wait_for.wait_filed(ref):
            # The record stays: sent again, it is a duplicate.
            return answer_for(Failure.ARCHIVE_UNAVAILABLE)
        return STORED

    def _check(self, reception: Reception) -> Incoming | Failure:
        identity = self._scanner.finish()
        if not isinstance(identity, Identity | Malformed):
            data_set = reception.mapped()[self._data_set_offset :]
            identity = identify(data_set, self._command.transfer_syntax_uid)
        if isinstance(identity, Malformed):
            return Failure.MALFORMED
        checked = check_identity(self._command, identity, accepted=self._accepted)
        return checked if isinstance(checked, Failure) else checked.incoming

    def _refuse(self, incoming: Incoming, refused: Refused) -> StoreAnswer:
        self._intake.register_refusal(
            RefusedInstance(incoming=incoming, reason=refused.reason, at=refused.at)
        )
        self._intake.observer.store_refused(incoming, refused)
        return answer_for(refused.reason)

    def _commit(self, reception: Reception, incoming: Incoming, pin: Pin) -> RecordRef:
        """One sync: now it may be acknowledged."""
        return reception.commit(
            RecordHeader(
                incoming=incoming,
                examination_id=pin.examination_id,
                generation=pin.generation,
                provisional=pin.provisional,
                received_at=self._intake.clock(),
                data_set_offset=self._data_set_offset,
            )
        )


def _failure_of(error: StorageError) -> Failure:
    for kind, failure in _FAILURE_OF:
        if isinstance(error, kind):
            return failure
    raise error  # the acceptor answers what nobody foresaw with an internal failure
