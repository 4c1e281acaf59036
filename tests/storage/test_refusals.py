"""The register of refusals (ADM-2): what was refused, what is missing still, and when it closes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from quota.admission import RefusalReason
from storage import refusals
from storage.filing import file_batch
from storage.ledger import SqlLedger
from storage.refusals import RefusedInstance
from tests.quota.makers import HOUR
from tests.storage.hospital import QUIET, Instance, Site, numbered
from tests.storage.kit import HandClock, add_account, top_up
from tests.storage.test_postgresql import LIMIT_S, until_somebody_waits


def test_refused_instances_of_one_examination_are_one_entry(site: Site, clock: HandClock) -> None:
    """Per examination: institution, device, study, accession, reason, first and last time."""
    one, two, three = numbered(3)
    site.register(one, two, at=clock.at)
    site.register(three, at=clock.at + HOUR)

    (row,) = site.refusals()

    assert (row.refused, row.missing) == (3, 3)
    assert (row.first_at, row.last_at) == (clock.at, clock.at + HOUR)
    assert (row.institution, row.device) == ("North Hospital", "CT-1")
    assert (row.study_instance_uid, row.accession) == ("1.2.3", "A-1")
    assert (row.reason, row.resolved_at) == ("grace_over", None)


def test_each_examination_has_an_entry_of_its_own(site: Site, clock: HandClock) -> None:
    """Two studies in one batch are two entries, the newest shown first."""
    site.register(*numbered(2), at=clock.at)
    site.register(*numbered(1, study="4.5"), *numbered(1), at=clock.at + 1)

    rows = site.refusals()

    assert [(row.study_instance_uid, row.refused) for row in rows] == [("4.5", 1), ("1.2.3", 2)]


def test_the_same_instance_refused_again_is_missing_once(site: Site, clock: HandClock) -> None:
    """A device that retries does not swell the numbers; the last time moves."""
    (instance,) = numbered(1)
    for hour in range(3):
        site.register(instance, instance, at=clock.at + hour * HOUR)

    (row,) = site.refusals()

    assert (row.refused, row.missing) == (1, 1)
    assert row.last_at == clock.at + 2 * HOUR


def test_the_latest_reason_is_shown(site: Site, clock: HandClock) -> None:
    """What stopped it last is what has to be mended."""
    (instance,) = numbered(1)
    site.register(instance, at=clock.at, reason=RefusalReason.UNPROVISIONED)
    site.register(instance, at=clock.at + 1, reason=RefusalReason.GRACE_OVER)

    assert [row.reason for row in site.refusals()] == ["grace_over"]


def test_an_entry_closes_when_all_that_was_refused_is_stored(site: Site, clock: HandClock) -> None:
    """Item by item: missing counts down, and only the last one closes the entry."""
    instances = numbered(3)
    site.register(*instances, at=clock.at)
    clock.at += HOUR
    top_up(site.ledger, site.account, "SO-1", 5)

    for left in (2, 1):
        site.send(instances[left])
        (row,) = site.refusals(open_only=True)
        assert (row.missing, row.resolved_at) == (left, None)
    clock.at += HOUR
    site.send(instances[0])

    (row,) = site.refusals()
    assert (row.refused, row.missing, row.resolved_at) == (3, 0, clock.at)
    assert site.refusals(open_only=True) == []


def test_an_examination_admitted_meanwhile_shows_what_it_lacks(
    site: Site, clock: HandClock
) -> None:
    """A top-up in the middle of a transfer leaves no silent half study."""
    refused, later = numbered(2)
    site.register(refused, at=clock.at)
    top_up(site.ledger, site.account, "SO-1", 5)

    site.send(later)
    assert [row.missing for row in site.examinations()] == [1]
    site.send(refused)

    assert [row.missing for row in site.examinations()] == [0]


def test_a_batch_may_come_after_the_instance_was_stored(site: Site, clock: HandClock) -> None:
    """Refusals are written in batches, late: what has been stored since is not missing."""
    top_up(site.ledger, site.account, "SO-1", 5)
    refused_at = clock.at
    clock.at += HOUR
    (instance,) = numbered(1)
    site.send(instance)
    clock.at += HOUR

    site.register(instance, at=refused_at)

    (row,) = site.refusals()
    assert (row.refused, row.missing) == (1, 0)
    assert row.resolved_at == clock.at - HOUR, "when it was stored"


@pytest.mark.parametrize("stored_first", [True, False])
def test_the_order_within_a_batch_makes_no_difference(
    *, site: Site, clock: HandClock, stored_first: bool
) -> None:
    """One entry, with what is missing of it, wherever the stored instance stands in the batch."""
    top_up(site.ledger, site.account, "SO-1", 5)
    stored, missing = numbered(2)
    site.send(stored)

    site.register(*([stored, missing] if stored_first else [missing, stored]), at=clock.at)

    (row,) = site.refusals()
    assert (row.refused, row.missing, row.resolved_at) == (2, 1, None)
    site.send(missing)
    assert site.refusals(open_only=True) == []


def test_an_examination_refused_again_later_is_a_new_entry(site: Site, clock: HandClock) -> None:
    """A closed entry stays closed; what is refused next month is another matter."""
    top_up(site.ledger, site.account, "SO-1", 5)
    one, two = numbered(2)
    clock.at += HOUR
    site.register(one, at=clock.at)
    site.send(one)
    clock.at += HOUR

    site.register(two, at=clock.at)

    newer, older = site.refusals()
    assert (newer.resolved_at, newer.refused) == (None, 1)
    assert older.resolved_at == clock.at - HOUR


def test_the_key_and_not_the_study_names_the_entry(site: Site, clock: HandClock) -> None:
    """KEY-2: a fundus camera's images, a study each, are one refused examination."""
    images = [Instance(sop=f"1.{n}", study=f"5.{n}", key="accession:A") for n in range(3)]

    site.register(*images, at=clock.at)

    assert [row.refused for row in site.refusals()] == [3]


