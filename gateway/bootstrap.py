"""Puts the parts together that every process of the gateway needs: the ledger on its database."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config import Settings
from quota.time import Clock, Instant
from storage.engine import Database
from storage.errors import StorageError
from storage.ledger import SqlLedger
from storage.schema import migrate

GATEWAY_LOCK = "gateway.lock"
KEEPER_LOCK = "keeper.lock"
_LEDGER_LOCK = "ledger.lock"
ARCHIVE = "archive"


class DataDirUnusable(StorageError):
    """The data directory can't be used."""


def system_clock() -> Instant:
    """The host's clock, UTC, in µs."""
    return time.time_ns() // 1_000


def open_ledger(settings: Settings, *, clock: Clock = system_clock) -> SqlLedger:
    """Open the ledger, creating the data directory and bringing the schema up to date.

    Raises DataDirUnusable, LedgerUnavailable, DurabilityTooWeak, SchemaUnknown.
    """
    data_dir = settings.data_dir
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DataDirUnusable(
            f"the data directory {data_dir} can't be made ({os.strerror(error.errno or 0)}); "
            "set TOLLGATE_DATA_DIR to a directory that you may write"
        ) from error
    database = Database(settings.database_url, lock_path=data_dir / _LEDGER_LOCK)
    migrate(database)
    return SqlLedger(database, clock)


@contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """Hold an exclusive lock on `path` if nobody else does; yields whether it is held.

    The kernel lets go of it when the process ends, however it ends.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
