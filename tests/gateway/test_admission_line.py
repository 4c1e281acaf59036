"""Admissions that wait at the same moment: together, each answered once, nobody left waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway import admission_line
from gateway.admission_line import AdmissionLine
from gateway.admissions import Admissions, Pin
from quota.admission import Refused
from quota.errors import LedgerBroken
from storage.admitting import Asked, Pinned
from storage.engine import Database, open_database, system_clock
from storage.errors import LedgerUnavailable
from storage.ledger import SqlLedger
from storage.sqlite import SqliteDatabase
from storage.work import SqlWork
from tests.harness import wait_until
from tests.storage.conftest import SMALL_PACKAGES
from tests.storage.hospital import Instance, Site
from tests.storage.kit import (
    add_account,
    counted,
    failed,
    open_sqlite,
    reading,
    top_up,
    url_of,
    verified,
)
from tests.storage.server import Server

THREADS = 8
ROUNDS = 12
LIMIT_S = 60


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """A hospital with a hundred units, on each database; what is left must be sound."""
    with _ledger(request.param, tmp_path) as ledger:
        site = Site(ledger, add_account(ledger), tmp_path / "archive")
        top_up(ledger, site.account, "SO-1", 100)
        yield site
        assert failed(verified(ledger)) <= {SMALL_PACKAGES}


@contextmanager
def _ledger(kind: str, folder: Path) -> Iterator[SqlLedger]:
    if kind == "sqlite":
        ledger = open_sqlite(folder, system_clock)
        yield ledger
        ledger.database.dispose()
    else:
        with Server() as server:
            ledger = SqlLedger(server.new_database())
            yield ledger
            ledger.database.dispose()


def another_process(site: Site, folder: Path) -> Database:
    """Connections and queue of its own on the same database."""
    return open_database(url_of(site.ledger), lock_dir=folder)


def asking(site: Site, count: int) -> list[Asked]:
    """The first instances of so many studies."""
    return [
        Asked(
            incoming=Instance(sop=f"{n}.1", study=f"{n}.0").incoming(site.device),
            proposed_id=f"e{n}",
        )
        for n in range(count)
    ]


class AtOnce:
    """Threads that each do one thing; what came of it, in their order."""

    def __init__(self) -> None:
        self.outcomes: dict[int, object] = {}
        self._threads: list[threading.Thread] = []

    def add(self, *tasks: Callable[[], object]) -> None:
        """Begin them."""
        for task in tasks:
            thread = threading.Thread(target=self._run, args=(len(self._threads), task))
            self._threads.append(thread)
            thread.start()

    def join(self) -> list[object]:
        """Wait for all of them; an exception is an outcome."""
        for thread in self._threads:
            thread.join(LIMIT_S)
            assert not thread.is_alive(), "somebody was never called"
        return [self.outcomes[number] for number in range(len(self._threads))]

    def _run(self, number: int, task: Callable[[], object]) -> None:
        try:
            self.outcomes[number] = task()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what came of it
            self.outcomes[number] = error


@contextmanager
def all_in_line(site: Site, line: AdmissionLine, asked: Sequence[Asked]) -> Iterator[AtOnce]:
    """The first one leads and can't get the meter; the others stand behind it."""
    threads = AtOnce()
    with site.ledger.begin() as work:
        work.lock_meter(site.account.id, "exam")
        for behind, one in enumerate(asked):
            threads.add(partial(line.ask, one))
            wait_until(partial(_are_waiting, line, site, behind))
            if behind == 0:
                wait_until(partial(_meter_is_waited_for, site))
        yield threads


def _are_waiting(line: AdmissionLine, site: Site, count: int) -> bool:
    return line.waiting(site.institution.id) == count


def _meter_is_waited_for(site: Site) -> bool:
    """Where a transaction begins before it has to wait; on SQLite it waits to begin."""
    if isinstance(site.ledger.database, SqliteDatabase):
        return True
    with site.ledger.read() as view:
        waiting = view.connection.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted"))
        return bool(waiting.scalar_one())


def test_those_who_wait_are_admitted_with_one_statement_for_all(site: Site) -> None:
    """The first one's transaction has begun; where it takes the lock with that, all join it."""
    line, asked = AdmissionLine(site.ledger), asking(site, 12)
    with counted(site.ledger) as statements:
        with all_in_line(site, line, asked) as threads:
            pass
        answers = threads.join()

    assert [one.examination_id for one in answers if isinstance(one, Pinned)] == [
        one.proposed_id for one in asked
    ]
    led = 1 if isinstance(site.ledger.database, SqliteDatabase) else 2
    assert sum("INSERT INTO postings" in one for one in statements) == led
    assert reading(site.ledger, site.account).meter.consumed == 12
    assert line.waiting(site.institution.id) is None


def test_each_is_told_its_refusal(site: Site, tmp_path: Path) -> None:
    """Nothing is written for any of them (ADM-2)."""
    poor = Site(site.ledger, add_account(site.ledger, "Poor"), tmp_path / "poor", name="Poor")
    line = AdmissionLine(site.ledger)
    with all_in_line(poor, line, asking(poor, 5)) as threads:
        pass

    assert [type(one) for one in threads.join()] == [Refused] * 5
    assert poor.examinations() == []


