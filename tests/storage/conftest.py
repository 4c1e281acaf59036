"""What the storage tests are given: a clock, and an empty ledger on each of the stores."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from quota.account import Account
from quota.ports import Ledger
from storage.ledger import SqlLedger
from storage.lock_queue import LockQueue
from storage.memory import MemoryLedger
from tests.storage.bucket import Buckets
from tests.storage.hospital import Site
from tests.storage.kit import HandClock, add_account, failed, open_sqlite, verified
from tests.storage.past import Copy, live
from tests.storage.server import Server

SMALL_PACKAGES = 12
"""The tests credit packages of a few units, which nobody could buy: invariant 12 says so."""


@pytest.fixture
def clock() -> HandClock:
    """A clock that is set by hand; it begins at noon UTC."""
    return HandClock()


@pytest.fixture
def sqlite(tmp_path: Path, clock: HandClock) -> Iterator[SqlLedger]:
    """An empty ledger on a SQLite file."""
    ledger = open_sqlite(tmp_path, clock)
    yield ledger
    ledger.database.dispose()


@pytest.fixture
def sound_sqlite(sqlite: SqlLedger) -> Iterator[SqlLedger]:
    """An empty ledger on a SQLite file, whose invariants still hold when the test ends."""
    yield sqlite
    assert failed(verified(sqlite)) <= {SMALL_PACKAGES}


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A PostgreSQL server of this test process, with a template of an empty ledger."""
    with Server() as server:
        yield server


@pytest.fixture(scope="session")
def buckets() -> Iterator[Buckets]:
    """An S3-compatible store of this test process."""
    with Buckets() as buckets:
        yield buckets


@pytest.fixture
def postgresql(server: Server, clock: HandClock) -> Iterator[SqlLedger]:
    """An empty ledger in a new PostgreSQL database, whose invariants hold when the test ends."""
    ledger = SqlLedger(server.new_database(), clock)
    yield ledger
    assert failed(verified(ledger)) <= {SMALL_PACKAGES}
    ledger.database.dispose()


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest, clock: HandClock) -> Ledger:
    """An empty ledger, once on each store: what holds for one holds for the others."""
    if request.param == "memory":
        return MemoryLedger(clock)
    name = "sound_sqlite" if request.param == "sqlite" else "postgresql"
    sound: Ledger = request.getfixturevalue(name)
    return sound


@pytest.fixture
def account(ledger: Ledger) -> Account:
    """An account that pays per examination and has bought nothing."""
    return add_account(ledger)


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of a hospital with a past."""
    folder = tmp_path_factory.mktemp("lived")
    live(folder, HandClock()).ledger.database.dispose()
    return folder


@pytest.fixture
def copy(lived: Path, tmp_path: Path, clock: HandClock) -> Iterator[Copy]:
    """A copy of it."""
    folder = tmp_path / "copy"
    shutil.copytree(lived, folder)
    ledger = open_sqlite(folder, clock)
    yield Copy(folder=folder, ledger=ledger)
    ledger.database.dispose()


@pytest.fixture(params=["sound_sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    """A hospital with one device and an account that has bought nothing, on each database."""
    ledger: SqlLedger = request.getfixturevalue(request.param)
    return Site(ledger, add_account(ledger), tmp_path / "archive")


@pytest.fixture
def queue(tmp_path: Path) -> LockQueue:
    """This process's line."""
    return LockQueue(tmp_path / "lock")


@pytest.fixture
def other_queue(tmp_path: Path) -> LockQueue:
    """A line for the same lock, as another process has it."""
    return LockQueue(tmp_path / "lock")


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Some to wait with."""
    with ThreadPoolExecutor(16) as pool:
        yield pool
