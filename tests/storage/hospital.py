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
from storage.archive import LocalArchive
from storage.examinations import Different, Known, New, Same, resolve
from storage.filing import Arrival, Filed, Overtaken, SetAside, file
from storage.ledger import SqlLedger
from storage.records import Device, Grouping, Incoming, Institution, StudyDescription
from storage.refusals import RefusedInstance
from storage.reports import ExaminationDetail, ExaminationRow, RefusalRow

QUIET = 60_000_000
"""The quiet period of these tests, in µs."""
EXPLICIT = "1.2.840.10008.1.2.1"
JPEG = "1.2.840.10008.1.2.4.50"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"

Outcome: TypeAlias = Filed | SetAside | Same | Refused | Overtaken


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

    def arrival(self, instance: Instance, device: Device | None = None) -> Arrival:
        """Resolve an instance in a snapshot and put its object where it belongs."""
        incoming = instance.incoming(device or self.device)
        with self.ledger.read() as view:
            found = resolve(view, incoming, sha256=instance.sha256)
        generation = 0
        if isinstance(found, New):
            self._examinations += 1
            examination_id = f"examination-{self.institution.id}-{self._examinations}"
        else:
            examination_id = found.examination_id
        if isinstance(found, Known | Different):
            generation = found.generation
        quarantined = isinstance(found, Different)
        folder = (
            f"quarantine/{examination_id}/{generation}"
            if quarantined
            else f"objects/{examination_id}/{generation}"
        )
        key = f"{folder}/{instance.sha256}.dcm"
        put = self.archive.put(key, (instance.content,))
        return Arrival(
            incoming=incoming,
            examination_id=examination_id,
            quarantined=quarantined,
            object_key=key,
            sha256=instance.sha256,
            size_bytes=put.size_bytes,
            fingerprint=put.fingerprint,
            generation=generation,
        )

    def file(self, arrival: Arrival) -> Outcome:
        """File one arrival; commit where it says so, discard the object where it was refused."""
        with self.ledger.begin() as work:
            outcome = file(work, arrival, quiet_period=QUIET)
            if isinstance(outcome, Filed | SetAside):
                work.commit()
        if isinstance(outcome, Refused | Overtaken):
            self.archive.discard([arrival.object_key])
        return outcome

    def send(self, instance: Instance, device: Device | None = None) -> Outcome:
        """Resolve, put, file."""
        return self.file(self.arrival(instance, device))

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
