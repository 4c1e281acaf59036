"""A transaction that fails anywhere leaves the database as it was, row by row (§14)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from sqlalchemy import Connection, event

from storage.deletion import delete_examination
from storage.ledger import SqlLedger
from storage.postgresql import PostgresDatabase
from storage.sqlite import SqliteDatabase
from tests.quota.makers import DAY, HOUR
from tests.storage.hospital import Instance, Site, admitted, numbered
from tests.storage.kit import HandClock, credit, dump, pay, place_small, top_up

Operation = Callable[[], object]
STATEMENTS_MAX = 200


class Fault(Exception):
    """What a test makes happen to a statement."""


@contextmanager
def failing_at(ledger: SqlLedger, number: int) -> Iterator[None]:
    """Fail at the statement of that number, counted from BEGIN; COMMIT counts as one."""
    assert isinstance(ledger.database, SqliteDatabase | PostgresDatabase)
    engine = ledger.database.engine
    numbers = count(1)

    def on_statement(*_: Any) -> None:
        if next(numbers) == number:
            raise Fault

    def on_commit(_: Connection) -> None:
        on_statement()

    event.listen(engine, "before_cursor_execute", on_statement)
    event.listen(engine, "commit", on_commit)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", on_statement)
        event.remove(engine, "commit", on_commit)


def fail_everywhere(ledger: SqlLedger, operation: Operation) -> int:
    """Fail at every statement in turn, then succeed; returns how many statements there were.

    After each failure all tables hold what they held before.
    """
    before = dump(ledger)
    for number in range(1, STATEMENTS_MAX):
        try:
            with failing_at(ledger, number):
                operation()
        except Fault:
            assert dump(ledger) == before, f"statement {number} left something behind"
        else:
            assert dump(ledger) != before
            return number - 1
    raise AssertionError("the operation never ends")


def owing_with_a_lapse_due(site: Site, clock: HandClock) -> Instance:
    """A package that has lapsed unbooked; the next examination is owed and opens an episode."""
    top_up(site.ledger, site.account, "SO-1", 5)
    site.send(Instance(sop="1.1", study="1.0"))
    clock.at += 400 * DAY
    return Instance(sop="1.2", study="2.0")


@pytest.mark.slow
def test_an_admission_happens_whole_or_not_at_all(site: Site, clock: HandClock) -> None:
    """Lapse, charge, episode, examination, study: one transaction."""
    instance = owing_with_a_lapse_due(site, clock)

    statements = fail_everywhere(site.ledger, lambda: site.admit(instance))

    assert statements > 15


@pytest.mark.slow
def test_a_batch_is_filed_whole_or_not_at_all(site: Site, clock: HandClock) -> None:
    """One let in without the ledger, a known one, a newcomer to set aside, one to discard."""
    top_up(site.ledger, site.account, "SO-1", 5)
    known, aside, gone = Instance(sop="1.1"), Instance(sop="2.1"), Instance(sop="3.1", study="3.0")
    site.send_all(known, aside)
    batch = [
        site.unseen(Instance(sop="4.1", study="4.0")),
        site.ready(Instance(sop="1.2")),
        site.ready(replace(aside, content=b"other")),
        site.ready(gone),
    ]
    with site.ledger.begin() as work:
        delete_examination(
            work, batch[3].examination_id, actor="ann", reason="request 7", override=True
        )
        work.commit()
    placed = site.put(*batch)

    assert fail_everywhere(site.ledger, lambda: site.file(*placed)) > 20


@pytest.mark.slow
def test_a_credit_happens_whole_or_not_at_all(site: Site, clock: HandClock) -> None:
    """Two packages, the offset, the settled charges, the closed episode, the order's mark."""
    site.send(owing_with_a_lapse_due(site, clock))
    place_small(site.ledger, site.account, "SO-2", 3, 4)
    pay(site.ledger, "SO-2")

    statements = fail_everywhere(site.ledger, lambda: credit(site.ledger, "SO-2"))

    assert statements > 15


@pytest.mark.slow
def test_a_later_instance_is_filed_whole_or_not_at_all(site: Site, clock: HandClock) -> None:
    """Row, counters, findings and the register of refusals move together (KEY-4, ADM-2)."""
    top_up(site.ledger, site.account, "SO-1", 5)
    first, late = numbered(2)
    site.send(first)
    site.register(late, at=clock.at)
    clock.at += 31 * DAY
    arrival = site.ready(late)

    assert fail_everywhere(site.ledger, lambda: site.file(arrival)) > 8
    assert site.refusals(open_only=True) == []


@pytest.mark.slow
def test_a_batch_of_refusals_is_written_whole_or_not_at_all(site: Site, clock: HandClock) -> None:
    """ADM-2: the register never shows half of a batch."""
    batch = [*numbered(2), *numbered(2, study="4.5")]

    assert fail_everywhere(site.ledger, lambda: site.register(*batch, at=clock.at)) > 8
    assert [row.refused for row in site.refusals()] == [2, 2]


def test_a_newcomer_is_set_aside_whole_or_not_at_all(site: Site) -> None:
    """A conflict is one row, and nothing else moves."""
    top_up(site.ledger, site.account, "SO-1", 5)
    site.send(Instance(sop="1.1"))
    arrival = site.ready(Instance(sop="1.1", content=b"other"))

    assert fail_everywhere(site.ledger, lambda: site.file(arrival)) > 3


def test_a_commit_whose_answer_is_lost_is_found_by_its_key(site: Site, clock: HandClock) -> None:
    """§13, unknown outcome: run it again; the keys find the first attempt, nothing is doubled."""
    instance = owing_with_a_lapse_due(site, clock)
    first = admitted(site.send(instance))
    place_small(site.ledger, site.account, "SO-2", 3)
    pay(site.ledger, "SO-2")
    credited = credit(site.ledger, "SO-2")
    after = dump(site.ledger)

    clock.at += HOUR
    again = site.send(instance)

    assert again.__class__.__name__ == "Same"
    assert credit(site.ledger, "SO-2") == credited
    assert dump(site.ledger) == after
    assert first.charge is not None
