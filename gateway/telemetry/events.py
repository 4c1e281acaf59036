"""What happens in the gateway, told once: each event is one log line and its metrics."""

from __future__ import annotations

import time
from collections.abc import Sequence

from gateway.admissions import Pin
from gateway.dicom.access import Accepted, Rejection
from gateway.dicom.status import Failure, StoreAnswer
from gateway.dicom.violation import Violation
from gateway.telemetry.durations import Durations
from gateway.telemetry.log import get_logger, where
from gateway.telemetry.metrics import Metrics
from quota.admission import Refused
from quota.notice import Notice
from quota.order import Order
from quota.service import Admitted
from quota.time import MICROSECONDS_PER_SECOND, Instant
from storage.archive.checking import Verdict
from storage.conflicts import Expired
from storage.errors import StorageError
from storage.filing import Discarded, Filed, Filing, Same, SetAside
from storage.placing import Arrival
from storage.records import Incoming
from storage.spool import Spool
from storage.verify import Report


class Events:
    """The gateway's observer: past-tense facts with ids, no patient data."""

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics
        self._stored = metrics.stores.labels(outcome="stored")
        self._durations = Durations(metrics.store_duration)
        self._dicom = get_logger("dicom")
        self._keeper = get_logger("keeper")

    # -- stores ------------------------------------------------------------------------------------

    def spools_looked_at(self, spools: Sequence[Spool], *, now: Instant) -> None:
        """How full this worker's spools are; asked every second, and whenever records have left."""
        self._durations.write()
        usages = [spool.usage() for spool in spools]
        through = min((spool.filed_through(now) for spool in spools), default=now)
        metrics = self.metrics
        metrics.spool_records.set(sum(usage.records for usage in usages))
        metrics.spool_bytes.set(sum(usage.bytes for usage in usages))
        metrics.spool_limit.set(sum(usage.limit_bytes for usage in usages))
        metrics.spool_age.set((now - through) / MICROSECONDS_PER_SECOND)
        metrics.spool_damages.set(sum(len(spool.damages()) for spool in spools))

    def instance_spooled(self, incoming: Incoming, pin: Pin, *, size_bytes: int) -> None:
        """An instance is durable, and will be acknowledged."""
        self._stored.inc()
        self.metrics.spool_records.inc()
        self._dicom.debug(
            "instance_spooled",
            device_id=incoming.device_id,
            examination_id=pin.examination_id,
            bytes=size_bytes,
        )

    def record_filed(self, arrival: Arrival, filing: Filing, *, lag_s: float) -> None:
        """An acknowledged instance left the spool."""
        incoming = arrival.incoming
        self.metrics.filing_lag.observe(lag_s)
        ids = {"device_id": incoming.device_id, "examination_id": filing.examination_id}
        match filing:
            case Filed():
                self.metrics.filings.labels(outcome="filed").inc()
                self.metrics.stored_bytes.inc(filing.size_bytes)
                if filing.admission is not None:
                    self.examination_admitted(incoming, filing.admission)
                self._dicom.debug("instance_filed", bytes=filing.size_bytes, **ids)
            case Same():
                self.metrics.filings.labels(outcome="duplicate").inc()
                self._dicom.debug("instance_repeated", **ids)
            case SetAside():
                self.metrics.filings.labels(outcome="conflict").inc()
                self._dicom.warning(
                    "instance_set_aside", institution_id=incoming.institution_id, **ids
                )
            case Discarded():
                self.metrics.filings.labels(outcome="discarded").inc()
                self._dicom.warning("record_discarded", **ids)

    def filing_failed(self, error: Exception) -> None:
        """A batch could not be filed; it stays in the spool and is tried again."""
        self.metrics.filing_failures.inc()
        self._dicom.error("filing_failed", error=type(error).__name__, where=where(error))

    def examination_admitted(self, incoming: Incoming, admitted: Admitted) -> None:
        """A new examination was admitted and, by the plan, charged."""
        charge = "none" if admitted.charge is None else admitted.charge.state
        self.metrics.admitted.labels(charge=charge).inc()
        self._dicom.info(
            "examination_admitted",
            institution_id=incoming.institution_id,
            device_id=incoming.device_id,
            examination_id=admitted.examination_id,
            charge=charge,
        )

    def examination_let_in(self, incoming: Incoming, pin: Pin) -> None:
        """A new examination entered without the ledger; filing charges it."""
        self.metrics.let_in.inc()
        self._dicom.warning(
            "examination_let_in",
            institution_id=incoming.institution_id,
            device_id=incoming.device_id,
            examination_id=pin.examination_id,
        )

    def store_refused(self, incoming: Incoming, refused: Refused) -> None:
        """The quota refused a new examination's instance."""
        self.metrics.stores.labels(outcome="refused").inc()
        self.metrics.refusals.labels(reason=refused.reason).inc()
        self._dicom.info(
            "store_refused",
            institution_id=incoming.institution_id,
            device_id=incoming.device_id,
            reason=refused.reason,
        )

    def store_rejected(self, accepted: Accepted, failure: Failure) -> None:
        """What was sent can't be stored by anybody."""
        self.metrics.stores.labels(outcome="invalid").inc()
        self._dicom.warning("store_rejected", device_id=accepted.device.id, reason=failure)

    def store_failed(self, accepted: Accepted, failure: Failure, error: StorageError) -> None:
        """We could not store it, and said so."""
        self.metrics.stores.labels(outcome="failed").inc()
        self._dicom.error(
            "store_failed",
            device_id=accepted.device.id,
            reason=failure,
            error=type(error).__name__,
            where=where(error),
        )

    # -- associations ------------------------------------------------------------------------------

    def association_accepted(self, accepted: Accepted) -> None:
        """A known requestor was let in."""
        self.metrics.associations.labels(outcome="accepted").inc()
        self.metrics.associations_open.inc()
        self._dicom.info("association_accepted", **_ids(accepted))

    def association_rejected(
        self, rejection: Rejection, *, called_ae_title: str, calling_ae_title: str, source: str
    ) -> None:
        """An A-ASSOCIATE-RJ was sent."""
        self.metrics.associations.labels(outcome="rejected").inc()
        self._dicom.warning(
            "association_rejected",
            reason=rejection.label,
            called_ae_title=printable(called_ae_title),
            calling_ae_title=printable(calling_ae_title),
            source=source,
        )

    def association_ended(self, accepted: Accepted, *, released: bool) -> None:
        """An accepted association was released, or else aborted by either side or lost."""
        self._durations.write()
        outcome = "released" if released else "aborted"
        self.metrics.associations.labels(outcome=outcome).inc()
        self.metrics.associations_open.dec()
        self._dicom.info("association_ended", outcome=outcome, **_ids(accepted))

    def association_violated(self, accepted: Accepted | None, violation: Violation) -> None:
        """A requestor broke the protocol and is being aborted."""
        ids = {} if accepted is None else _ids(accepted)
        self._dicom.warning("association_violated", reason=violation, **ids)

    def store_answered(
        self, accepted: Accepted, answer: StoreAnswer, *, size_bytes: int, seconds: float
    ) -> None:
        """A C-STORE was answered, `seconds` after its data set was whole."""
        self._durations.note(seconds)
        self._dicom.debug(
            "store_answered",
            status=f"0x{answer.status:04X}",
            bytes=size_bytes,
            duration_s=seconds,
            **_ids(accepted),
        )
        if answer.outcome is Failure.INTERNAL:
            self.metrics.stores.labels(outcome="failed").inc()

    def acceptor_failed(self, error: Exception) -> None:
        """Something of ours raised where nobody foresaw it."""
        self._dicom.error("acceptor_failed", error=type(error).__name__, where=where(error))

    # -- keeper ------------------------------------------------------------------------------------

    def objects_swept(self, count: int) -> None:
        """Objects that a killed process left unfiled were removed."""
        self._keeper.warning("objects_swept", count=count)

    def object_damaged(self, verdict: Verdict) -> None:
        """An object is missing or not what was put."""
        self._keeper.critical(
            "object_damaged", examination_id=verdict.expected.examination_id, kind=verdict.damage
        )

    def never_stored_reversed(self, examination_id: str) -> None:
        """A charge was taken back: no instance of its examination was ever stored."""
        self._keeper.warning("never_stored_reversed", examination_id=examination_id)

    def conflict_expired(self, expired: Expired) -> None:
        """An instance that was set aside was removed undecided, for age or for room."""
        self._keeper.warning(
            "conflict_expired",
            examination_id=expired.examination_id,
            bytes=expired.bytes,
            reason=expired.reason,
        )

    def order_credited(self, order: Order) -> None:
        """A paid order became packages."""
        self._keeper.info("order_credited", account_id=order.account_id, order_number=order.number)

    def notice_raised(self, notice: Notice) -> None:
        """Somebody is to be told: the log's reader, until there are other channels."""
        self.metrics.notices.labels(kind=notice.kind).inc()
        self._keeper.info(
            "notice_raised", account_id=notice.account_id, kind=notice.kind, meter=notice.meter
        )

    def examination_completed(self, examination_id: str) -> None:
        """An examination's quiet period is over."""
        self.metrics.completed.inc()
        self._keeper.info("examination_completed", examination_id=examination_id)

    def ledger_verified(self, report: Report) -> None:
        """The daily verification ran."""
        violations = len(report.violations)
        self.metrics.ledger_verified(violations=violations, at_s=time.time())
        log = self._keeper.info if report.ok else self._keeper.critical
        log("ledger_verified", violations=violations)

    def keeper_failed(self, error: Exception) -> None:
        """A round of the keeper failed; the next one tries again."""
        self._keeper.error("keeper_failed", error=type(error).__name__, where=where(error))

    def register_failed(self, error: Exception) -> None:
        """Refusals could not be written into the register; they are kept and tried again."""
        self._keeper.error(
            "refusals_not_registered", error=type(error).__name__, where=where(error)
        )


def printable(text: str) -> str:
    """An AE title from the wire, with everything but printable ASCII replaced."""
    return "".join(character if " " <= character <= "~" else "?" for character in text)


def _ids(accepted: Accepted) -> dict[str, int]:
    return {"institution_id": accepted.institution.id, "device_id": accepted.device.id}
