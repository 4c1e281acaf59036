"""Opens the data directory for one command, by the settings that `--config` names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from config import Settings
    from storage.ledger import SqlLedger
    from storage.view import SqlView
    from storage.work import SqlWork


def settings(context: typer.Context) -> Settings:
    """The settings, from the file given to the root command if any. Raises SettingsError."""
    from config import load_settings

    return load_settings(context.obj)


@contextmanager
def opened(context: typer.Context, *, create: bool = False) -> Iterator[SqlLedger]:
    """The ledger, closed at the end. Raises SettingsError, StorageError.

    Only a command with which a new gateway may begin creates one.
    """
    from gateway.bootstrap import open_ledger

    ledger = open_ledger(settings(context), create=create)
    try:
        yield ledger
    finally:
        ledger.database.dispose()


@contextmanager
def reading(context: typer.Context) -> Iterator[SqlView]:
    """One snapshot."""
    with opened(context) as ledger, ledger.read() as view:
        yield view


@contextmanager
def writing(context: typer.Context, *, create: bool = False) -> Iterator[SqlWork]:
    """One transaction; it rolls back unless the command commits."""
    with opened(context, create=create) as ledger, ledger.begin() as work:
        yield work
