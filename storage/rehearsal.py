"""Admits and files what is made up, before the first real one: its statements are compiled then.

That takes twenty times as long as running them, and no device should wait for it. Whoever calls
never commits; where there is no device nothing is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace

from sqlalchemy import select

from storage import tables as t
from storage.admitting import Asked, admit
from storage.admitting_together import admit_together
from storage.filing import file_batch
from storage.placing import Arrival, place
from storage.records import Incoming, StudyDescription
from storage.work import SqlWork

_DEVICE = select(t.devices.c.id, t.devices.c.institution_id, t.devices.c.ae_title).limit(1)
_NOTHING = StudyDescription(**dict.fromkeys((each.name for each in fields(StudyDescription)), ""))


def rehearse_admission(work: SqlWork, proposed_id: str) -> None:
    """Admit one examination alone and two together. Raises what `admit` raises."""
    for incoming in _made_up(work, proposed_id):
        names = [f"{proposed_id[:-1]}{n}" for n in range(3)]
        one, *others = (
            Asked(
                incoming=replace(
                    incoming, examination_key=name, study_instance_uid=name, sop_instance_uid=name
                ),
                proposed_id=name,
            )
            for name in names
        )
        admit(work, one)
        admit_together(work, others)


def rehearse_filing(work: SqlWork, proposed_id: str) -> None:
    """File an examination let in without the ledger, then as admission has pinned it, two instances
    each: statements for many rows are compiled too. Raises what `file_batch` raises."""
    for incoming in _made_up(work, proposed_id):
        arrivals = [
            Arrival(
                incoming=replace(incoming, sop_instance_uid=f"{proposed_id}.{n}"),
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


def _made_up(work: SqlWork, name: str) -> Iterator[Incoming]:
    """An instance of some device that is on record, if there is one."""
    device = work.connection.execute(_DEVICE).one_or_none()
    if device is not None:
        yield Incoming(
            institution_id=device.institution_id,
            device_id=device.id,
            calling_ae_title=device.ae_title,
            examination_key=name,
            study_instance_uid=name,
            series_instance_uid=name,
            sop_class_uid=name,
            sop_instance_uid=name,
            transfer_syntax_uid=name,
            patient_id_raw=b"",
            description=_NOTHING,
        )


def _file(work: SqlWork, arrivals: Sequence[Arrival]) -> None:
    placed = [
        replace(arrival, object_key=key)
        for arrival, key in zip(arrivals, place(work, arrivals), strict=True)
    ]
    file_batch(work, placed, quiet_period=0)
