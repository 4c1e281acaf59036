"""A filing of what is made up: a process's first costs what the others do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import select

from storage import tables as t
from storage.filing import file_batch
from storage.placing import Arrival, place
from storage.records import Incoming, StudyDescription
from storage.work import SqlWork

_DEVICE = select(t.devices.c.id, t.devices.c.institution_id, t.devices.c.ae_title).limit(1)
_NOTHING = StudyDescription(
    accession="",
    patient_id="",
    patient_name="",
    modality="",
    study_date="",
    study_description="",
)


def rehearse(work: SqlWork, proposed_id: str) -> None:
    """Go once through all that filing asks and writes, for an examination that is made up.

    Let in without the ledger, then as admission has pinned it, two instances each: statements for
    many rows are compiled too. Never commit it. Where there is no device nothing is done. Raises
    what `file_batch` raises.
    """
    device = work.connection.execute(_DEVICE).one_or_none()
    if device is None:
        return
    arrivals = [
        Arrival(
            incoming=Incoming(
                institution_id=device.institution_id,
                device_id=device.id,
                calling_ae_title=device.ae_title,
                examination_key=proposed_id,
                study_instance_uid=proposed_id,
                series_instance_uid=proposed_id,
                sop_class_uid=proposed_id,
                sop_instance_uid=f"{proposed_id}.{n}",
                transfer_syntax_uid=proposed_id,
                patient_id_raw=b"",
                description=_NOTHING,
            ),
            examination_id=proposed_id,
            generation=0,
            received_at=work.clock(),
            sha256=f"{proposed_id}.{n}",
            size_bytes=1,
            provisional=n < 2,
        )
        for n in range(4)
    ]
    _file(work, arrivals[:2])
    _file(work, arrivals[2:])


def _file(work: SqlWork, arrivals: Sequence[Arrival]) -> None:
    placed = [
        replace(arrival, object_key=key)
        for arrival, key in zip(arrivals, place(work, arrivals), strict=True)
    ]
    file_batch(work, placed, quiet_period=0)
