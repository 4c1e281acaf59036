"""The filing side: composition root of a process beside each worker, behind its answers."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from config import Settings
from gateway.admissions import new_examination_id
from gateway.board import Board
from gateway.bootstrap import open_archive, open_serving_ledger
from gateway.children import EXIT_SICK, Link
from gateway.desk_link import RemoteDesk
from gateway.filing import Filer
from gateway.outage import ANSWER_S
from gateway.telemetry import log
from gateway.telemetry.events import Events
from gateway.telemetry.metrics import Metrics
from gateway.version import VERSION
from quota.admission import RefusalReason
from quota.errors import QuotaError
from quota.time import MICROSECONDS_PER_SECOND
from storage.engine import system_clock
from storage.errors import StorageError
from storage.ledger import SqlLedger
from storage.rehearsal import rehearse_filing

_NICENESS = 5


def run_filer(
    settings: Settings,
    number: int,
    board: Board,
    desk: socket.socket,
    link: Link,
    *,
    directories: Sequence[Path],
) -> int:
    """Composition root of one filer; runs until it is told to stop, or a sync failed.

    `desk` is the filer's end of the link to the worker that holds the spools in `directories`.
    """
    ledger = open_serving_ledger(settings)
    _rehearse(ledger)
    # Where processors are short a device that waits for its answer goes first.
    os.nice(_NICENESS)
    board.filer_runs(number)
    archive = open_archive(settings)
    remote = RemoteDesk(directories, desk, ending=link.stop.is_set)
    filer = Filer(
        desk=remote,
        ledger=ledger,
        archive=archive,
        observer=Events(Metrics(version=VERSION, refusal_reasons=tuple(RefusalReason))),
        quiet_period=round(settings.examination.quiet_period_s * MICROSECONDS_PER_SECOND),
        clock=system_clock,
        stopping=link.stop,
    )
    link.say(ready=True)
    filer.run()
    if filer.sick:
        log.get_logger("filer").critical("sync_failed")
    ledger.database.dispose()
    return EXIT_SICK if filer.sick else 0


def _rehearse(ledger: SqlLedger) -> None:
    """Compile a filing's statements before devices wait for the lock that it holds meanwhile.

    Nothing hangs on how it ends: what can't be filed later is told why.
    """
    with (
        suppress(StorageError, QuotaError),
        ledger.within(ANSWER_S).begin() as work,
    ):
        rehearse_filing(work, new_examination_id())
