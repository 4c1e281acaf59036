"""A hospital that sends: registered, with a device, an archive, and the receiver's steps."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from quota.account import Account
from quota.admission import RefusalReason, Refused
from quota.service import Admitted
from quota.time import Instant
from storage import refusals, registry, reports
from storage.admitting import Admission, Asked, Overtaken, Pinned, admit
from storage.archive import LocalArchive
from storage.filing import Filed, Filing, Same, SetAside, file_batch
from storage.ledger import SqlLedger
from storage.placing import Arrival, place
from storage.records import Device, Grouping, Incoming, Institution, StudyDescription
from storage.refusals import RefusedInstance
from storage.reports import ExaminationDetail, ExaminationRow, RefusalRow

QUIET = 60_000_000
"""The quiet period of these tests, in µs."""
EXPLICIT = "1.2.840.10008.1.2.1"
JPEG = "1.2.840.10008.1.2.4.50"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"

Outcome: TypeAlias = Filing | Refused | Overtaken


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One instance as a device sends it; the key is what the gateway makes of KEY-2."""

    sop: str
    study: str = "1.2.3"
    key: str = ""
    patient: bytes = b"P-1"
    content: bytes = b"pixels"
    syntax: str = EXPLICIT

    def incoming(self, device: Device) -> Incoming:
        """As it stands at the gateway's door."""
        return Incoming(
            institution_id=device.institution_id,
            device_id=device.id,
            calling_ae_title=device.ae_title,
            examination_key=self.key or f"study:{self.study}",
            study_instance_uid=self.study,
            series_instance_uid=f"{self.study}.1",
            sop_class_uid=CT_IMAGE,
            sop_instance_uid=self.sop,
            transfer_syntax_uid=self.syntax,
            patient_id_raw=self.patient,
            description=StudyDescription(
                accession="A-1",
                patient_id=self.patient.decode("latin-1"),
                patient_name="",
                modality="CT",
                study_date="20250310",
                study_description="",
            ),
        )

    @property
    def sha256(self) -> str:
        """Of transfer syntax and content, as the gateway has it."""
        return hashlib.sha256(self.syntax.encode() + b"\0" + self.content).hexdigest()


