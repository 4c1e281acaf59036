"""Puts the parts together that every process of the gateway needs: the ledger on its database."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from config import Settings
from quota.time import MICROSECONDS_PER_SECOND, Clock
from storage import archive, snapshot
from storage.archive import Archive, RemoteAccess
from storage.clock_guard import ClockGuard
from storage.conflicts import Limits
from storage.engine import open_database, sqlite_file
from storage.errors import LedgerUnavailable, StorageError
from storage.ledger import SqlLedger
from storage.schema import Deferred, migrate
from storage.spool import Spool
from storage.spool.record import PAGE_BYTES

GATEWAY_LOCK = "gateway.lock"
KEEPER_LOCK = "keeper"
ARCHIVE = "archive"
BOARD = "associations"
METRICS = "metrics"
SNAPSHOT = "snapshot.json"
SPOOL = "spool"


class DataDirUnusable(StorageError):
    """The data directory can't be used."""


class NoLedger(StorageError):
    """There is no ledger where the settings say."""


def open_ledger(
    settings: Settings, *, clock: Clock | None = None, create: bool = True
) -> SqlLedger:
    """Open the ledger and bring its schema up to date. Its clock is the database's, unless given.

    Where there is nothing, the data directory and an empty ledger are made, unless `create` is
    False: a command in a wrong directory must not answer from an empty ledger.

    Raises NoLedger, DataDirUnusable, LedgerUnavailable, DurabilityTooWeak, SchemaUnknown.
    """
    data_dir = settings.data_dir
    file = sqlite_file(settings.database_url)
    if not create and file is not None and not file.exists():
        raise NoLedger(
            f"there is no ledger in {file.parent}: go to the gateway's directory, or set "
            "TOLLGATE_DATA_DIR or TOLLGATE_DATABASE__URL as the gateway has them; "
            "to begin a new one: tollgate account create --help"
        )
    if create or file is not None:  # SQLite's locks are files there
        _make(data_dir)
    database = open_database(settings.database_url, lock_dir=data_dir)
    migrate(database)
    # A clock that is given is moved on purpose.
    return SqlLedger(database, clock, guard=ClockGuard() if clock is None else None)


def open_serving_ledger(settings: Settings) -> SqlLedger:
    """The ledger of a gateway: where its server can't be asked now, it is later.

    Only on a host that has looked before: its snapshot knows whom to let in. The schema is brought
    up to date before the first use. Raises what `open_ledger` raises.
    """
    try:
        return open_ledger(settings)
    except LedgerUnavailable:
        if not starts_without_ledger(settings):
            raise
    database = open_database(settings.database_url, lock_dir=settings.data_dir)
    return SqlLedger(database, guard=ClockGuard(), before_use=Deferred(database))


def starts_without_ledger(settings: Settings) -> bool:
    """A SQLite file that can't be read is no outage: it does not come back by itself."""
    admits = settings.spool.when_ledger_unreachable == "admit"
    on_server = sqlite_file(settings.database_url) is None
    return admits and on_server and snapshot.read(settings.data_dir / SNAPSHOT) is not None


def _make(data_dir: Path) -> None:
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DataDirUnusable(
            f"the data directory {data_dir} can't be made ({os.strerror(error.errno or 0)}); "
            "set TOLLGATE_DATA_DIR to a directory that you may write"
        ) from error


def open_archive(settings: Settings) -> Archive:
    """The archive that the settings name: a directory below `data_dir`, or a remote store."""
    chosen = settings.archive
    remote = RemoteAccess(
        url=chosen.url,
        endpoint=chosen.endpoint,
        region=chosen.region,
        access_key_id=chosen.access_key_id.get_secret_value(),
        secret_access_key=chosen.secret_access_key.get_secret_value(),
    )
    return archive.open_archive(
        settings.data_dir / ARCHIVE,
        remote=remote if chosen.url else None,
        free_bytes_min=chosen.free_bytes_min,
    )


def spool_root(settings: Settings) -> Path:
    """The folder of this host's spools, one for each worker."""
    return Path(settings.spool.dir) if settings.spool.dir else settings.data_dir / SPOOL


def open_spools(settings: Settings, directories: Sequence[Path]) -> list[Spool]:
    """Open a worker's spools; each may take its share of the limit.

    Raises SpoolLocked, SpoolUnsuitable, SpoolUnavailable, SpoolSick, SpoolUnknown.
    """
    chosen = settings.spool
    limit = chosen.fill_max_bytes or shutil.disk_usage(settings.data_dir).total // 2
    return [
        Spool.open(
            directory,
            segment_bytes=chosen.segment_bytes // PAGE_BYTES * PAGE_BYTES,
            fill_max_bytes=limit // settings.dicom.worker_count,
            any_file_system=chosen.any_file_system,
        )
        for directory in directories
    ]


def discard_unfinished(settings: Settings) -> None:
    """Remove what a killed gateway left half written, before any worker files."""
    if not settings.archive.url:
        open_archive(settings).discard_unfinished()


def quarantine_limits(settings: Settings) -> Limits:
    """How long and how much may wait for an operator's decision."""
    return Limits(
        age_max=round(settings.archive.quarantine_age_max_s * MICROSECONDS_PER_SECOND),
        bytes_max=settings.archive.quarantine_bytes_max,
    )
