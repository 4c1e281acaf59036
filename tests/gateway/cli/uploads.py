"""Real objects for the command line to look at: complete Part 10 files, filed as a gateway does."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from config import Settings
from gateway.bootstrap import open_archive
from gateway.dicom import part10
from storage.archive import PutResult
from storage.records import Incoming
from tests.gateway.cli.conftest import HOUR, Cli, incoming
from tests.storage.filed import file_at_once


def instance(number: int, *, of: int = 0) -> Incoming:
    """The instance `number` of the examination `of`."""
    return replace(incoming(of), sop_instance_uid=f"1.2.{of}.1.{number}")


def upload(tollgate: Cli, sent: Incoming, data_set: bytes) -> str:
    """Admit, put and file one instance; returns its object's key."""
    archive = open_archive(Settings(data_dir=tollgate.data_dir))
    header = part10.header(
        sop_class_uid=sent.sop_class_uid,
        sop_instance_uid=sent.sop_instance_uid,
        transfer_syntax_uid=sent.transfer_syntax_uid,
    )
    syntax = sent.transfer_syntax_uid.encode()
    ledger = tollgate.ledger()
    keys: list[str] = []

    def put(key: str) -> PutResult:
        keys.append(key)
        return archive.put(key, (header, data_set))

    with ledger.begin() as work:
        file_at_once(
            work,
            sent,
            proposed_id=f"exam-{sent.study_instance_uid}",
            sha256=hashlib.sha256(syntax + b"\0" + data_set).hexdigest(),
            quiet_period=HOUR,
            put=put,
        )
        work.commit()
    ledger.database.dispose()
    return keys[0]
