"""Filing: which examination an instance belongs to (KEY-1 to KEY-4), and what it costs."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from quota.account import EXAM
from quota.admission import RefusalReason, Refused
from quota.ledger import GRACE
from storage.admitting import Overtaken
from storage.errors import NotFound
from storage.filing import Deferred, Filed, Same, SetAside
from tests.quota.makers import DAY, HOUR
from tests.storage.hospital import (
    QUIET,
    Instance,
    Site,
    admitted,
    examination_of,
    numbered,
)
from tests.storage.kit import HandClock, add_account, dump, reading, top_up


@pytest.fixture
def paid(site: Site, clock: HandClock) -> Site:
    """A hospital with twenty units."""
    top_up(site.ledger, site.account, "SO-1", 20)
    clock.at += HOUR
    return site


def consumed(site: Site) -> int:
    """How many examinations were charged."""
    return reading(site.ledger, site.account).meter.consumed


def test_an_examination_is_charged_with_its_first_instance_only(paid: Site) -> None:
    """ADM-1: three instances, one charge; counts and bytes are the instances'."""
    first, *later = paid.send_all(*numbered(3))

    assert admitted(first).charge is not None
    assert all(isinstance(outcome, Filed) and outcome.admission is None for outcome in later)
    (row,) = paid.examinations()
    assert (row.instances, row.bytes, row.charge) == (3, 3 * len(b"1.2.3 0"), "funded")
    assert consumed(paid) == 1


def test_a_resend_costs_nothing_and_writes_nothing(paid: Site) -> None:
    """§9: keyed by (institution, SOP Instance UID); whoever sends it and however often."""
    instances = numbered(3)
    paid.send_all(*instances)
    other_device = paid.add_device("CT-2")
    before = dump(paid.ledger)

    again = [paid.send(instance, other_device) for instance in instances]

    assert all(isinstance(outcome, Same) for outcome in again)
    assert dump(paid.ledger) == before


def test_a_study_that_is_known_decides_whatever_the_device(paid: Site) -> None:
    """KEY-1: a Study Instance UID known to the institution wins over another device's key."""
    first = paid.send(Instance(sop="1.1", study="7.7", key="accession:A"))
    other_device = paid.add_device("CT-2")

    second = paid.send(Instance(sop="1.2", study="7.7", key="study:7.7"), other_device)

    assert examination_of(second) == examination_of(first)
    assert consumed(paid) == 1


def test_a_key_brings_studies_together(paid: Site) -> None:
    """KEY-2: a fundus camera makes a study of every image; one accession is one examination."""
    images = [Instance(sop=f"1.{n}", study=f"5.{n}", key="accession:A") for n in range(4)]

    outcomes = paid.send_all(*images)

    assert len({examination_of(outcome) for outcome in outcomes}) == 1
    assert consumed(paid) == 1
    detail = paid.examination(examination_of(outcomes[0]))
    assert [series.study_instance_uid for series in detail.series] == [f"5.{n}" for n in range(4)]


def test_a_later_accession_neither_splits_nor_merges(paid: Site) -> None:
    """KEY-3: the first resolution of a study wins over a key that changes later."""
    one = paid.send(Instance(sop="1.1", study="5.1", key="accession:A"))
    two = paid.send(Instance(sop="2.1", study="5.2", key="accession:B"))

    changed = paid.send(Instance(sop="1.2", study="5.1", key="accession:B"))
    joined = paid.send(Instance(sop="3.1", study="5.3", key="accession:B"))

    assert examination_of(changed) == examination_of(one)
    assert examination_of(joined) == examination_of(two)
    assert consumed(paid) == 2


def test_an_instance_that_is_known_decides_before_its_study(paid: Site) -> None:
    """KEY-1: the same SOP Instance UID under another study is the same instance, set aside."""
    first = paid.send(Instance(sop="1.1", study="5.1"))

    moved = paid.send(Instance(sop="1.1", study="5.2", content=b"moved"))

    assert isinstance(moved, SetAside)
    assert examination_of(moved) == examination_of(first)
    assert consumed(paid) == 1


def test_institutions_have_examinations_of_their_own(paid: Site, tmp_path: Path) -> None:
    """One key per institution: the same study in two hospitals of one account is charged twice."""
    other = Site(paid.ledger, paid.account, tmp_path / "other", name="South Hospital")

    outcomes = [site.send(Instance(sop="1.1")) for site in (paid, other)]

    assert len({examination_of(outcome) for outcome in outcomes}) == 2
    assert consumed(paid) == 2


