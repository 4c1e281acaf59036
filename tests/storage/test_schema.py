"""The schema: what the migrations make is what the tables say, one process at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

from storage.errors import SchemaUnknown
from storage.ledger import SqlLedger
from storage.schema import migrate
from storage.tables import metadata
from tests.storage.kit import HandClock, add_account, database_in, dump
from tests.storage.racing import migrate_at_once


def test_the_migrations_make_what_the_tables_say(sqlite: SqlLedger) -> None:
    """Tables, columns, types, keys and indexes: no difference is left."""
    with sqlite.database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_partial_indexes_are_partial(sqlite: SqlLedger) -> None:
    """Uniqueness of open things hangs on the WHERE of an index, which comparing does not see."""
    with sqlite.database.read() as connection:
        rows = connection.execute(
            text("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql <> ''")
        )
        made = {row.name: row.sql for row in rows}
    wanted = {
        index.name: index.dialect_options["sqlite"]["where"]
        for table in metadata.sorted_tables
        for index in table.indexes
    }

    assert set(made) == set(wanted)
    for name, where in wanted.items():
        assert (where is None) == (" WHERE " not in made[name])
        if where is not None:
            assert made[name].endswith(f"WHERE {where}")


def test_defaults_are_as_the_tables_say(sqlite: SqlLedger) -> None:
    """A counter begins at 0 and a flag at false, whoever inserts the row."""
    with sqlite.database.read() as connection:
        found = inspect(connection)
        for table in metadata.sorted_tables:
            made = {
                column["name"]
                for column in found.get_columns(table.name)
                if column["default"] is not None
            }
            wanted = {column.name for column in table.columns if column.server_default is not None}
            assert made == wanted, table.name


def test_foreign_keys_are_as_the_tables_say(sqlite: SqlLedger) -> None:
    """Every reference is enforced, and none leads anywhere else."""
    with sqlite.database.read() as connection:
        found = inspect(connection)
        for table in metadata.sorted_tables:
            made = {
                (*key["constrained_columns"], key["referred_table"])
                for key in found.get_foreign_keys(table.name)
            }
            wanted = {(key.parent.name, key.column.table.name) for key in table.foreign_keys}
            assert made == wanted, table.name


def test_migrating_again_changes_nothing(sqlite: SqlLedger) -> None:
    """A start of the current version on its own database writes nothing."""
    add_account(sqlite)
    before = dump(sqlite)

    migrate(sqlite.database)

    assert dump(sqlite) == before


def test_a_newer_schema_is_refused(sqlite: SqlLedger) -> None:
    """A database that a newer version wrote is left alone, and the message says what to do."""
    with sqlite.database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.commit()

    with pytest.raises(SchemaUnknown, match=r"9999.*newer Tollgate"):
        migrate(sqlite.database)

    with sqlite.database.read() as connection:
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    assert found == "9999"


def test_a_migration_that_fails_leaves_the_file_empty(tmp_path: Path) -> None:
    """All migrations are one transaction: no database is left between two versions."""
    database = database_in(tmp_path)
    with database.write() as connection:
        connection.execute(text("CREATE TABLE refusals (id INTEGER)"))
        connection.commit()

    with pytest.raises(Exception, match="OperationalError"):
        migrate(database)

    with database.read() as connection:
        assert inspect(connection).get_table_names() == ["refusals"]
    database.dispose()


@pytest.mark.slow
def test_two_processes_may_migrate_at_once(tmp_path: Path, clock: HandClock) -> None:
    """Both succeed: one migrates under the writers' lock, the other finds it done."""
    assert migrate_at_once(tmp_path, 2) == [0, 0]

    database = database_in(tmp_path)
    migrate(database)
    assert add_account(SqlLedger(database, clock)).id == 1
    database.dispose()