def test_a_long_study_is_listed_up_to_the_limit(
    site: Site, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """20,000 instances are listed by UID; beyond it refusals are only counted."""
    assert refusals.LISTED_MAX == 20_000
    monkeypatch.setattr(refusals, "LISTED_MAX", 3)

    site.register(*numbered(5), at=clock.at)

    (row,) = site.refusals()
    assert (row.refused, row.missing) == (5, 3)


def test_refusals_of_hospitals_do_not_mix(site: Site, clock: HandClock) -> None:
    """One hospital's entry is not closed by another one's instance."""
    other = Site(site.ledger, site.account, site.archive.root / "other", name="South")
    top_up(site.ledger, site.account, "SO-1", 5)
    (instance,) = numbered(1)
    site.register(instance, at=clock.at)

    other.send(instance)

    assert [row.missing for row in site.refusals(open_only=True)] == [1]
    assert other.refusals() == []


@pytest.mark.parametrize("first", ["registered", "filed"])
def test_an_instance_that_is_filed_while_its_refusal_is_registered_is_not_missing(
    postgresql: SqlLedger, tmp_path: Path, first: str
) -> None:
    """A batch of refusals comes late: neither of the two may overlook the other."""
    site = Site(postgresql, add_account(postgresql), tmp_path)
    top_up(postgresql, site.account, "SO-1", 10)
    one, two = numbered(2)
    site.send(one)
    arrival = site.ready(two)
    refused = RefusedInstance(
        incoming=arrival.incoming, reason=RefusalReason.GRACE_OVER, at=site.now()
    )

    with ThreadPoolExecutor(1) as pool, postgresql.begin() as work:
        if first == "registered":
            refusals.register(work, [refused])
            waiting = pool.submit(lambda: site.file(arrival) and None)
        else:
            file_batch(work, [arrival], quiet_period=QUIET)
            waiting = pool.submit(site.register, two, at=refused.at)
        until_somebody_waits(postgresql)
        work.commit()
        waiting.result(LIMIT_S)

    (row,) = site.refusals()
    assert (row.refused, row.missing, row.resolved_at is None) == (1, 0, False)
