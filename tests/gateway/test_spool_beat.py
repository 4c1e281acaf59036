"""What a worker tells of its spools: registered before it listens, and true at any instant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from gateway.spool_beat import SpoolBeat, waiting_in
from storage.ledger import SqlLedger
from storage.pending import pending_bytes
from storage.registry import add_institution
from storage.spool import Spool
from storage.spool_register import RegisteredSpool, SpoolState, registered
from tests.quota.makers import DAY, SECOND
from tests.storage.kit import HandClock, add_account, open_sqlite
from tests.storage.spool.kit import ID, body, open_spool, put, release_all


class Filed:
    """A filer that has filed so many bytes."""

    def __init__(self) -> None:
        self.filed_bytes: Counter[UUID] = Counter()


@pytest.fixture
def ledger(tmp_path: Path, clock: HandClock) -> Iterator[SqlLedger]:
    """An empty ledger, whose clock is set by hand."""
    ledger = open_sqlite(tmp_path, clock)
    yield ledger
    ledger.database.dispose()


@pytest.fixture
def clock() -> HandClock:
    """The ledger's."""
    return HandClock()


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """An empty spool."""
    with open_spool(tmp_path / "spool") as spool:
        yield spool


def beat_of(ledger: SqlLedger, spool: Spool, host: HandClock) -> SpoolBeat:
    """A worker's, whose host has a clock of its own."""
    return SpoolBeat(ledger, [spool], filer=Filed(), clock=host, host="gate-1")


def known(ledger: SqlLedger) -> RegisteredSpool:
    """The one spool on record."""
    with ledger.read() as view:
        (found,) = registered(view)
    return found


def test_a_spool_is_on_record_once_its_worker_starts(
    ledger: SqlLedger, spool: Spool, clock: HandClock
) -> None:
    """Empty, it is filed through now; and it retires when it is closed with nothing in it."""
    beat = beat_of(ledger, spool, clock)

    beat.start()

    found = known(ledger)
    assert (found.id, found.host, found.state) == (ID, "gate-1", SpoolState.SERVING)
    assert found.filed_through == clock.at
    beat.stop(10)
    assert known(ledger).state is SpoolState.IDLE


def test_what_waits_holds_back_whatever_the_hosts_clock_says(
    ledger: SqlLedger, spool: Spool, clock: HandClock
) -> None:
    """A host 400 days ahead would otherwise seem to have filed the next 400 days."""
    host = HandClock(clock.at + 400 * DAY)
    beat = beat_of(ledger, spool, host)
    beat.tell()
    empty_at = clock.at
    lease = spool.lease()
    put(lease, body(1, 5_000), host.at)
    for _ in range(3):
        clock.at += DAY
        host.at += DAY
        beat.tell()
    assert known(ledger).filed_through == empty_at
    assert known(ledger).records == 1

    release_all(spool)
    beat.tell()

    assert known(ledger).filed_through == clock.at
    lease.end()


def test_under_load_it_moves_on_without_ever_being_empty(
    ledger: SqlLedger, spool: Spool, clock: HandClock
) -> None:
    """A busy gateway must not hold reversals back for ever."""
    beat = beat_of(ledger, spool, clock)
    lease = spool.lease()
    put(lease, body(0, 5_000), clock.at)
    beat.tell()
    first = clock.at
    clock.at += SECOND
    put(lease, body(1, 5_000), clock.at)
    spool.release([spool.unfiled(1)[0].ref])

    beat.tell()

    assert known(ledger).filed_through == first
    lease.end()


def test_records_left_behind_are_no_empty_spool(
    ledger: SqlLedger, spool: Spool, clock: HandClock
) -> None:
    """Closed with a record in it, it counts, and is missed after 15 minutes."""
    lease = spool.lease()
    put(lease, body(1, 5_000), clock.at)
    lease.end()
    beat = beat_of(ledger, spool, clock)
    beat.start()
    beat.stop(10)

    assert known(ledger).state is SpoolState.SERVING
    clock.at += 900 * SECOND
    assert known(ledger).state is SpoolState.UNSEEN


def test_a_ledger_that_does_not_answer_stops_nobody(
    ledger: SqlLedger, spool: Spool, clock: HandClock, tmp_path: Path
) -> None:
    """The worker starts all the same, and the spool is registered as soon as it answers."""
    file = tmp_path / "ledger.sqlite3"
    ledger.database.dispose()
    aside = file.rename(tmp_path / "aside")
    beat = beat_of(ledger, spool, clock)
    assert not beat.tell()
    ledger.database.dispose()
    for made in tmp_path.glob(f"{file.name}*"):
        made.unlink()
    aside.rename(file)

    assert beat.tell()
    assert known(ledger).id == ID


def test_bytes_that_wait_are_told_to_the_byte_and_beyond_a_limit_in_proportion(
    spool: Spool, clock: HandClock
) -> None:
    """A backlog of a million records must not be read through every few seconds."""
    assert waiting_in(spool) == []
    lease = spool.lease()
    for number in range(4):
        put(lease, body(number, 5_000), clock.at)
    lease.end()

    assert [one.size_bytes for one in waiting_in(spool)] == [5_000] * 4
    assert [one.size_bytes for one in waiting_in(spool, limit=4)] == [5_000] * 4
    assert [one.size_bytes for one in waiting_in(spool, limit=2)] == [10_000] * 2


def test_pending_bytes_go_when_the_spool_is_empty(
    ledger: SqlLedger, spool: Spool, clock: HandClock
) -> None:
    """At the latest with the next beat, though the filer had no time to look again."""
    account = add_account(ledger)
    with ledger.begin() as work:
        for number in range(3):  # the record's institution is the third
            add_institution(work, name=f"H{number}", account_id=account.id, called_ae_title=None)
        work.commit()
    beat = beat_of(ledger, spool, clock)
    lease = spool.lease()
    put(lease, body(1, 5_000), clock.at)
    beat.sample()
    beat.tell()
    with ledger.read() as view:
        assert pending_bytes(view) == {account.id: 5_000}

    release_all(spool)
    beat.tell()

    with ledger.read() as view:
        assert pending_bytes(view) == {}
    lease.end()
