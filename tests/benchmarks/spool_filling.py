"""Fills spools as a gateway leaves them that was killed: acknowledged, not filed, not sealed.

Through the spool's own interface, in a process for each spool that ends by SIGKILL. It syncs
nothing, so that 50 GB take minutes and not an hour: what a killed process wrote, the kernel keeps.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from multiprocessing.connection import Connection
from pathlib import Path

from pydicom.uid import ExplicitVRLittleEndian

from storage.engine import system_clock
from storage.records import Incoming, StudyDescription
from storage.spool import RecordHeader, Spool
from storage.spool.disk import Disk
from storage.spool.record import PAGE_BYTES, whole_pages
from tests.benchmarks.pattern import (
    Pattern,
    pattern_of,
    sop_instance_uid,
    study_instance_uid,
)
from tests.benchmarks.peers.scenario import CT, MR, Kind

_FILLED_S = 1_800
_MR_A_CT = 16
"""MR instances for each CT instance: about as many bytes of both."""


@dataclass(frozen=True, kw_only=True)
class Admitted:
    """An examination on record, which records may belong to."""

    study: int
    examination_id: str
    key: str
    generation: int
    kind: Kind


@dataclass(frozen=True, kw_only=True)
class Task:
    """What one process does, on leases that stay open."""

    directory: Path
    bytes: int
    """That the records are to take in the spool."""
    leases: int
    first_number: int
    admitted: Sequence[Admitted]


class Unsynced(Disk):
    """Leaves it to the kernel when to write."""

    def sync(self, descriptor: int) -> None:
        """Not now."""

    def sync_file(self, descriptor: int) -> None:
        """Nor this."""


def fill_and_kill(tasks: Sequence[Task]) -> int:
    """Do all tasks at once, and kill the processes at work; returns how many records there are."""
    context = multiprocessing.get_context("spawn")
    running = []
    for task in tasks:
        ours, its = context.Pipe()
        process = context.Process(target=_fill, args=(task, its), daemon=True)
        process.start()
        running.append((process, ours))
    records = 0
    for process, ours in running:
        assert ours.poll(_FILLED_S), "the spools were not filled in time"
        records += int(ours.recv())
        process.kill()
        process.join()
    return records


def _fill(task: Task, told: Connection) -> None:
    """Instances by turns on every lease, half of them MR and half CT, until it is killed."""
    spool = Spool.open(
        task.directory, fill_max_bytes=1 << 62, any_file_system=True, disk=Unsynced()
    )
    leases = [spool.lease() for _ in range(task.leases)]
    patterns = {kind: pattern_of(kind) for kind in (MR, CT)}
    of_kind = {kind: cycle([one for one in task.admitted if one.kind == kind]) for kind in patterns}
    written, records = 0, 0
    while written < task.bytes:
        for number, lease in enumerate(leases):
            kind, count = (CT, 1) if number % 2 else (MR, _MR_A_CT)
            for _ in range(count):
                admitted, pattern = next(of_kind[kind]), patterns[kind]
                head, data_set = pattern.part10(admitted.study, task.first_number + records)
                reception = lease.begin()
                reception.write(head)
                reception.write(data_set)
                header = _header(pattern, admitted, task.first_number + records, len(head))
                reception.commit(header)
                written += whole_pages(PAGE_BYTES + len(head) + len(data_set))
                records += 1
    told.send(records)
    told.recv()


def _header(pattern: Pattern, admitted: Admitted, number: int, offset: int) -> RecordHeader:
    """As the gateway writes it for the only device of its only institution."""
    study = study_instance_uid(admitted.study)
    return RecordHeader(
        incoming=Incoming(
            institution_id=1,
            device_id=1,
            calling_ae_title="CT1",
            examination_key=admitted.key,
            study_instance_uid=study,
            series_instance_uid=f"{study}.1",
            sop_class_uid=pattern.sop_class_uid,
            sop_instance_uid=sop_instance_uid(admitted.study, number),
            transfer_syntax_uid=ExplicitVRLittleEndian,
            patient_id_raw=b"P1",
            description=StudyDescription(
                accession="B1",
                patient_id="P1",
                patient_name="Benchmark^Nobody",
                modality=pattern.modality,
                study_date="20260102",
                study_description="Synthetic 3",
            ),
        ),
        examination_id=admitted.examination_id,
        generation=admitted.generation,
        provisional=False,
        received_at=system_clock(),
        data_set_offset=offset,
    )