class Site:
    """An institution with one device, its account, and where its objects go."""

    def __init__(
        self, ledger: SqlLedger, account: Account, folder: Path, *, name: str = "North Hospital"
    ) -> None:
        self.ledger = ledger
        self.account = account
        self.archive = LocalArchive(folder)
        with ledger.begin() as work:
            self.institution: Institution = registry.add_institution(
                work, name=name, account_id=account.id, called_ae_title=None
            )
            work.commit()
        self.device = self.add_device("CT-1")
        self._examinations = 0
        self._contents: dict[str, bytes] = {}

    def add_device(self, ae_title: str, grouping: Grouping = Grouping.STUDY) -> Device:
        """Register a device; its networks are the institution's own."""
        with self.ledger.begin() as work:
            device = registry.add_device(
                work,
                ae_title=ae_title,
                institution_id=self.institution.id,
                networks=[f"10.{self.institution.id}.0.0/16"],
                grouping=grouping,
                private_sop_classes=(),
                tolerates_leading_zeros=False,
            )
            work.commit()
        return device

    def admit(self, instance: Instance, device: Device | None = None) -> Admission:
        """Pin the instance's examination, admitting it if it is new; commit where it says so."""
        incoming = instance.incoming(device or self.device)
        proposed = f"examination-{self.institution.id}-{self._examinations + 1}"
        with self.ledger.begin() as work:
            admission = admit(work, Asked(incoming=incoming, proposed_id=proposed))
            if isinstance(admission, Pinned):
                work.commit()
                self._examinations += admission.examination_id == proposed
        return admission

    def arrival(self, instance: Instance, pinned: Pinned, device: Device | None = None) -> Arrival:
        """What the spool holds of an acknowledged instance; its object is nowhere yet."""
        self._contents[instance.sha256] = instance.content
        return Arrival(
            incoming=instance.incoming(device or self.device),
            examination_id=pinned.examination_id,
            generation=pinned.generation,
            received_at=self.now(),
            sha256=instance.sha256,
            size_bytes=len(instance.content),
        )

    def unseen(self, instance: Instance, device: Device | None = None) -> Arrival:
        """An instance that was let in while the ledger could not be asked."""
        self._examinations += 1
        proposed = f"unseen-{self.institution.id}-{self._examinations}"
        pinned = Pinned(examination_id=proposed, generation=0, admission=None, by_study=True)
        return replace(self.arrival(instance, pinned, device), provisional=True)

    def put(self, *arrivals: Arrival) -> list[Arrival]:
        """Put the objects of a batch where they belong, as the filer does."""
        with self.ledger.read() as view:
            keys = place(view, arrivals)
        placed = []
        for arrival, key in zip(arrivals, keys, strict=True):
            fingerprint = None
            if key is not None:
                put = self.archive.put(key, (self._contents[arrival.sha256],))
                fingerprint = put.fingerprint
            placed.append(replace(arrival, object_key=key, fingerprint=fingerprint))
        return placed

    def ready(self, instance: Instance, device: Device | None = None) -> Arrival:
        """Admitted, acknowledged, and put: all but filed."""
        pinned = self.admit(instance, device)
        assert isinstance(pinned, Pinned)
        return self.put(self.arrival(instance, pinned, device))[0]

    def file(self, *arrivals: Arrival) -> list[Filing]:
        """File a batch that was put; commit where it says so."""
        with self.ledger.begin() as work:
            outcome = file_batch(work, arrivals, quiet_period=QUIET)
            assert not isinstance(outcome, Overtaken)
            work.commit()
        return outcome

    def send(self, instance: Instance, device: Device | None = None) -> Outcome:
        """Admit, put, file, one by one; `admission` says whether this admitted the examination."""
        pinned = self.admit(instance, device)
        if not isinstance(pinned, Pinned):
            return pinned
        (outcome,) = self.file(*self.put(self.arrival(instance, pinned, device)))
        if isinstance(outcome, Filed) and pinned.admission is not None:
            return replace(outcome, admission=pinned.admission)
        return outcome

    def now(self) -> Instant:
        """The ledger's clock."""
        with self.ledger.read() as view:
            return view.clock()

    def send_all(self, *instances: Instance) -> list[Outcome]:
        """One after the other."""
        return [self.send(instance) for instance in instances]

    def register(
        self,
        *instances: Instance,
        at: Instant,
        reason: RefusalReason = RefusalReason.GRACE_OVER,
    ) -> None:
        """Write a batch of refusals into the register."""
        batch = [
            RefusedInstance(incoming=instance.incoming(self.device), reason=reason, at=at)
            for instance in instances
        ]
        with self.ledger.begin() as work:
            refusals.register(work, batch)
            work.commit()

    def examinations(self) -> Sequence[ExaminationRow]:
        """What the report shows, the newest first."""
        with self.ledger.read() as view:
            return reports.examinations(view, institution_id=self.institution.id, limit=1_000)

    def examination(self, name: str) -> ExaminationDetail:
        """One examination with what belongs to it."""
        with self.ledger.read() as view:
            found = reports.examination(view, name)
        assert found is not None
        return found

    def refusals(self, *, open_only: bool = False) -> Sequence[RefusalRow]:
        """The register of refusals, the newest first."""
        with self.ledger.read() as view:
            return reports.refusals(
                view, institution_id=self.institution.id, open_only=open_only, limit=1_000
            )


def admitted(outcome: Outcome) -> Admitted:
    """The admission of an examination's first instance."""
    assert isinstance(outcome, Filed)
    assert outcome.admission is not None
    return outcome.admission


def examination_of(outcome: Outcome) -> str:
    """The examination an instance went to."""
    assert isinstance(outcome, Filed | SetAside | Same)
    return outcome.examination_id


def numbered(count: int, *, study: str = "1.2.3") -> list[Instance]:
    """So many instances of one study."""
    template = Instance(sop="", study=study)
    return [
        replace(template, sop=f"{study}.9.{n}", content=f"{study} {n}".encode())
        for n in range(count)
    ]
