"""An empty ledger on each of the two databases, for a benchmark."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeAlias

from storage.engine import open_database
from storage.ledger import SqlLedger
from storage.schema import migrate
from tests.storage.server import Server

Maker: TypeAlias = Callable[[], SqlLedger]
"""Makes an empty ledger, each on a database of its own."""


@contextmanager
def sqlite() -> Iterator[Maker]:
    """Ledgers in files of a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        made: list[SqlLedger] = []

        def make() -> SqlLedger:
            place = Path(folder) / str(len(made))
            place.mkdir()
            database = open_database(f"sqlite:///{place}/ledger.sqlite3", lock_dir=place)
            migrate(database)
            made.append(SqlLedger(database))
            return made[-1]

        yield make
        for ledger in made:
            ledger.database.dispose()


@contextmanager
def postgresql() -> Iterator[Maker]:
    """Ledgers on a server of our own."""
    with Server() as server:
        made: list[SqlLedger] = []

        def make() -> SqlLedger:
            made.append(SqlLedger(server.new_database()))
            return made[-1]

        yield make
        for ledger in made:
            ledger.database.dispose()


STORES: dict[str, Callable[[], AbstractContextManager[Maker]]] = {
    "SQLite": sqlite,
    "PostgreSQL": postgresql,
}