def test_a_ledger_that_does_not_answer_fails_all_who_wait_at_once(site: Site) -> None:
    """Nobody waits for the limit of the one before it as well; afterwards all is as ever."""
    line, asked = AdmissionLine(site.ledger.within(1.0)), asking(site, 6)
    with all_in_line(site, line, asked) as threads:
        began_s = time.monotonic()
        outcomes = threads.join()
        took_s = time.monotonic() - began_s

    assert [type(one) for one in outcomes] == [LedgerUnavailable] * 6
    assert len({id(one) for one in outcomes}) == 6, "an exception belongs to one thread"
    assert took_s < 5
    assert isinstance(line.ask(asked[0]), Pinned)
    assert reading(site.ledger, site.account).meter.consumed == 1


def test_a_fault_is_told_to_whoever_led_and_the_others_ask_alone(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is wrong with one of them is not the others' failure, and stops no line."""

    def broken(work: SqlWork, _: object) -> None:
        work.lock_meter(site.account.id, "exam")
        raise LedgerBroken

    line, asked = AdmissionLine(site.ledger), asking(site, 4)
    with monkeypatch.context() as patch:
        patch.setattr(admission_line, "admit", broken)
        patch.setattr(admission_line, "admit_together", broken)
        with all_in_line(site, line, asked) as threads:
            pass
        outcomes = threads.join()

    led = 1 if isinstance(site.ledger.database, SqliteDatabase) else 2
    assert [type(one) for one in outcomes] == [LedgerBroken] * led + [type(None)] * (4 - led)
    assert isinstance(line.ask(asked[0]), Pinned)


class BreaksOff(threading.Event):
    """A wait that ends in an exception, at once or when its turn has come."""

    def __init__(self, *, called: bool) -> None:
        super().__init__()
        self._called = called

    def wait(self, timeout: float | None = LIMIT_S) -> bool:
        if self._called:
            super().wait(timeout)
        raise MemoryError


@pytest.mark.parametrize("called", [False, True])
def test_a_wait_that_is_broken_off_leaves_nobody_behind(
    site: Site, monkeypatch: pytest.MonkeyPatch, *, called: bool
) -> None:
    """Nobody is admitted for it, and those behind it go on, also where it was to lead them."""
    line, asked = AdmissionLine(site.ledger), asking(site, 3)
    monkeypatch.setattr(admission_line, "TOGETHER_MAX", 1)
    with all_in_line(site, line, asked[:1]) as threads:
        with monkeypatch.context() as patch:
            place = partial(admission_line._Place, called=BreaksOff(called=called))  # noqa: SLF001
            patch.setattr(admission_line, "_Place", place)
            threads.add(partial(line.ask, asked[1]))
            wait_until(lambda: _are_waiting(line, site, 1) if called else 1 in threads.outcomes)
        threads.add(partial(line.ask, asked[2]))
        wait_until(partial(_are_waiting, line, site, 2 if called else 1))
    outcomes = threads.join()

    assert [type(one) for one in outcomes] == [Pinned, MemoryError, Pinned]
    assert reading(site.ledger, site.account).meter.consumed == 2
    assert line.waiting(site.institution.id) is None


@pytest.mark.slow
def test_two_processes_of_many_associations_admit_each_study_once(
    site: Site, tmp_path: Path
) -> None:
    """In every round each thread brings a study of its own and one that all have in common."""
    databases = [another_process(site, tmp_path) for _ in range(2)]
    workers = [Admissions(SqlLedger(database)) for database in databases]
    barrier = threading.Barrier(2 * THREADS)

    def associate(worker: Admissions, name: str) -> list[tuple[str, Pin]]:
        pins = []
        for number in range(ROUNDS):
            barrier.wait(LIMIT_S)
            for study in (f"{name}.{number}", f"9.{number}"):
                instance = Instance(sop=f"{study}.{name}", study=study)
                pin = worker.pin(instance.incoming(site.device))
                assert isinstance(pin, Pin)
                pins.append((study, pin))
        return pins

    threads = AtOnce()
    threads.add(
        *(
            partial(associate, worker, f"{side}.{number}")
            for side, worker in enumerate(workers)
            for number in range(THREADS)
        )
    )
    outcomes = threads.join()
    for database in databases:
        database.dispose()

    pins = [each for one in outcomes if isinstance(one, list) for each in one]
    assert len(pins) == 2 * THREADS * ROUNDS * 2, [o for o in outcomes if not isinstance(o, list)]
    examinations = {(study, pin.examination_id) for study, pin in pins}
    assert len(examinations) == len({study for study, _ in pins}) == (2 * THREADS + 1) * ROUNDS
    assert sum(pin.admission is not None for _, pin in pins) == len(examinations)
    assert reading(site.ledger, site.account).meter.consumed == len(examinations)