@pytest.mark.parametrize("offset, listed", [(-1, 0), (0, 0), (1, 1)])
def test_instances_after_thirty_days_are_stored_and_listed(
    *, paid: Site, clock: HandClock, offset: int, listed: int
) -> None:
    """KEY-4: more than 30 days after admission; the loophole is seen, no image is lost."""
    first, late = numbered(2)
    at = admitted(paid.send(first)).admitted_at
    clock.at = at + 30 * DAY + offset

    outcome = paid.send(late)

    assert isinstance(outcome, Filed)
    findings = paid.examination(outcome.examination_id).findings
    assert [finding.kind for finding in findings] == ["late_instance"] * listed


def test_another_patients_instances_are_stored_and_listed(paid: Site, clock: HandClock) -> None:
    """KEY-4: compared byte by byte, counted, with the first and the last time."""
    first, *others = numbered(4)
    outcome = paid.send(first)
    times = []
    for instance in others[:2]:
        clock.at += DAY
        times.append(clock.at)
        paid.send(replace(instance, patient=b"P-2"))
    paid.send(others[2])

    (finding,) = paid.examination(examination_of(outcome)).findings

    assert (finding.kind, finding.instances) == ("other_patient", 2)
    assert (finding.first_at, finding.last_at) == (times[0], times[1])


def test_a_refused_examination_leaves_nothing_behind(site: Site) -> None:
    """ADM-2: no row, no object, no meter, nothing charged."""
    before = dump(site.ledger)

    outcome = site.send(Instance(sop="1.1"))

    assert isinstance(outcome, Refused)
    assert outcome.reason is RefusalReason.UNPROVISIONED
    assert dump(site.ledger) == before
    assert not [path for path in site.archive.root.rglob("*") if path.is_file()]


def test_known_examinations_grow_after_the_deadline(site: Site, clock: HandClock) -> None:
    """ADM-1, CAP-4: suspended, the second half of a study is stored and a new one refused."""
    top_up(site.ledger, site.account, "SO-1", 1)
    half, rest = numbered(2)
    site.send(half)
    clock.at += HOUR
    site.send(Instance(sop="2.1", study="2.2"))
    clock.at += GRACE

    assert isinstance(site.send(rest), Filed)
    assert isinstance(site.send(Instance(sop="2.2", study="2.2")), Filed)
    assert isinstance(site.send(Instance(sop="3.1", study="3.3")), Refused)


def test_an_examination_stays_with_the_account_that_admitted_it(
    paid: Site,
) -> None:
    """§1: for ever; the examination's row names it, whatever else the hospital may join."""
    add_account(paid.ledger, "Another")

    outcome = paid.send(Instance(sop="1.1"))

    assert paid.examination(examination_of(outcome)).row.account == paid.account.name
    with paid.ledger.read() as view:
        assert view.meter(paid.account.id, EXAM) is not None


def test_an_unknown_institution_is_an_error(paid: Site) -> None:
    """Nothing is admitted for somebody who is not registered."""
    stranger = replace(paid.device, institution_id=77)

    with pytest.raises(NotFound, match="77"):
        paid.admit(Instance(sop="1.1"), stranger)


@pytest.mark.slow
def test_associations_at_once_make_one_examination(paid: Site) -> None:
    """Four threads send one study; one admission, one charge, every instance once."""
    instances = numbered(24)
    barrier = threading.Barrier(4)
    outcomes: list[object] = []

    def associate(worker: int) -> None:
        device = paid.device
        barrier.wait(10)
        for instance in instances[worker % 2 :: 2]:
            outcome = paid.send(instance, device)
            while isinstance(outcome, Overtaken | Deferred):
                outcome = paid.send(instance, device)
            outcomes.append(outcome)

    threads = [threading.Thread(target=associate, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(outcomes) == 48
    (row,) = paid.examinations()
    assert row.instances == 24
    assert consumed(paid) == 1


def test_the_quiet_period_starts_again_with_every_instance(paid: Site, clock: HandClock) -> None:
    """Item 7: complete after a quiet period, in the database and in every answer alike."""
    one, two = numbered(2)
    paid.send(one)
    clock.at += QUIET - 1
    assert paid.examinations()[0].state == "receiving"
    paid.send(two)
    clock.at += QUIET - 1
    assert paid.examinations()[0].state == "receiving"

    clock.at += 1

    (row,) = paid.examinations()
    assert (row.state, row.completed_at) == ("complete", clock.at)
