"""Admission apart from filing: who is pinned, who is admitted anew, what that costs (ADM-5)."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from quota.account import Plan
from quota.admission import Refused
from quota.ledger import GRACE
from quota.retention import retained_until
from storage.admitting import (
    Asked,
    Overtaken,
    Pinned,
    admit,
    look,
)
from storage.deletion import delete_examination
from storage.engine import open_database
from storage.filing import Filed
from storage.ledger import SqlLedger
from storage.rehearsal import rehearse_admission
from storage.sqlite import SqliteDatabase
from tests.quota.makers import DAY, HOUR
from tests.storage.hospital import Instance, Site, examination_of, numbered
from tests.storage.kit import HandClock, add_account, counted, dump, reading, top_up, url_of
from tests.storage.operator import reverse, write_off
from tests.storage.test_capacity import buy

YEAR = 366 * DAY


@pytest.fixture
def paid(site: Site, clock: HandClock) -> Site:
    """A hospital with twenty units."""
    top_up(site.ledger, site.account, "SO-1", 20)
    clock.at += HOUR
    return site


def consumed(site: Site) -> int:
    """How many charges stand."""
    return reading(site.ledger, site.account).meter.consumed


def pin(site: Site, instance: Instance) -> Pinned:
    """Admit; it must not be refused."""
    result = site.admit(instance)
    assert isinstance(result, Pinned)
    return result


def asked(site: Site, instance: Instance, proposed_id: str) -> Asked:
    """As the gateway asks for it."""
    return Asked(incoming=instance.incoming(site.device), proposed_id=proposed_id)


def delete(site: Site, examination_id: str) -> None:
    """Delete an examination, whatever its retention."""
    with site.ledger.begin() as work:
        delete_examination(work, examination_id, actor="ann", reason="request 7", override=True)
        work.commit()


def test_admission_alone_charges_and_records_no_instance(paid: Site) -> None:
    """One transaction: charge, examination, study; the instance comes with filing."""
    result = pin(paid, Instance(sop="1.1"))

    assert result.admission is not None
    (row,) = paid.examinations()
    assert (row.id, row.instances, row.charge) == (result.examination_id, 0, "funded")
    assert consumed(paid) == 1


def test_an_admission_costs_a_dozen_statements(paid: Site) -> None:
    """Each is time of the writers' lock or the meter's; where writers come one by one, none locks
    or looks again."""
    pin(paid, Instance(sop="1.1", study="1.0"))

    with counted(paid.ledger) as seen:
        pin(paid, Instance(sop="2.1", study="2.0"))

    locks = sum("FOR UPDATE" in statement for statement in seen)
    one_by_one = isinstance(paid.ledger.database, SqliteDatabase)
    assert (len(seen), locks) == ((12, 0) if one_by_one else (9, 1)), seen


def test_a_rehearsal_leaves_nothing_behind_and_nothing_to_compile(
    paid: Site, clock: HandClock, tmp_path: Path
) -> None:
    """The first admission of a process costs what the others do."""
    ledger = SqlLedger(open_database(url_of(paid.ledger), lock_dir=tmp_path), clock)
    before = dump(ledger)
    with counted(ledger, unmet=True) as compiled:
        with ledger.begin() as work:
            rehearse_admission(work, "made up")
        assert compiled
        assert dump(ledger) == before
        compiled.clear()

        with ledger.begin() as work:
            admitted = admit(work, asked(paid, Instance(sop="1.1"), "new"))
            work.commit()
    ledger.database.dispose()

    assert isinstance(admitted, Pinned) and admitted.admission is not None
    assert compiled == []


def test_a_rehearsal_without_a_device_does_nothing(sqlite: SqlLedger) -> None:
    """A gateway that nobody has set up yet starts as well."""
    with counted(sqlite) as seen, sqlite.begin() as work:
        rehearse_admission(work, "made up")

    assert all("FROM device" in statement for statement in seen[1:])


def test_the_second_to_ask_is_given_the_first_ones_examination(paid: Site) -> None:
    """KEY-3: two workers, one study; one examination, one charge."""
    one, two = numbered(2)

    first, second = pin(paid, one), pin(paid, two)

    assert second.admission is None
    assert second.examination_id == first.examination_id
    assert consumed(paid) == 1


def test_a_look_pins_what_is_known_and_admits_nobody(paid: Site) -> None:
    """Where nothing is to be written a snapshot is enough; else it says nothing."""
    instance = Instance(sop="1.1").incoming(paid.device)
    with paid.ledger.read() as view:
        assert look(view, instance) is None
    known = pin(paid, Instance(sop="1.1"))

    with paid.ledger.read() as view:
        found = look(view, instance)

    assert isinstance(found, Pinned)
    assert (found.examination_id, found.by_study) == (known.examination_id, True)


def test_a_known_instance_under_another_study_pins_that_study_to_nothing(paid: Site) -> None:
    """KEY-1: the instance belongs where it is; what else its new study holds does not."""
    known = examination_of(paid.send(Instance(sop="1.1", study="5.1")))

    moved = pin(paid, Instance(sop="1.1", study="5.2"))
    other = pin(paid, Instance(sop="2.1", study="5.2"))

    assert (moved.examination_id, moved.by_study) == (known, False)
    assert other.admission is not None


@pytest.mark.parametrize("owed", [False, True])
def test_an_examination_uploaded_again_is_not_charged_again(*, site: Site, owed: bool) -> None:
    """ADM-5: deleted, and its charge stands, funded or owed."""
    top_up(site.ledger, site.account, "SO-1", 1)
    if owed:
        site.send(Instance(sop="9.1", study="9.0"))
    instance = Instance(sop="1.1")
    examination_id = examination_of(site.send(instance))
    before = consumed(site)
    delete(site, examination_id)

    again = pin(site, instance)

    assert (again.examination_id, again.generation) == (examination_id, 1)
    assert again.admission is None
    assert consumed(site) == before


def test_an_examination_uploaded_again_after_its_term_is_another_one(
    paid: Site, clock: HandClock
) -> None:
    """ADM-5: not charged again *within* its retention term; after it, by its own charge."""
    instance = Instance(sop="1.1")
    first = examination_of(paid.send(instance))
    delete(paid, first)
    clock.at += 16 * YEAR
    top_up(paid.ledger, paid.account, "SO-2", 5)

    again = paid.send(instance)

    assert isinstance(again, Filed)
    assert again.examination_id != first
    assert consumed(paid) == 2
    assert examination_of(paid.send(Instance(sop="1.2"))) == again.examination_id


def test_after_a_reversal_an_examination_without_instances_is_new(
    paid: Site, clock: HandClock
) -> None:
    """ADM-5, never stored: charged anew under its own id, kept for the longest term (21)."""
    instance = Instance(sop="1.1")
    examination_id = pin(paid, instance).examination_id
    clock.at += 2 * DAY
    reverse(paid.ledger, paid.account, examination_id)
    clock.at += DAY

    again = pin(paid, instance)

    assert again.admission is not None
    assert again.admission.admitted_at == clock.at
    assert again.examination_id == examination_id
    assert consumed(paid) == 1
    (row,) = paid.examinations()
    assert row.admitted_at == clock.at
    assert row.retained_until == retained_until(clock.at, storage_years=15)


def test_after_a_reversal_it_may_be_refused(paid: Site, clock: HandClock) -> None:
    """It is new: it enters only if a new one does (ADM-2)."""
    instance = Instance(sop="1.1")
    examination_id = examination_of(paid.send(instance))
    delete(paid, examination_id)
    reverse(paid.ledger, paid.account, examination_id)
    for n in range(21):
        paid.send(Instance(sop=f"8.{n}", study=f"8.{n}.1"))
    clock.at += GRACE + HOUR

    assert isinstance(paid.admit(instance), Refused)


@pytest.mark.parametrize("deleted", [False, True])
def test_what_was_written_off_is_charged_anew_only_after_a_deletion(
    *, site: Site, clock: HandClock, deleted: bool
) -> None:
    """ADM-5: what is still on its way when its debt is forgiven is not charged a second time."""
    top_up(site.ledger, site.account, "SO-1", 1)
    site.send(Instance(sop="9.1", study="9.0"))
    instance = Instance(sop="1.1")
    arrival = site.ready(instance)
    if deleted:
        site.file(arrival)
        delete(site, arrival.examination_id)
    clock.at += HOUR
    write_off(site.ledger, site.account, 1)

    again = pin(site, instance)

    assert (again.admission is not None) == deleted


def test_bytes_uploaded_again_are_admitted_again(
    site: Site, clock: HandClock, tmp_path: Path
) -> None:
    """On the capacity plan nothing stands for what was deleted; what is on its way is pinned."""
    account = add_account(site.ledger, "Bytes", plan=Plan.PER_CAPACITY)
    hospital = Site(site.ledger, account, tmp_path / "other", name="Bytes")
    buy(site.ledger, account, "SO-1")
    instance = Instance(sop="1.1")
    first = pin(hospital, instance)
    assert first.admission is not None
    assert pin(hospital, instance).admission is None
    (outcome,) = hospital.file(*hospital.put(hospital.arrival(instance, first)))
    assert isinstance(outcome, Filed)
    delete(hospital, first.examination_id)
    clock.at += HOUR

    again = pin(hospital, instance)

    assert again.admission is not None
    assert (again.examination_id, again.generation) == (first.examination_id, 1)


@pytest.mark.slow
def test_many_that_ask_at_once_are_told_one_examination(paid: Site) -> None:
    """Four threads, one new study: one charge, and everybody learns the same id."""
    barrier = threading.Barrier(4)
    found: list[object] = []

    def ask(n: int) -> None:
        instance = Instance(sop=f"1.{n}")
        barrier.wait(10)
        result = paid.admit(instance)
        while isinstance(result, Overtaken):
            result = paid.admit(instance)
        found.append(result)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    pins = [one for one in found if isinstance(one, Pinned)]
    assert len(pins) == 4
    assert len({one.examination_id for one in pins}) == 1
    assert sum(one.admission is not None for one in pins) == 1
    assert consumed(paid) == 1
