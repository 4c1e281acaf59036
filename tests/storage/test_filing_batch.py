"""Batches: what they cost, what the ledger had not seen, filers that race."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from quota.account import CAPACITY
from quota.ledger import GRACE
from quota.service import read_meter
from storage import tables as t
from storage.admitting import Overtaken, Pinned
from storage.engine import open_database
from storage.filing import Deferred, Filed, Same, file_batch
from storage.ledger import SqlLedger
from storage.placing import Arrival
from storage.rehearsal import rehearse_filing
from storage.sqlite import SqliteDatabase
from tests.quota.makers import DAY, HOUR
from tests.storage.hospital import QUIET, Instance, Site, numbered
from tests.storage.kit import HandClock, counted, dump, reading, top_up, url_of
from tests.storage.operator import reverse


@pytest.fixture
def paid(site: Site, clock: HandClock) -> Site:
    """A hospital with twenty units."""
    top_up(site.ledger, site.account, "SO-1", 20)
    clock.at += HOUR
    return site


def figures(site: Site) -> tuple[int, int]:
    """How many charges stand, and how many of them are owed."""
    meter = reading(site.ledger, site.account).meter
    return meter.consumed, meter.owed


def level(site: Site) -> int:
    """The account's stored bytes."""
    with site.ledger.read() as view:
        return read_meter(view, site.account, CAPACITY).used


def provisional_at(site: Site, examination_id: str) -> int | None:
    """When the examination was let in without the ledger."""
    statement = select(t.examinations.c.provisional_at).filter_by(id=examination_id)
    with site.ledger.read() as view:
        found: int | None = view.connection.execute(statement).scalar_one()
    return found


def test_a_batch_moves_the_level_once(paid: Site) -> None:
    """CAP-1: one move per account and batch, by the bytes of what was new."""
    first, *rest = numbered(5)
    paid.send(first)
    batch = [paid.ready(instance) for instance in (first, *rest, rest[0])]
    with paid.ledger.read() as view:
        before = len(view.connection.execute(select(t.level_moves)).all())

    paid.file(*paid.put(*batch))

    with paid.ledger.read() as view:
        moves = view.connection.execute(select(t.level_moves.c.delta)).scalars().all()
    assert moves[before:] == [sum(len(instance.content) for instance in rest)]
    assert level(paid) == sum(len(instance.content) for instance in (first, *rest))


def test_a_batch_costs_a_handful_of_statements(paid: Site) -> None:
    """Not one per record: their number is the same for forty as for four."""
    paid.send(Instance(sop="1.1"))
    counts = []
    for study, size in (("1.2", 4), ("1.3", 40)):
        batch = [paid.ready(instance) for instance in numbered(size, study=study)]
        with counted(paid.ledger) as seen:
            paid.file(*batch)
        counts.append(len(seen))

    one_by_one = isinstance(paid.ledger.database, SqliteDatabase)
    assert counts == [13 if one_by_one else 14] * 2


def test_a_rehearsal_leaves_nothing_behind_and_nothing_to_compile(
    paid: Site, clock: HandClock, tmp_path: Path
) -> None:
    """The first filing of a process holds its locks for as long as the others do."""
    batch = [paid.ready(instance) for instance in numbered(3)]
    ledger = SqlLedger(open_database(url_of(paid.ledger), lock_dir=tmp_path), clock)
    before = dump(ledger)
    with counted(ledger, unmet=True) as compiled:
        with ledger.begin() as work:
            rehearse_filing(work, "made up")
        assert compiled
        assert dump(ledger) == before
        compiled.clear()

        with ledger.begin() as work:
            outcomes = file_batch(work, batch, quiet_period=QUIET)
            work.commit()
    ledger.database.dispose()

    assert isinstance(outcomes, list)
    assert all(isinstance(outcome, Filed) for outcome in outcomes)
    assert compiled == []


def test_a_rehearsal_without_a_device_does_nothing(sqlite: SqlLedger) -> None:
    """A gateway that nobody has set up yet starts as well."""
    with counted(sqlite) as seen, sqlite.begin() as work:
        rehearse_filing(work, "made up")

    assert len(seen) == 2, "its BEGIN, and the look for a device"


def test_what_the_ledger_had_not_seen_is_charged_by_filing(paid: Site, clock: HandClock) -> None:
    """§7: one charge for its instances, booked at the filer's T, marked with when it came."""
    batch = [paid.unseen(instance) for instance in numbered(3)]
    received = clock.at
    clock.at += HOUR

    outcomes = paid.file(*paid.put(*batch))

    first = outcomes[0]
    assert isinstance(first, Filed)
    assert first.admission is not None
    assert first.admission.admitted_at == clock.at
    assert figures(paid) == (1, 0)
    assert provisional_at(paid, first.examination_id) == received


def test_what_the_ledger_had_not_seen_is_owed_whatever_the_state(
    site: Site, clock: HandClock
) -> None:
    """§7: suspended meanwhile; nobody can be refused any more. Invariants 5 and 10 know them."""
    top_up(site.ledger, site.account, "SO-1", 1)
    for n in range(2):
        site.send(Instance(sop=f"8.{n}", study=f"8.{n}.1"))
    clock.at += GRACE + DAY

    site.file(*site.put(site.unseen(Instance(sop="1.1"))))

    assert figures(site) == (3, 2)


