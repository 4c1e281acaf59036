"""Admits examinations that are made up, before the first real one, and forgets them."""

from __future__ import annotations

from dataclasses import fields

from storage import registry
from storage.admitting import Asked, admit
from storage.admitting_together import admit_together
from storage.records import Device, Incoming, StudyDescription
from storage.work import SqlWork

_DESCRIPTION = [field.name for field in fields(StudyDescription)]


def rehearse(work: SqlWork, proposed_id: str) -> None:
    """Go once through all that an admission asks and writes, for an examination that is made up.

    Its statements are compiled then, which takes twenty times as long as running them: no device
    should wait for that. Never commit it. Where there is no device nothing is done. Raises what
    `admit` raises.
    """
    for device in registry.devices(work)[:1]:
        one, *others = (_made_up(device, f"{proposed_id[:-1]}{n}") for n in range(3))
        admit(work, one)
        admit_together(work, others)


def _made_up(device: Device, name: str) -> Asked:
    incoming = Incoming(
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
        description=StudyDescription(**dict.fromkeys(_DESCRIPTION, "")),
    )
    return Asked(incoming=incoming, proposed_id=name)
