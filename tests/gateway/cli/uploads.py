"""Real objects for the command line to look at: complete Part 10 files, filed as a gateway does."""

from __future__ import annotations

from dataclasses import replace

from config import Settings
from gateway.bootstrap import open_archive
from gateway.dicom import part10
from storage.examinations import Different, Known, resolve
from storage.filing import Arrival, Filed, SetAside, file
from storage.records import Incoming
from tests.gateway.cli.conftest import HOUR, Cli, incoming


def instance(number: int, *, of: int = 0) -> Incoming:
    """The instance `number` of the examination `of`."""
    return replace(incoming(of), sop_instance_uid=f"1.2.{of}.1.{number}")


def upload(tollgate: Cli, sent: Incoming, data_set: bytes) -> str:
    """Put and file one instance; returns its object's key."""
    sha256 = part10.digest(sent.transfer_syntax_uid, data_set)
    archive = open_archive(Settings(data_dir=tollgate.data_dir))
    ledger = tollgate.ledger()
    with ledger.begin() as work:
        found = resolve(work, sent, sha256=sha256)
        aside = isinstance(found, Different)
        examination_id = (
            found.examination_id
            if isinstance(found, Different | Known)
            else f"exam-{sent.study_instance_uid}"
        )
        key = f"{'quarantine' if aside else 'objects'}/{examination_id}/0/{sha256}.dcm"
        put = archive.put(key, (part10.header(sent), data_set))
        arrival = Arrival(
            incoming=sent,
            examination_id=examination_id,
            quarantined=aside,
            object_key=key,
            sha256=sha256,
            size_bytes=put.size_bytes,
            fingerprint=put.fingerprint,
        )
        assert isinstance(file(work, arrival, quiet_period=HOUR), Filed | SetAside)
        work.commit()
    ledger.database.dispose()
    return key
