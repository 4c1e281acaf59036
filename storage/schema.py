"""Brings a database to this version's schema, one process at a time."""

from __future__ import annotations

import threading
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from storage.engine import Database
from storage.errors import SchemaUnknown

HEAD = "0012"
"""The newest migration. Written down, since alembic costs every command a quarter of a second."""

_MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(database: Database) -> None:
    """Run the migrations that are missing, in one transaction under the writers' lock.

    Raises SchemaUnknown where the database is newer than this program.
    """
    with database.read() as connection:
        if _revision(connection) == HEAD:
            return
    with database.write() as connection:
        database.lock_schema(connection)
        _upgrade(connection)


class Deferred:
    """The migration of a database that could not be asked at the start: before its first use."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._done = False

    def __call__(self) -> None:
        """Once; again after a failure. Raises LedgerUnavailable, SchemaUnknown."""
        with self._lock:
            if not self._done:
                migrate(self._database)
                self._done = True


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version"))
    revision: str | None = found.scalar_one_or_none()
    return revision


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - paid for only when a migration is due
    from alembic.config import Config  # noqa: PLC0415 - as above
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - as above

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    current = _revision(connection)
    if current is not None and current not in known:
        raise SchemaUnknown(
            f"the database has schema {current}, which this version doesn't know; "
            "install the newer Tollgate that wrote it"
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    connection.commit()