def test_the_first_of_a_batch_are_funded_and_the_rest_is_owed(site: Site) -> None:
    """ADM-3: two units for four examinations in one transaction."""
    top_up(site.ledger, site.account, "SO-1", 2)
    batch = [site.unseen(Instance(sop=f"8.{n}", study=f"8.{n}.1")) for n in range(4)]

    outcomes = site.file(*site.put(*batch))

    states = [
        one.admission.charge.state
        for one in outcomes
        if isinstance(one, Filed) and one.admission is not None and one.admission.charge is not None
    ]
    assert states == ["funded", "funded", "owed", "owed"]


def test_two_hosts_that_saw_one_study_make_one_examination(paid: Site) -> None:
    """KEY-1, KEY-2: by study and by key, within a batch and across two."""
    first = [
        paid.unseen(Instance(sop="1.1", study="5.1", key="accession:A")),
        paid.unseen(Instance(sop="1.2", study="5.1", key="accession:A")),
        paid.unseen(Instance(sop="1.3", study="5.2", key="accession:A")),
    ]
    second = [paid.unseen(Instance(sop="1.4", study="5.2", key="accession:B"))]

    outcomes = [*paid.file(*paid.put(*first)), *paid.file(*paid.put(*second))]

    assert len({outcome.examination_id for outcome in outcomes}) == 1
    assert figures(paid) == (1, 0)


@pytest.mark.parametrize("at_once", [False, True])
def test_what_was_let_in_as_one_examination_is_one_in_whichever_order_it_is_filed(
    paid: Site, *, at_once: bool
) -> None:
    """KEY-3: the first one that is filed may share neither study nor key with the next."""
    first = paid.unseen(Instance(sop="1.2", study="5.1", key="accession:changed"))
    second = replace(
        paid.unseen(Instance(sop="1.1", study="5.2", key="accession:A")),
        examination_id=first.examination_id,
    )

    if at_once:
        outcomes = paid.file(*paid.put(first, second))
    else:
        outcomes = [*paid.file(*paid.put(first)), *paid.file(*paid.put(second))]

    assert [type(one) for one in outcomes] == [Filed, Filed]
    assert {one.examination_id for one in outcomes} == {first.examination_id}
    assert figures(paid) == (1, 0)
    pinned = paid.admit(Instance(sop="1.3", study="5.2", key="accession:A"))
    assert isinstance(pinned, Pinned)
    assert (pinned.examination_id, pinned.admission) == (first.examination_id, None)


def test_a_record_filed_after_a_reversal_is_charged_again(paid: Site, clock: HandClock) -> None:
    """Never stored: taken back, and then the disk was found again."""
    late = paid.ready(Instance(sop="1.1"))
    clock.at += 2 * DAY
    reverse(paid.ledger, paid.account, late.examination_id, never_stored=True)
    assert figures(paid) == (0, 0)

    (outcome,) = paid.file(late)

    assert isinstance(outcome, Filed)
    assert outcome.admission is not None
    assert figures(paid) == (1, 0)
    assert provisional_at(paid, late.examination_id) == late.received_at


def test_an_instance_of_a_reversed_examination_is_stored_for_nothing(paid: Site) -> None:
    """ADM-1: an operator took the charge back, the images stayed; later ones pass."""
    one, two = numbered(2)
    first = paid.send(one)
    assert isinstance(first, Filed)
    reverse(paid.ledger, paid.account, first.examination_id)

    paid.send(two)

    assert figures(paid) == (0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("seen", [True, False])
def test_filers_that_race_file_every_record_once(*, paid: Site, seen: bool) -> None:
    """Four filers, the same records, batches of different sizes: the level is exact."""
    instances = [*numbered(24), *numbered(24, study="4.5")]
    records = [(paid.ready if seen else paid.unseen)(instance) for instance in instances]
    barrier = threading.Barrier(4)
    outcomes: list[object] = []

    def work(n: int) -> None:
        barrier.wait(10)
        size = (1, 5, 16, 48)[n]
        for begin in range(0, len(records), size):
            outcomes.extend(file_patiently(paid, records[begin : begin + size]))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)

    assert [type(one) for one in outcomes].count(Filed) == len(instances)
    assert [type(one) for one in outcomes].count(Same) == 3 * len(instances)
    assert level(paid) == sum(len(instance.content) for instance in instances)
    assert figures(paid) == (2, 0)


def file_patiently(site: Site, batch: Sequence[Arrival]) -> list[object]:
    """Place and file until none is left, as the filer does."""
    done: list[object] = []
    while batch:
        placed = site.put(*batch)
        with site.ledger.begin() as work:
            outcomes = file_batch(work, placed, quiet_period=QUIET)
            if isinstance(outcomes, Overtaken):
                continue
            work.commit()
        done += [one for one in outcomes if not isinstance(one, Deferred)]
        batch = [
            arrival
            for arrival, one in zip(batch, outcomes, strict=True)
            if isinstance(one, Deferred)
        ]
    return done
